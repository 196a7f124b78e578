"""Which hash does a key have in every process and on every host?

Strings: zlib.crc32 of their UTF-8 bytes. Integers: Python's own hash(int), which 1.0 and True share with 1; numpy
computes it as fast as memory allows, so it has no compiled path.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from mapreduce.kernels.load import kernels_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_MODULUS = (1 << 61) - 1  # of CPython's hash of numbers on 64-bit machines


def hash_strings(strings: pa.Array) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """zlib.crc32 of each string (or binary) of an array without nulls."""
    import numpy as np
    import pyarrow as pa

    if strings.type not in (pa.string(), pa.binary(), pa.large_string(), pa.large_binary()):
        raise ValueError(f"an array of {strings.type}; give strings")
    if strings.null_count:
        raise ValueError(f"{strings.null_count} nulls; take them out first")
    if strings.type in (pa.large_string(), pa.large_binary()):
        strings = strings.cast(pa.binary() if strings.type == pa.large_binary() else pa.string())
    out = np.empty(len(strings), np.uint32)
    kernels = kernels_of("hashes")
    if kernels is None:
        for i, data in enumerate(strings.cast(pa.binary()).to_pylist()):
            out[i] = zlib.crc32(data)
        return out
    _, offsets, data = strings.buffers()
    if len(strings):
        text = 0 if data is None else data.address
        kernels["crc_strings"](text, offsets.address + 4 * strings.offset, len(strings), out.ctypes.data)
    return out


def hash_int64(values: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """hash(value) of each int64."""
    import numpy as np

    given = np.asarray(values, np.int64)
    size = np.abs(given).view(np.uint64)  # of -2^63 too: its absolute value wraps to itself, which is 2^63 unsigned
    size = (size & np.uint64(_MODULUS)) + (size >> np.uint64(61))
    size[size >= np.uint64(_MODULUS)] -= np.uint64(_MODULUS)
    hashes = size.view(np.int64) * np.sign(given)
    hashes[hashes == -1] = -2  # -1 means an error in CPython's C code
    return hashes

"""Which pieces of `map_block` come ready made? The inner loops that algorithms share, compiled where that pays.

Each takes a block (or an array) and returns columns; what a compiled loop computes, a library path computes too where
there is no compiler, with the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mapreduce import kernels
from mapreduce.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mapreduce.formats.base import Block


def count_words(block: Block) -> tuple[pa.Array, pa.Array]:
    """The different words of a text block and how often each occurs, in order of first occurrence.

    Words are what `str.split` cuts at white space. Raises InputError for bytes that are no UTF-8.
    """
    return kernels.count_words(data_of(block))


def data_of(block: Any) -> Any:
    """The bytes of a block of text."""
    data = getattr(block, "utf8", None)
    if data is None:
        raise InputError(f"a {type(block).__name__} has no text to count words in; use --format text")
    return data


def fixed_column(block: Any) -> pa.Array:
    """The fixed-length records of a block as one Arrow column, without a copy."""
    import pyarrow as pa

    records = block.array
    rows, width = records.shape
    return pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(records)])


def prefixes(block: Any, size: int) -> pa.Array:
    """The first `size` bytes of each fixed-length record, as an Arrow column."""
    import numpy as np
    import pyarrow as pa

    records = block.array
    keys = np.ascontiguousarray(records[:, :size])
    return pa.Array.from_buffers(pa.binary(size), len(keys), [None, pa.py_buffer(keys)])


def assign_nearest(X: np.ndarray[Any, Any], centers: np.ndarray[Any, Any]) -> tuple[Any, Any, float]:
    """Sums (k, d), counts (k,) and cost of the rows of X (rows, d) nearest to each of the centres (k, d).

    The cost is the sum of squared distances; of equally near centres the first takes the row.
    """
    return kernels.assign_nearest(X, centers)


def nearest(X: np.ndarray[Any, Any], centers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The number of the nearest centre of each row: (rows,) int64."""
    import numpy as np

    labels = np.empty(len(X), np.int32)
    kernels.assign_nearest(X, centers, labels)
    return labels.astype(np.int64)

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

    from mapreduce.kernels import Assignment, WordCounter, WordCounts

_counter: list[WordCounter] = []
"""This process's table of words: made once, so that no block waits for fresh memory."""


def count_words(block: Any) -> WordCounts:
    """The different words of a text block and how often each occurs, in order of first occurrence.

    Words are what `str.split` cuts at white space. Raises InputError for bytes that are not of the text's encoding.
    """
    data = getattr(block, "utf8", None)
    if data is None:
        raise InputError(f"a {type(block).__name__} has no text to count words in; use --format text")
    if not _counter:
        _counter.append(kernels.WordCounter())
    bad_byte = _counter[0].add(data)
    counts = _counter[0].take()
    if bad_byte is not None:
        list(block.records())  # raises, naming file and byte
        raise InputError(f"{block.place(0)}: byte {bad_byte} from there is not UTF-8; name another encoding")
    return counts


def number_column(block: Any, name: str) -> pa.Array:
    """A column of numbers of a table's block. Raises InputError for one that is not there, or holds anything else."""
    from mapreduce.formats.features import is_numeric

    column = block[name]
    kind = str(column.type)
    if not is_numeric(kind) and column.null_count < len(column):
        raise InputError(f"column {name!r} is of type {kind}, not numeric; choose a column of numbers")
    return column


def fixed_column(block: Any) -> pa.Array:
    """The fixed-length records of a block as one Arrow column, without a copy."""
    return block.arrow.column(0)


def prefixes(block: Any, size: int) -> pa.Array:
    """The first `size` bytes of each fixed-length record, as an Arrow column."""
    import numpy as np
    import pyarrow as pa

    keys = np.ascontiguousarray(block.array[:, :size])
    return pa.Array.from_buffers(pa.binary(size), len(keys), [None, pa.py_buffer(keys)])


def assign_nearest(X: np.ndarray[Any, Any], centers: np.ndarray[Any, Any]) -> Assignment:
    """Of the rows of X (rows, d) nearest to each of the centres (k, d): `sums` (k, d), `counts` (k,) and `cost`.

    The cost is the sum of squared distances; of equally near centres the first takes the row.
    """
    return kernels.assign_nearest(X, centers)


def nearest(X: np.ndarray[Any, Any], centers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The number of the nearest centre of each row: (rows,) int64."""
    import numpy as np

    labels = np.empty(len(X), np.int32)
    kernels.assign_nearest(X, centers, labels)
    return labels.astype(np.int64)

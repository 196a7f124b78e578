"""Which pieces of `map_block` come ready made? The inner loops that algorithms share, compiled where that pays.

Each takes a block (or an array) and returns columns; what a compiled loop computes, a library path computes too where
there is no compiler, with the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mapreduce.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mapreduce.kernels import Assignment, WordCounter, WordCounts


class Words:
    """The words of a text block, not counted yet: a task counts those of all its blocks in one table.

    `counts()` counts those of this block alone.
    """

    __slots__ = ("block",)

    def __init__(self, block: Any) -> None:
        if not hasattr(block, "utf8"):
            raise InputError(f"a {type(block).__name__} has no text to count words in; use --format text")
        self.block = block

    def counts(self) -> WordCounts:
        """The different words and how often each occurs, in order of first occurrence."""
        from mapreduce.kernels import WordCounter

        counter = WordCounter()
        self.add_to(counter)
        return counter.take()

    def add_to(self, counter: WordCounter) -> None:
        """Count them in a table that others may share. Raises InputError for bytes that are not of the encoding."""
        bad_byte = counter.add(self.block.utf8)
        if bad_byte is not None:
            list(self.block.records())  # raises, naming file and byte
            raise InputError(f"{self.block.place(0)}: byte {bad_byte} from there is not UTF-8; name another encoding")


def count_words(block: Any) -> Words:
    """What `map_block` returns to count a text block's words, with `reduce = mr.Sum()`.

    Words are what `str.split` cuts at white space. Raises InputError for a block that is no text.
    """
    return Words(block)


def number_column(block: Any, name: str) -> pa.Array:
    """A column of numbers of a table's block. Raises InputError for one that is not there, or holds anything else."""
    from mapreduce.formats.roles import is_numeric

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
    from mapreduce import kernels

    return kernels.assign_nearest(X, centers)


def nearest(X: np.ndarray[Any, Any], centers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The number of the nearest centre of each row: (rows,) int64."""
    import numpy as np

    from mapreduce import kernels

    labels = np.empty(len(X), np.int32)
    kernels.assign_nearest(X, centers, labels)
    return labels.astype(np.int64)

"""What does a run consist of while it is in memory?

A run is a sequence of batches, sorted by key over the whole sequence. A batch holds pairs in one of two forms: rows
(two Python lists, any objects) or columns (an Arrow batch: `key`, then the value's columns). Columns are for keys and
values of plain types; the two convert into each other without loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.dataclass import dataclass

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS_FROM_BYTES = 64 << 20
"""Input from which even pairs made by row are added up and merged as columns: below, loading Arrow costs more."""

KEY = "key"
"""Name of the first column of a ColumnBatch."""


@dataclass(frozen=True, slots=True, eq=False)
class RowBatch:
    """Pairs as two equally long lists. The lists belong to the batch: don't change them."""

    keys: list[Any]
    values: list[Any]

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class ColumnBatch:
    """Pairs as an Arrow batch: column `key`, then one or more columns that together are the value."""

    table: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def keys(self) -> pa.Array:
        return self.table.column(0)


Batch = RowBatch | ColumnBatch


def to_rows(batch: Batch) -> RowBatch:
    """The same pairs as rows. A value of one column is that column's element, of several a tuple of their elements."""
    if isinstance(batch, RowBatch):
        return batch
    columns = [column.to_pylist() for column in batch.table.columns]
    return RowBatch(columns[0], columns[1] if len(columns) == 2 else list(zip(*columns[1:], strict=True)))


def plain_column(items: Sequence[Any]) -> pa.Array | None:
    """An Arrow column of items that are all str, all int of 64 bits, or all float; else None."""
    import numpy as np
    import pyarrow as pa

    types = set(map(type, items))
    if len(types) != 1:
        return None
    (only,) = types
    arrow = {str: pa.string(), int: pa.int64(), float: pa.float64()}.get(only)
    if arrow is None:
        return None
    try:
        # numpy takes half of Arrow's time for integers
        column = pa.array(np.fromiter(items, np.int64, len(items)) if only is int else items, arrow, from_pandas=False)
    except (OverflowError, UnicodeEncodeError, pa.ArrowInvalid):  # beyond 64 bits; a lone surrogate
        return None
    return column if isinstance(column, pa.Array) else None  # over 2 GiB of text: chunked


class PartitionBatch(NamedTuple):
    """Sorted pairs of one partition."""

    partition: int
    batch: Batch

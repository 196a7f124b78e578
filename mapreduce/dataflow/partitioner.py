"""Which of the three ways of partitioning does a job use? Its own, by range (sorted output), or by hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.partition import (
    Cuts,
    partition_columns,
    partition_columns_by_range,
    partition_rows,
    partition_rows_by_range,
)
from mapreduce.errors import JobError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class Partitioner:
    """Partitions of keys, by row or by column, with the same answer."""

    def __init__(self, job: Any, partitions: int, cuts: Cuts | None) -> None:
        self.partitions = partitions
        self.cuts = cuts
        self.own = getattr(job, "partition", None)

    def rows(self, keys: list[Any]) -> list[int]:
        if self.cuts is not None:
            return partition_rows_by_range(keys, self.cuts)
        if self.own is not None:
            return [self._checked(key) for key in keys]
        return partition_rows(keys, self.partitions)

    def columns(self, keys: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
        import numpy as np

        if self.cuts is not None:
            return partition_columns_by_range(keys, self.cuts)
        if self.own is not None:
            return np.array(self.rows(keys.to_pylist()), np.int64)
        return partition_columns(keys, self.partitions)

    def _checked(self, key: Any) -> int:
        assert self.own is not None
        number = self.own(key, self.partitions)
        if not isinstance(number, int) or not 0 <= number < self.partitions:
            raise JobError(f"partition({key!r:.80}) gave {number!r}; it must be a whole number below {self.partitions}")
        return number

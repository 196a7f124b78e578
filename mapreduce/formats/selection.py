"""What are some records of a block, as a block? Each form of the whole block, and of that the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mapreduce.formats.base import Block, Where

if TYPE_CHECKING:
    import pyarrow as pa


class Selection(Block):
    """The records `rows` of a block that cannot cut them out of its bytes."""

    def __init__(self, block: Block, rows: Sequence[int]) -> None:
        self.block = block
        self.rows = list(rows)
        self.bytes = block.bytes * len(self.rows) // max(1, len(block))

    def __len__(self) -> int:
        return len(self.rows)

    def records(self) -> Iterator[Any]:
        records = list(self.block.records())
        return (records[row] for row in self.rows)

    def place(self, index: int) -> str:
        return self.block.place(self.rows[index])

    def raw(self, index: int) -> bytes | None:
        return self.block.raw(self.rows[index])

    def where(self, index: int) -> Where:
        return self.block.where(self.rows[index])

    @cached_property
    def arrow(self) -> pa.RecordBatch:
        import pyarrow as pa

        return self.block.arrow.take(pa.array(self.rows, pa.int64()))

    @cached_property
    def X(self) -> Any:
        """Made once: BLAS rounds `X.T @ X` otherwise where both are the same memory."""
        return _read_only(self.block.X[self.rows])

    @cached_property
    def y(self) -> Any:
        return _read_only(self.block.y[self.rows])

    @cached_property
    def labels(self) -> Any:
        return _read_only(self.block.labels[self.rows])

    def categories(self, names: Sequence[str] | None = None) -> list[Any]:
        return [_read_only(values[self.rows]) for values in self.block.categories(names)]

    @cached_property
    def weights(self) -> Any:
        weights = self.block.weights
        return None if weights is None else _read_only(weights[self.rows])

    def exact_weights(self) -> Any:
        weights = self.block.exact_weights()
        return None if weights is None else weights.select(self.rows)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        return self.block.feature_names

    def exact(self, *, target: bool = True) -> Any:
        return self.block.exact(target=target).select(self.rows)


def _read_only(rows: Any) -> Any:
    flags = getattr(rows, "flags", None)  # a sparse matrix has none
    if flags is not None:
        flags.writeable = False
    return rows

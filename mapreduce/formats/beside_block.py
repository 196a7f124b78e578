"""What is in a block of tables beside each other? Rows of one block of each table: each form is theirs, side by side.

A table's block is cut where another table's ends. Each form of it is made once, though several blocks have rows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, TypeVar

from mapreduce.dataclass import dataclass, field
from mapreduce.errors import InputError, UsageError, near
from mapreduce.formats.base import Block, Where, column_of
from mapreduce.formats.features import RoleBlock
from mapreduce.formats.roles import Roles

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mapreduce.kernels.slices import Slices

T = TypeVar("T")


@dataclass(slots=True)
class Whole:
    """A block of one table, and what was made of it."""

    block: Block
    _made: dict[Any, Any] = field(default_factory=dict)

    def form(self, key: Any, make: Callable[[Any], T]) -> T:
        if key not in self._made:
            self._made[key] = make(self.block)
        found: T = self._made[key]
        return found


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows [start, stop) of a table's block."""

    whole: Whole
    start: int
    stop: int

    @property
    def block(self) -> Any:
        return self.whole.block

    @property
    def roles(self) -> Roles:
        roles: Roles = self.block.roles
        return roles

    def form(self, key: Any, make: Callable[[Any], Any]) -> Any:
        """These rows of a form that is an array, a list or a batch."""
        made = self.whole.form(key, make)
        return (
            made.slice(self.start, self.stop - self.start) if hasattr(made, "slice") else made[self.start : self.stop]
        )

    def exact(self, names: Sequence[str]) -> Slices:
        made: Slices = self.whole.form(("exact", *names), lambda block: block.exact_columns(names))
        return made.select(slice(self.start, self.stop))


def _typed_column(name: str, block: Any) -> pa.Array:
    return column_of(block.typed([name]), name)


def _category(name: str, block: Any) -> Any:
    return block.categories([name])[0]


class BesideBlock(RoleBlock):
    """The same rows of each table."""

    def __init__(self, parts: tuple[Rows, ...], roles: Roles) -> None:
        self.parts = parts
        self.roles = roles
        self.bytes = sum(part.block.bytes * len(self) // max(1, len(part.block)) for part in parts)

    def __len__(self) -> int:
        return self.parts[0].stop - self.parts[0].start

    def records(self) -> Iterator[dict[str, Any]]:
        rows = [part.form("records", lambda block: list(block.records())) for part in self.parts]
        return ({name: cell for row in together for name, cell in row.items()} for together in zip(*rows, strict=True))

    def place(self, index: int) -> str:
        """In the first table."""
        place: str = self.parts[0].block.place(self.parts[0].start + index)
        return place

    def where(self, index: int) -> Where:
        where: Where = self.parts[0].block.where(self.parts[0].start + index)
        return where

    @property
    def arrow(self) -> pa.RecordBatch:
        import pyarrow as pa

        batches = [part.form("arrow", lambda block: block.arrow) for part in self.parts]
        columns = [column for batch in batches for column in batch.columns]
        return pa.RecordBatch.from_arrays(columns, names=[name for batch in batches for name in batch.schema.names])

    def _part_of(self, name: str) -> Rows:
        for part in self.parts:
            if name in part.roles.named:
                return part
        names = [each for part in self.parts for each in part.roles.named]
        raise InputError(f"no column {name!r} has a role in this block; {near(name, names)}")

    def typed(self, names: Sequence[str]) -> pa.RecordBatch:
        import pyarrow as pa

        columns = []
        for name in names:
            columns.append(self._part_of(name).form(("typed", name), partial(_typed_column, name)))
        return pa.RecordBatch.from_arrays(columns, names=list(names))

    def kind_of(self, name: str) -> str:
        kind: str = self._part_of(name).block.kind_of(name)
        return kind

    @property
    def X(self) -> np.ndarray[Any, Any]:
        import numpy as np

        names = self.numeric_features()
        parts = [part for part in self.parts if part.roles.features]
        matrices = [part.form("X", lambda block: block.X) for part in parts]
        X = matrices[0] if len(matrices) == 1 else np.hstack(matrices)
        found = [name for part in parts for name in part.roles.features or ()]
        if found != list(names):
            X = X[:, [found.index(name) for name in names]]
        X = np.ascontiguousarray(X)
        X.flags.writeable = False
        return X

    @property
    def y(self) -> np.ndarray[Any, Any]:
        y: np.ndarray[Any, Any] = self._part_of(self.target_name()).form("y", lambda block: block.y)
        return y

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        labels: np.ndarray[Any, Any] = self._part_of(self.target_name()).form("labels", lambda block: block.labels)
        return labels

    def categories(self, names: Sequence[str] | None = None) -> list[np.ndarray[Any, Any]]:
        names = list(self.roles.features or () if names is None else names)
        return [self._part_of(name).form(("category", name), partial(_category, name)) for name in names]

    @property
    def weights(self) -> np.ndarray[Any, Any] | None:
        name = self.roles.weights
        return None if name is None else self._part_of(name).form("weights", lambda block: block.weights)

    def exact_columns(self, names: Sequence[str]) -> Slices:
        pieces, found = [], []
        for part in self.parts:
            own = [name for name in part.roles.named if name in names]
            if own:
                pieces.append(part.exact(own))
                found += own
        if set(found) != set(names):
            raise UsageError(
                f"no column {next(name for name in names if name not in found)!r} has a role in this block"
            )
        together = reduce(lambda a, b: a.beside(b), pieces)
        return together if found == list(names) else together.pick([found.index(name) for name in names])

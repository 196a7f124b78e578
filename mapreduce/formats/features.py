"""Which columns are the features, and how do they become a matrix?

Shared by every columnar format, so that X and y mean the same for CSV, JSON lines, Parquet and Arrow: X holds the
columns named as `features`, in that order (without names: every numeric column but the target, in file order); y is
the column named as `target`. Both are float64 and read-only. Integers above 2^53 round to the nearest float64. A null
is refused, never filled; NaN is a number like any other and passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mapreduce.errors import InputError, UsageError, near
from mapreduce.formats.base import Block

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mapreduce.kernels.slices import Slices

NUMERIC_TYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "halffloat", "float", "double"]
)  # as str(pa.DataType) words them; decimal128(p, s) and its kin count too


def is_numeric(type_name: str) -> bool:
    """Whether a column of this Arrow type, in Arrow's words, can stand in X or y."""
    return type_name in NUMERIC_TYPES or type_name.startswith("decimal")


def choose_features(
    columns: Sequence[tuple[str, str]], features: Sequence[str] | None, target: str | None
) -> tuple[str, ...]:
    """The names of X's columns, given the file's (name, Arrow type name) pairs in file order.

    Raises UsageError when a name is unknown (with near names), not numeric, or named twice, and InputError when nobody
    named features and the file has no numeric column besides the target.
    """
    if target is not None:
        check_numeric(columns, target, "target")
    if features is None:
        chosen = tuple(name for name, kind in columns if is_numeric(kind) and name != target)
        if not chosen:
            found = ", ".join(f"{name} ({kind})" for name, kind in columns) or "none"
            besides = f" besides the target {target!r}" if target is not None else ""
            raise InputError(f"no numeric column{besides} to serve as a feature; columns: {found}")
    else:
        if isinstance(features, str):
            raise UsageError(f"features is the string {features!r}; give a list of column names: [{features!r}]")
        chosen = tuple(features)
        if not chosen:
            raise UsageError("features is empty; name at least one column, or none to take every numeric column")
        for name in chosen:
            check_numeric(columns, name, "feature")
    _check_once(chosen, target)
    return chosen


def check_numeric(columns: Sequence[tuple[str, str]], name: str, role: str) -> None:
    """Refuse a column that is not there once, or not numeric; `role` is 'feature' or 'target'."""
    kinds = [kind for column, kind in columns if column == name]
    if not kinds:
        raise UsageError(f"no column {name!r} to serve as {role}; {near(name, [column for column, _ in columns])}")
    if len(kinds) > 1:
        raise InputError(f"{len(kinds)} columns are named {name!r}; a {role} must have a name of its own")
    if not is_numeric(kinds[0]):
        raise UsageError(f"{role} {name!r} is of type {kinds[0]}, not numeric; encode it as numbers or choose another")


def _check_once(features: tuple[str, ...], target: str | None) -> None:
    seen: set[str] = set()
    for name in features:
        if name in seen:
            raise UsageError(f"feature {name!r} is named twice; name it once")
        if name == target:
            raise UsageError(f"column {name!r} is both feature and target; leave it out of the features")
        seen.add(name)


def numeric_matrix(
    batch: pa.RecordBatch, features: Sequence[str], place: Callable[[int], str] | None = None
) -> np.ndarray[Any, Any]:
    """X: the columns `features` of a batch as (rows, len(features)) float64, C order, read-only.

    Raises InputError naming row and column of the first null; `place(row)` says where a row stands.
    """
    import pyarrow as pa

    columns = [_float64(batch, name, place) for name in features]
    tensor = pa.RecordBatch.from_arrays(columns, names=list(features)).to_tensor(row_major=True)
    matrix: np.ndarray[Any, Any] = tensor.to_numpy()
    matrix.flags.writeable = False
    return matrix


def numeric_column(batch: pa.RecordBatch, name: str, place: Callable[[int], str] | None = None) -> np.ndarray[Any, Any]:
    """y: one column of a batch as (rows,) float64, read-only (no copy where the column is float64). Errors as for X."""
    column: np.ndarray[Any, Any] = _float64(batch, name, place).to_numpy(zero_copy_only=False)
    column.flags.writeable = False
    return column


def _float64(batch: pa.RecordBatch, name: str, place: Callable[[int], str] | None) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    index = batch.schema.get_field_index(name)
    if index < 0:
        raise InputError(f"no column {name!r}; {near(name, batch.schema.names)}")
    column = batch.column(index)
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py()
        where = place(row) if place else f"row {row}"
        raise InputError(
            f"{where}: column {name!r} has no value there; X and y take numbers only: fill or drop such rows first, "
            f"or name other features"
        )
    if pa.types.is_float64(column.type):
        return column
    if not is_numeric(str(column.type)):
        raise InputError(f"column {name!r} is of type {column.type}, not numeric; encode it as numbers")
    if pa.types.is_boolean(column.type):  # Arrow casts truth values to integers only
        column = column.cast(pa.uint8())
    return column.cast(pa.float64(), safe=False)


def _is_float(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind))


def _exact_values(column: pa.Array, name: str, place: Callable[[int], str]) -> Any:
    import numpy as np
    import pyarrow as pa

    if pa.types.is_decimal(column.type):
        return np.array(column.to_pylist(), object)
    values = column.to_numpy(zero_copy_only=False)
    if _is_float(column.type) and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise InputError(f"{place(row)}: column {name!r} holds {values[row]}; drop or fill such rows first")
    return values


class ArrowBlock(Block):
    """A batch of rows of one file, whose first is the file's row `first_row`: records are dicts by column name."""

    def __init__(
        self,
        batch: pa.RecordBatch,
        path: str,
        first_row: int,
        features: tuple[str, ...],
        target: str | None,
        bytes: int = 0,
        rows: Sequence[int] | None = None,
    ) -> None:
        """`rows`: which ones of those from `first_row` on these are, if not all."""
        self.bytes = bytes
        self._rows = rows
        self._batch = batch
        self._path = path
        self._first_row = first_row
        self._features = features
        self._target = target

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def records(self) -> Iterator[dict[str, Any]]:
        return iter(self._batch.to_pylist())

    def place(self, index: int) -> str:
        """Rows count from 0 over the whole file."""
        return f"{self._path}, row {self._first_row + (index if self._rows is None else self._rows[index])}"

    def select(self, rows: Sequence[int]) -> ArrowBlock:
        import pyarrow as pa

        picked = self._batch.take(pa.array(rows, pa.int64()))
        share = self.bytes * len(rows) // max(1, len(self))
        return ArrowBlock(picked, self._path, self._first_row, self._features, self._target, share, rows)

    @property
    def arrow(self) -> pa.RecordBatch:
        return self._batch

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self._features

    @property
    def X(self) -> np.ndarray[Any, Any]:
        if not self._features:
            kinds = [(field.name, str(field.type)) for field in self._batch.schema]
            choose_features(kinds, None, self._target)  # raises: a format always resolves the features that exist
        return numeric_matrix(self._batch, self._features, self.place)

    def exact(self, *, target: bool = True) -> Slices:
        """Decimals and integers as they are, however wide; floats as the binary fractions that they are."""
        from mapreduce.kernels.slices import Slices

        names = [*self._features, *([self._target] if target and self._target is not None else [])]
        kinds = {name: self._batch.schema.field(name).type for name in names}
        if all(_is_float(kind) for kind in kinds.values()) or (target and self._target is None):
            return super().exact(target=target)
        numeric_matrix(self._batch, names, self.place)  # names the place of a null
        parts = [Slices.of(_exact_values(self._batch.column(name), name, self.place)) for name in names]
        together = parts[0]
        for part in parts[1:]:
            together = together.beside(part)
        return together

    @property
    def y(self) -> np.ndarray[Any, Any]:
        if self._target is None:
            raise UsageError(f"{self._path}: no target column is named; name one: target='...'")
        return numeric_column(self._batch, self._target, self.place)

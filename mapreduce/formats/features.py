"""How do columns of a batch become X, y, labels, categories and weights?

Shared by every columnar format, so that they mean the same for CSV, JSON lines, Parquet and Arrow: X holds the columns
named as `features`, in that order (without names: every numeric column but target and weights, in file order); y is the
column named as `target`. Both are float64 and read-only. Integers above 2^53 round to the nearest float64. A null is
refused, never filled; NaN is a number like any other and passes, but it is no weight and names no class.

Labels and categories are values as they are: text (objects of str), int64, float64 or truth values. Which of these is
decided by the column's type, for all blocks alike.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

from mapreduce.errors import InputError, UsageError, near
from mapreduce.formats.base import Block, column_of
from mapreduce.formats.roles import Roles, check_numeric, is_numeric

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mapreduce.kernels.slices import Slices

MOST_TENS = 22
"""10^22 is the greatest power of ten that a float holds."""

Place = Callable[[int], str]
"""Where a row of a block stands, for a person."""


def numeric_matrix(batch: pa.RecordBatch, features: Sequence[str], place: Place | None = None) -> np.ndarray[Any, Any]:
    """X: the columns `features` of a batch as (rows, len(features)) float64, C order, read-only.

    Raises InputError naming row and column of the first null; `place(row)` says where a row stands.
    """
    import pyarrow as pa

    columns = [_float64(batch, name, place) for name in features]
    tensor = pa.RecordBatch.from_arrays(columns, names=list(features)).to_tensor(row_major=True)
    matrix: np.ndarray[Any, Any] = tensor.to_numpy()
    matrix.flags.writeable = False
    return matrix


def numeric_column(batch: pa.RecordBatch, name: str, place: Place | None = None) -> np.ndarray[Any, Any]:
    """y: one column of a batch as (rows,) float64, read-only (no copy where the column is float64). Errors as for X."""
    column: np.ndarray[Any, Any] = _float64(batch, name, place).to_numpy(zero_copy_only=False)
    column.flags.writeable = False
    return column


def _float64(batch: pa.RecordBatch, name: str, place: Place | None) -> pa.Array:
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
            f"or name other columns"
        )
    if pa.types.is_float64(column.type):
        return column
    if not is_numeric(str(column.type)):
        raise InputError(f"column {name!r} is of type {column.type}, not numeric; encode it as numbers")
    return _as_floats(column)


def _as_floats(column: pa.Array) -> pa.Array:
    """A column of numbers, none of them null, as the nearest floats."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type):  # Arrow casts truth values to integers only
        column = column.cast(pa.uint8())
    if pa.types.is_decimal(column.type):  # Arrow's own floats of decimals are often next to the nearest
        return pa.array(_floats_of_decimals(column))
    return column.cast(pa.float64(), safe=False)


def _floats_of_decimals(column: pa.Array) -> np.ndarray[Any, Any]:
    """A quotient of two floats is the nearest, where both are whole numbers that floats hold."""
    import numpy as np
    import pyarrow as pa

    if len(column) and pa.types.is_decimal128(column.type) and 0 <= column.type.scale <= MOST_TENS:
        words = np.frombuffer(column.buffers()[1], np.int64).reshape(-1, 2)[column.offset : column.offset + len(column)]
        low, high = words[:, 0], words[:, 1]
        if ((high == low >> 63) & (low >= -(1 << 53)) & (low <= 1 << 53)).all():
            return low.astype(np.float64) / float(10**column.type.scale)
    return np.array([float(value) for value in column.to_pylist()], np.float64)


def class_values(
    batch: pa.RecordBatch, name: str, place: Place, *, role: str = "column", is_null: str | None = None
) -> np.ndarray[Any, Any]:
    """A column's values as they are, (rows,): objects of str, int64, float64 or truth values.

    Raises InputError for what names no class: a null, the text `is_null`, NaN, infinity; and for integers beyond int64.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = batch.column(batch.schema.get_field_index(name))
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if column.null_count:
        raise _no_class(place(pc.index(column.is_null(), True).as_py()), role, name)
    if not is_numeric(str(kind)):
        return _text_values(column, name, place, role, is_null)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(kind):
        return _read_only(column.to_numpy(zero_copy_only=False))
    if pa.types.is_integer(kind):
        try:
            return _read_only(column.cast(pa.int64()).to_numpy(zero_copy_only=False))
        except pa.ArrowInvalid:
            raise InputError(
                f"{place(0)}: column {name!r} holds integers of more than 64 bits; write it as text"
            ) from None
    values = _as_floats(column).to_numpy(zero_copy_only=False)
    check_class_numbers(values, name, place, role)
    return _read_only(values)


def check_class_numbers(values: np.ndarray[Any, Any], name: str, place: Place, role: str) -> None:
    """Refuse NaN and infinity among values that name classes, naming the place."""
    import numpy as np

    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise InputError(
            f"{place(row)}: {role} {name!r} holds {values[row]}, which names no class; drop or fill such rows first"
        )


def _text_values(column: pa.Array, name: str, place: Place, role: str, is_null: str | None) -> np.ndarray[Any, Any]:
    """Equal texts are one object: then comparing them is comparing addresses."""
    import pyarrow as pa

    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    numbers = encoded.indices.to_numpy(zero_copy_only=False)
    if is_null is not None and is_null in texts and (numbers == texts.index(is_null)).any():
        raise _no_class(place(int((numbers == texts.index(is_null)).argmax())), role, name)
    distinct = _objects(texts)
    return _read_only(distinct[numbers])


def _objects(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    array = np.empty(len(values), object)
    array[:] = values
    return array


def _no_class(where: str, role: str, name: str) -> InputError:
    return InputError(f"{where}: {role} {name!r} has no value there; fill or drop such rows first")


def check_weights(values: np.ndarray[Any, Any], name: str, place: Place) -> None:
    """Refuse weights that are negative, NaN or infinite. Raises InputError naming the place."""
    import numpy as np

    is_weight = np.isfinite(values) & (values >= 0)
    if not is_weight.all():
        row = int(np.argmin(is_weight))
        raise InputError(
            f"{place(row)}: the weight {name!r} is {values[row]}; weights are finite and not negative: mend it, or "
            f"drop such rows first"
        )


def _read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array.flags.writeable = False
    return array


def _is_float(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind))


def _exact_values(column: pa.Array, name: str, place: Place) -> Any:
    import numpy as np
    import pyarrow as pa

    if pa.types.is_decimal(column.type):
        return np.array(column.to_pylist(), object)
    values = column.to_numpy(zero_copy_only=False)
    if _is_float(column.type) and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise InputError(f"{place(row)}: column {name!r} holds {values[row]}; drop or fill such rows first")
    return values


class RoleBlock(Block):
    """A block of columns with names and types, some of which have roles."""

    roles: Roles
    empty_is_null: ClassVar[bool] = False
    """Whether an empty text means: no value."""

    _weighted: Slices | None = None
    """[X y w], or [X w], as `exact` has last made it."""

    @abstractmethod
    def typed(self, names: Sequence[str]) -> pa.RecordBatch:
        """These columns (others may be among them), each of its own type."""

    @abstractmethod
    def kind_of(self, name: str) -> str:
        """The type of a column, in Arrow's words."""

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        return self.roles.features

    def target_name(self) -> str:
        """The target's name. Raises UsageError where none is named."""
        if self.roles.target is None:
            raise UsageError(f"{self.where(0).file}: no target column is named; name one: target='...'")
        return self.roles.target

    def numeric_features(self) -> tuple[str, ...]:
        """X's columns. Raises InputError where there is none, UsageError where one is text."""
        if not self.roles.features:
            raise InputError(f"{self.where(0).file}: no numeric column to serve as a feature")
        if self.roles.categories:
            for name in self.roles.features:
                check_numeric([(name, self.kind_of(name))], name, "feature")
        return self.roles.features

    def numeric_target(self) -> str:
        """The target's name. Raises UsageError where it is text."""
        name = self.target_name()
        if self.roles.labels:
            check_numeric([(name, self.kind_of(name))], name, "target")
        return name

    @property
    def X(self) -> np.ndarray[Any, Any]:
        names = self.numeric_features()
        return numeric_matrix(self.typed(names), names, self.place)

    @property
    def y(self) -> np.ndarray[Any, Any]:
        name = self.numeric_target()
        return numeric_column(self.typed([name]), name, self.place)

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        name = self.target_name()
        is_null = "" if self.empty_is_null else None
        return class_values(self.typed([name]), name, self.place, role="the target", is_null=is_null)

    def categories(self, names: Sequence[str] | None = None) -> list[np.ndarray[Any, Any]]:
        names = list(self.roles.features or () if names is None else names)
        batch = self.typed(names)
        is_null = "" if self.empty_is_null else None
        return [class_values(batch, name, self.place, is_null=is_null) for name in names]

    @property
    def weights(self) -> np.ndarray[Any, Any] | None:
        name = self.roles.weights
        if name is None:
            return None
        values = numeric_column(self.typed([name]), name, self.place)
        check_weights(values, name, self.place)
        return values

    def exact(self, *, target: bool = True) -> Slices:
        names = [*self.numeric_features(), *([self.numeric_target()] if target else [])]
        if self.roles.weights is None:
            return self.exact_columns(names)
        self._weighted = self.exact_columns([*names, self.roles.weights])
        return self._weighted.first(len(names))

    def exact_weights(self) -> Slices | None:
        name, known = self.roles.weights, self._weighted
        if name is None:
            return None
        weights = self.exact_columns([name]) if known is None else known.pick([known.columns - 1])
        if (weights.signs(0) < 0).any():
            _ = self.weights  # names the place
        return weights

    def exact_columns(self, names: Sequence[str]) -> Slices:
        """These columns of numbers: decimals and integers as they are, floats as the binary fractions that they are.
        Raises InputError for a null, NaN and infinity, naming the place."""
        from mapreduce.kernels.slices import Slices

        batch = self.typed(names)
        if all(_is_float(column_of(batch, name).type) for name in names):
            matrix = numeric_matrix(batch, names, self.place)
            self._check_finite(matrix, names)
            return Slices.of(matrix)
        for name in names:
            _float64(batch, name, self.place)  # names the place of a null
        return reduce(
            Slices.beside, [Slices.of(_exact_values(column_of(batch, name), name, self.place)) for name in names]
        )

    def _check_finite(self, matrix: np.ndarray[Any, Any], names: Sequence[str]) -> None:
        import numpy as np

        if not np.isfinite(matrix).all():
            row, column = np.argwhere(~np.isfinite(matrix))[0].tolist()
            role = "the target" if names[column] == self.roles.target else "column"
            raise InputError(
                f"{self.place(row)}: {role} {names[column]!r} holds {matrix[row, column]}; drop or fill such rows first"
            )


class ArrowBlock(RoleBlock):
    """A batch of rows of one file, whose first is the file's row `first_row`: records are dicts by column name."""

    def __init__(
        self,
        batch: pa.RecordBatch,
        path: str,
        first_row: int,
        roles: Roles,
        bytes: int = 0,
        rows: Sequence[int] | None = None,
    ) -> None:
        """`rows`: which ones of those from `first_row` on these are, if not all."""
        self.bytes = bytes
        self._rows = rows
        self._batch = batch
        self._path = path
        self._first_row = first_row
        self.roles = roles

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
        return ArrowBlock(picked, self._path, self._first_row, self.roles, share, rows)

    @property
    def arrow(self) -> pa.RecordBatch:
        return self._batch

    def typed(self, names: Sequence[str]) -> pa.RecordBatch:
        for name in names:
            column_of(self._batch, name)
        return self._batch

    def kind_of(self, name: str) -> str:
        return str(column_of(self._batch, name).type)

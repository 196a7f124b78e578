"""How are NumPy arrays read as records, columns and matrices? Shared by arrays in memory and arrays in files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import InputError, UsageError
from mapreduce.formats.base import Block, Extent, Format, InputFile, Split
from mapreduce.formats.features import check_class_numbers, check_weights
from mapreduce.formats.roles import Roles, choose_roles, default_features

if TYPE_CHECKING:
    import pyarrow as pa

    from mapreduce.kernels.slices import Slices

Array = np.ndarray[Any, Any]


class Example(NamedTuple):
    """A record of arrays X and y: a row and its target."""

    x: Any
    y: Any


EVERYTHING = Roles(None)
"""All columns are X's."""


def select(dtype: np.dtype[Any], shape: tuple[int, ...], asked: Roles) -> Roles:
    """Check the columns that the user named; numbers from 0, negative ones from the end. Raises UsageError."""
    if asked.features is None and not asked.named and dtype.names is None:
        return asked
    names = _column_names(dtype, shape)
    kinds = [dtype[name] if dtype.names else dtype for name in names]
    columns = [(name, _kind_name(kind)) for name, kind in zip(names, kinds, strict=True)]
    exact = replace(
        asked,
        features=None if asked.features is None else tuple(_column_name(each, len(names)) for each in asked.features),
        target=None if asked.target is None else _column_name(asked.target, len(names)),
        weights=None if asked.weights is None else _column_name(asked.weights, len(names)),
    )
    if exact.features is None and not default_features(columns, exact):
        return replace(exact, features=())  # a job may not ask for X; if it does, the block complains
    return choose_roles(columns, exact)


def _column_name(text: str, count: int) -> str:
    return str(count + int(text)) if text.startswith("-") and text[1:].isdigit() else text


def _column_names(dtype: np.dtype[Any], shape: tuple[int, ...]) -> list[str]:
    if dtype.names:
        return list(dtype.names)
    return [str(column) for column in range(shape[1])] if len(shape) == 2 else ["value"]


def _kind_name(dtype: np.dtype[Any]) -> str:
    """The type in Arrow's words, as far as roles ask."""
    is_text = dtype.kind in "UST" and dtype.shape == ()
    return "double" if _is_number(dtype) else "string" if is_text else str(dtype)


def _is_number(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.shape == ()


class Rows(NamedTuple):
    """Rows of X, and of y and the weights where these are arrays of their own."""

    x: Any
    y: Array | None = None
    weights: Array | None = None


class ArrayBlock(Block):
    """Rows `first_row` and following of arrays. All that it gives out is read-only."""

    def __init__(self, rows: Rows, roles: Roles, path: str, first_row: int, bytes: int) -> None:
        self.bytes = bytes
        self._x, self._y, self._weights = rows
        self.roles = roles
        self._path = path
        self._first_row = first_row

    def __len__(self) -> int:
        return int(self._x.shape[0])

    def records(self) -> Iterator[Any]:
        rows: Any = self._x
        if self._x.dtype.names:
            names = self._x.dtype.names
            rows = (dict(zip(names, row, strict=True)) for row in self._x.tolist())
        elif self._x.ndim == 1:
            rows = self._x.tolist()
        return iter(rows) if self._y is None else map(Example, rows, self._y.tolist())

    def place(self, index: int) -> str:
        """Rows count from 0 over the whole file."""
        return f"{self._path}, row {self._first_row + index}"

    @property
    def arrow(self) -> pa.RecordBatch:
        """A column a field of a structured array, '0', '1', ... of a 2-D one, 'value' of a 1-D one; and 'y'."""
        import pyarrow as pa

        if self._x.ndim > 2 or not isinstance(self._x, np.ndarray):
            raise InputError(f"{self._path}: an array of shape {self._x.shape} has no columns; use records or X")
        columns = {name: self._column(name) for name in _column_names(self._x.dtype, self._x.shape)}
        if self._y is not None:
            columns["y"] = self._y
        try:
            arrays = [pa.array(np.ascontiguousarray(_native(column))) for column in columns.values()]
        except (pa.ArrowException, TypeError) as error:
            raise InputError(f"{self._path}: {self._x.dtype} has no Arrow type: {error}") from error
        return pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def _column(self, name: str) -> Array:
        if self._x.dtype.names:
            return self._x[name]  # type: ignore[no-any-return]
        return self._x[:, int(name)] if self._x.ndim == 2 else self._x  # type: ignore[no-any-return]

    @property
    def X(self) -> Any:
        """(rows, features) float64; no copy where the array is float64 in C order and every column a feature."""
        features = self.roles.features
        if not isinstance(self._x, np.ndarray):
            return self._x  # SciPy sparse
        if self._x.dtype.names or features == ():
            if not features:
                raise InputError(f"{self._path}: {self._x.dtype} has no numeric column to serve as a feature")
            X = np.empty((len(self), len(features)))
            for index, name in enumerate(features):
                X[:, index] = self._column(name)
            return _read_only(X)
        if self._x.ndim > 2 or not _is_number(self._x.dtype):
            raise InputError(
                f"{self._path}: an array of {self._x.dtype} with shape {self._x.shape} makes no matrix; "
                f"X takes numbers in one or two dimensions"
            )
        rows = self._x.reshape(len(self), -1) if self._x.ndim == 1 else self._x
        if features is not None and self._x.ndim == 2:
            rows = rows[:, [int(name) for name in features]]
        return _read_only(np.ascontiguousarray(rows, dtype=np.float64))

    def exact(self, *, target: bool = True) -> Slices:
        """Integers as they are, however wide; floats as the binary fractions that they are."""
        from mapreduce.kernels.slices import Slices

        is_dense = isinstance(self._x, np.ndarray)
        if not is_dense or not np.isfinite(self.X).all() or (target and not np.isfinite(self.y).all()):
            return super().exact(target=target)  # which names the place
        parts = [self._column(name) for name in self.roles.features or ()] if self._x.dtype.names else [self._numbers()]
        return reduce(Slices.beside, map(Slices.of, [*parts, self._target()] if target else parts))

    def _numbers(self) -> Array:
        """X's columns, of their own type."""
        if self._x.ndim == 1 or self.roles.features is None:
            return self._x.reshape(len(self), -1)  # type: ignore[no-any-return]
        return self._x[:, [int(name) for name in self.roles.features]]  # type: ignore[no-any-return]

    def _target(self) -> Array:
        if self.roles.target is not None:
            return self._column(self.roles.target)
        if self._y is None:
            raise UsageError(f"{self._path}: no target column is named; name one by its number: target=-1 for the last")
        return self._y

    @property
    def y(self) -> Array:
        column = self._target()
        if column.ndim != 1 or not _is_number(column.dtype):
            raise InputError(
                f"{self._path}: a target of {column.dtype} with shape {column.shape}; y takes one number a row"
            )
        return _read_only(np.ascontiguousarray(column, dtype=np.float64))

    @property
    def labels(self) -> Array:
        column = self._target()
        if column.ndim != 1:
            raise InputError(f"{self._path}: a target with shape {column.shape}; labels take one value a row")
        return self._class_values(column, str(self.roles.target or "y"), "the target")

    def categories(self, names: Sequence[str] | None = None) -> list[Array]:
        if not isinstance(self._x, np.ndarray) or self._x.ndim > 2:
            raise InputError(f"{self._path}: an array of shape {self._x.shape} has no columns to take categories from")
        every = [name for name in _column_names(self._x.dtype, self._x.shape) if name not in self.roles.named]
        names = (every if self.roles.features is None else self.roles.features) if names is None else names
        return [self._class_values(self._column(name), name, "column") for name in names]

    def _class_values(self, column: Array, name: str, role: str) -> Array:
        kind = column.dtype.kind
        if kind == "f":
            values = column.astype(np.float64)
            check_class_numbers(values, name, self.place, role)
        elif kind in "iu" and not (column.dtype == np.uint64 and len(column) and column.max() >= 1 << 63):
            values = column.astype(np.int64)
        elif kind == "S":
            values = np.char.decode(column, "utf-8").astype(object)
        elif kind in "bUTO":
            values = column.astype(bool if kind == "b" else object)
        else:
            raise InputError(f"{self._path}: {role} {name!r} is of {column.dtype}, which names no classes")
        return _read_only(values)

    @property
    def weights(self) -> Array | None:
        column = self._raw_weights()
        if column is None:
            return None
        weights = np.ascontiguousarray(column, np.float64)
        check_weights(weights, str(self.roles.weights or "weights"), self.place)
        return _read_only(weights)

    def _raw_weights(self) -> Array | None:
        return self._weights if self.roles.weights is None else self._column(self.roles.weights)

    def exact_weights(self) -> Slices | None:
        from mapreduce.kernels.slices import Slices

        return None if self.weights is None else Slices.of(self._raw_weights())


def _native(array: Array) -> Array:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def plan_rows(rows: int, size: int, split_bytes: int) -> list[Extent]:
    """`rows` rows of `size` bytes in equal extents of at most `split_bytes`, but of at least a row."""
    if rows == 0:
        return []
    pieces = max(1, min(rows, math.ceil(size / split_bytes)))
    cuts = [rows * piece // pieces for piece in range(pieces + 1)]
    return [Extent(start, end, size * end // rows - size * start // rows) for start, end in pairwise(cuts)]


@dataclass(frozen=True, slots=True, eq=False)
class Arrays(Format):
    """X (rows, features; a NumPy array or a SciPy CSR matrix), y and weights (rows,) in memory: they travel along."""

    x: Any
    y: Array | None = None
    weights: Array | None = None

    name: ClassVar[str] = "arrays"

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        return plan_rows(self.x.shape[0], file.size, split_bytes)

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[ArrayBlock]:
        step = max(1, block_bytes * self.x.shape[0] // max(1, split.file.size))
        row_bytes = split.file.size / self.x.shape[0]
        for start in range(split.extent.start, split.extent.end, step):
            end = min(start + step, split.extent.end)
            rows = Rows(self.x[start:end], _some(self.y, start, end), _some(self.weights, start, end))
            size = int(row_bytes * (end - start))
            yield ArrayBlock(rows, EVERYTHING, split.file.path, start, size)


def _some(array: Array | None, start: int, end: int) -> Array | None:
    return None if array is None else array[start:end]


class ArraysInMemory(NamedTuple):
    """Arrays as an input: their format and the file that stands for them."""

    format: Arrays
    file: InputFile


def hold_arrays(X: Any, y: Any, weights: Any = None) -> ArraysInMemory:
    """The name of the file that stands for the arrays tells their contents, so that a changed input is noticed."""
    import xxhash

    x = X if hasattr(X, "tocsr") else np.asarray(X)
    x = x.tocsr() if hasattr(x, "tocsr") else x
    target = None if y is None else _as_labels(np.asarray(y))
    row_weights = None if weights is None else np.asarray(weights)
    for name, array in (("y", target), ("weights", row_weights)):
        if x.ndim == 0 or (array is not None and (array.ndim != 1 or len(array) != x.shape[0])):
            shape = "none" if array is None else array.shape
            raise InputError(
                f"X has shape {x.shape} and {name} {shape}; X is (rows, features) and {name} (rows,), of equal length"
            )
    parts = [x] if isinstance(x, np.ndarray) else [x.data, x.indices, x.indptr]
    parts += [part for part in (target, row_weights) if part is not None]
    for part in parts:
        if part.dtype.hasobject and part is not target:
            raise InputError("an array holds Python objects; give numbers: np.asarray(X, dtype=float)")
    if row_weights is not None:
        check_weights(np.asarray(row_weights, np.float64), "weights", lambda row: f"row {row}")
    digest = xxhash.xxh3_64(repr([(part.shape, part.dtype.str) for part in parts]).encode())
    for part in parts:
        digest.update(repr(part.tolist()).encode() if part.dtype.hasobject else np.ascontiguousarray(part).data)
    size = sum(part.nbytes for part in parts) if x.shape[0] else 0
    return ArraysInMemory(Arrays(x, target, row_weights), InputFile(f"<arrays {digest.hexdigest()}>", size))


def _as_labels(y: Array) -> Array:
    """Objects stay where they are text; those that are numbers become numbers. Raises InputError for others."""
    if not y.dtype.hasobject or all(isinstance(value, str) for value in y.tolist()):
        return y
    numbers = np.array(y.tolist())
    if numbers.dtype.kind not in "biuf":
        row = next((row for row, value in enumerate(y.tolist()) if not isinstance(value, str)), 0)
        raise InputError(f"y[{row}] is {y[row]!r} among Python objects; give numbers, or text throughout")
    return numbers

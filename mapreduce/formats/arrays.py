"""How are NumPy arrays read as records, columns and matrices? Shared by arrays in memory and arrays in files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from mapreduce.errors import InputError, UsageError
from mapreduce.formats.base import Block, Extent, Format, InputFile, Split
from mapreduce.formats.features import choose_features

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]


class Example(NamedTuple):
    """A record of arrays X and y: a row and its target."""

    x: Any
    y: Any


@dataclass(frozen=True, slots=True)
class Selection:
    """Which columns of a 2-D array (or fields of a structured one) are X and y; None: all of them, and none."""

    features: tuple[str, ...] | None = None
    target: str | None = None


EVERYTHING = Selection()


def select(
    dtype: np.dtype[Any], shape: tuple[int, ...], features: Sequence[str | int] | None, target: str | int | None
) -> Selection:
    """Check the columns that the user named; numbers from 0, negative ones from the end. Raises UsageError."""
    if features is None and target is None and dtype.names is None:
        return EVERYTHING
    names = _column_names(dtype, shape)
    kinds = [dtype[name] if dtype.names else dtype for name in names]
    columns = [(name, _kind_name(kind)) for name, kind in zip(names, kinds, strict=True)]
    if features is None and not any(kind == "double" for name, kind in columns if name != str(target)):
        return Selection((), None if target is None else _column_name(target, len(names)))
    asked = None if features is None else [_column_name(each, len(names)) for each in features]
    chosen_target = None if target is None else _column_name(target, len(names))
    return Selection(choose_features(columns, asked, chosen_target), chosen_target)


def _column_name(column: str | int, count: int) -> str:
    text = str(column)
    return str(count + int(text)) if text.startswith("-") and text[1:].isdigit() else text


def _column_names(dtype: np.dtype[Any], shape: tuple[int, ...]) -> list[str]:
    if dtype.names:
        return list(dtype.names)
    return [str(column) for column in range(shape[1])] if len(shape) == 2 else ["value"]


def _kind_name(dtype: np.dtype[Any]) -> str:
    return "double" if _is_number(dtype) else str(dtype)


def _is_number(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.shape == ()


class ArrayBlock(Block):
    """Rows `first_row` and following of an array x, and of y where there is one. All that it gives out is read-only."""

    def __init__(self, x: Any, y: Array | None, selection: Selection, path: str, first_row: int, bytes: int) -> None:
        self.bytes = bytes
        self._x = x
        self._y = y
        self._selection = selection
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
        features = self._selection.features
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

    @property
    def y(self) -> Array:
        if self._selection.target is not None:
            column = self._column(self._selection.target)
        elif self._y is not None:
            column = self._y
        else:
            raise UsageError(f"{self._path}: no target column is named; name one by its number: target=-1 for the last")
        if column.ndim != 1 or not _is_number(column.dtype):
            raise InputError(
                f"{self._path}: a target of {column.dtype} with shape {column.shape}; y takes one number a row"
            )
        return _read_only(np.ascontiguousarray(column, dtype=np.float64))


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
    """X (rows, features; a NumPy array or a SciPy CSR matrix) and y (rows,) in memory: they travel with the job."""

    x: Any
    y: Array | None = None

    name: ClassVar[str] = "arrays"

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        return plan_rows(self.x.shape[0], file.size, split_bytes)

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[ArrayBlock]:
        step = max(1, block_bytes * self.x.shape[0] // max(1, split.file.size))
        row_bytes = split.file.size / self.x.shape[0]
        for start in range(split.extent.start, split.extent.end, step):
            end = min(start + step, split.extent.end)
            y = None if self.y is None else self.y[start:end]
            size = int(row_bytes * (end - start))
            yield ArrayBlock(self.x[start:end], y, EVERYTHING, split.file.path, start, size)


class ArraysInMemory(NamedTuple):
    """Arrays as an input: their format and the file that stands for them."""

    format: Arrays
    file: InputFile


def hold_arrays(X: Any, y: Any) -> ArraysInMemory:
    """The name of the file that stands for the arrays tells their contents, so that a changed input is noticed."""
    import xxhash

    x = X if hasattr(X, "tocsr") else np.asarray(X)
    x = x.tocsr() if hasattr(x, "tocsr") else x
    target = None if y is None else np.asarray(y)
    if x.ndim == 0 or (target is not None and (target.ndim != 1 or len(target) != x.shape[0])):
        shape = "none" if target is None else target.shape
        raise InputError(f"X has shape {x.shape} and y {shape}; X is (rows, features) and y (rows,), of equal length")
    parts = [x] if isinstance(x, np.ndarray) else [x.data, x.indices, x.indptr]
    parts += [] if target is None else [target]
    for part in parts:
        if part.dtype.hasobject:
            raise InputError("an array holds Python objects; give numbers: np.asarray(X, dtype=float)")
    digest = xxhash.xxh3_64(repr([(part.shape, part.dtype.str) for part in parts]).encode())
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    size = sum(part.nbytes for part in parts) if x.shape[0] else 0
    return ArraysInMemory(Arrays(x, target), InputFile(f"<arrays {digest.hexdigest()}>", size))

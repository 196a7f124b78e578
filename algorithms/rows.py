"""Which rows can be learned from? Numbers only, all of them finite: anything else is refused by name and place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import mapreduce as mr

Array = np.ndarray[Any, np.dtype[np.float64]]


def matrix_of(block: Any, names: Sequence[str] | None = None) -> Array:
    """X of a block as a dense matrix (rows, features). Raises InputError for NaN or infinity, naming row and column."""
    return _finite(dense(block), block, names)


def rows_of(block: Any, names: Sequence[str] | None = None) -> Any:
    """The same as it is stored, dense or sparse."""
    X = block.X
    return X if hasattr(X, "tocsr") else _finite(X, block, names)


def _finite(X: Array, block: Any, names: Sequence[str] | None) -> Array:
    if not np.isfinite(X.sum()) and not np.isfinite(X).all():  # the sum is a cheap first look
        row, column = np.argwhere(~np.isfinite(X))[0].tolist()
        name = f"{names[column]!r}" if names is not None else f"{column}"
        raise mr.InputError(f"{block.place(row)}: column {name} holds {X[row, column]}; drop or fill such rows first")
    return X


def dense(block: Any) -> Array:
    """X of a block as a dense matrix (rows, features), unchecked: for rows that an earlier pass has seen."""
    X = block.X
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X)


def target_of(block: Any) -> Array:
    """y of a block (rows,). Raises InputError for NaN or infinity, naming the row."""
    y = block.y
    if not np.isfinite(y.sum()) and not np.isfinite(y).all():
        row = int(np.argmin(np.isfinite(y)))
        raise mr.InputError(f"{block.place(row)}: the target holds {y[row]}; drop or fill such rows first")
    return np.asarray(y)


def labels_of(block: Any) -> Any:
    """The class of each row of a block: (rows,), text or finite numbers. Raises InputError for NaN and no value."""
    return block.labels


def classes_of(labels: Sequence[Any]) -> Any:
    """Labels as an array: whole numbers as integers."""
    if all(not isinstance(label, str) and float(label).is_integer() for label in labels):
        return np.array([int(label) for label in labels], np.int64)
    return np.array(labels)


def no_rows() -> mr.InputError:
    return mr.InputError("the input has no rows to learn from")

"""Which rows can be learned from? Numbers only, all of them finite: anything else is refused by name and place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import mapreduce as mr

Array = np.ndarray[Any, np.dtype[np.float64]]


def matrix_of(block: Any, names: Sequence[str] | None = None) -> Array:
    """X of a block as a dense matrix (rows, features). Raises InputError for NaN or infinity, naming row and column."""
    X = dense(block)
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


def checked_matrix(X: Any) -> Any:
    """An array, data frame or sparse matrix as float64 (rows, features). Raises InputError."""
    if not hasattr(X, "tocsr"):
        X = _numbers(X, "X")
    if X.ndim != 2:
        raise mr.InputError(f"X has {X.ndim} dimensions; it must have 2: rows and features")
    return X


def checked_target(y: Any, rows: int) -> Array:
    """A target (rows,) as float64. Raises UsageError where there is none, InputError for a wrong one."""
    if y is None:
        raise mr.UsageError("y is missing; pass the target of each row")
    target = _numbers(y, "y")
    if target.shape != (rows,):
        raise mr.InputError(f"y has shape {target.shape}; X has {rows} rows, so it must be ({rows},)")
    return target


def checked_labels(y: Any, rows: int) -> Any:
    """The class of each row (rows,), text or numbers. Raises UsageError where there is none, InputError for wrong
    ones."""
    if y is None:
        raise mr.UsageError("y is missing; pass the class of each row")
    labels = np.asarray(y)
    if labels.dtype.kind not in "UObiuf":
        raise mr.InputError(f"y holds {labels.dtype}, which names no classes; encode it as text or numbers")
    if labels.shape != (rows,):
        raise mr.InputError(f"y has shape {labels.shape}; X has {rows} rows, so it must be ({rows},)")
    return labels


def checked_categories(X: Any) -> Any:
    """An array or data frame of text or numbers (rows, features); where there are both, all is text."""
    found = np.asarray(X)
    if found.ndim != 2:
        raise mr.InputError(f"X has {found.ndim} dimensions; it must have 2: rows and features")
    return found.astype(str) if found.dtype.kind == "O" else found


def _numbers(values: Any, name: str) -> Array:
    try:
        return np.asarray(np.ascontiguousarray(values, np.float64))
    except (TypeError, ValueError) as error:
        raise mr.InputError(f"{name} holds what is no number: {error}; encode it as numbers") from None


def no_rows() -> mr.InputError:
    return mr.InputError("the input has no rows to learn from")

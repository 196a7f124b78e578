"""How do arrays and data frames come in? Checked by scikit-learn, refused with errors that are its and ours at once.

Loaded only where there are arrays: models of files need no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d, validate_data

import mapreduce as mr

if TYPE_CHECKING:
    from algorithms.estimator import Estimator


class NotFitted(mr.UsageError, NotFittedError):
    """A model is used before it has learned."""


class NoTarget(mr.UsageError, ValueError):
    """The estimator learns from a target, and none was given."""


class WrongType(mr.InputError, TypeError):
    """Objects that are no numbers, or a sparse matrix where none is taken."""


def checked_rows(X: Any, model: Estimator, *, is_known: bool) -> Any:
    """X as (rows, features): integers as they are, else float64; a sparse matrix in rows; text where features are
    categories. Raises InputError for anything else, and where `is_known`, for other features than the model's."""
    with _refused():
        if is_known and has_names(X):
            validate_data(model, X, reset=False, skip_check_array=True)
        rows = check_array(
            X,
            accept_sparse=False if model.takes_categories else "csr",
            dtype=None if model.takes_categories else "numeric",
            ensure_all_finite=False,
            ensure_min_samples=1 if is_known else model.least_rows,
            estimator=model,
            input_name="X",
        )
        rows = _categories(rows) if model.takes_categories else _numbers(rows)
    if is_known and rows.shape[1] != model.n_features_in_:
        raise mr.InputError(
            f"X has {rows.shape[1]} features, but {type(model).__name__} is expecting {model.n_features_in_} features "
            f"as input: {', '.join(model.feature_names_[:10])}{', ...' if model.n_features_in_ > 10 else ''}"
        )
    check_finite(rows)
    return rows


def checked_target(y: Any, model: Estimator, rows: int) -> Any:
    """The target of each row (rows,): numbers, or the classes' labels. Raises UsageError where there is none,
    InputError for a wrong one."""
    if y is None:
        raise NoTarget(f"y is missing: {type(model).__name__} requires y to be passed, but the target y is None")
    with _refused():
        target = column_or_1d(y, warn=True)
        if target.dtype.kind == "f":
            assert_all_finite(target, input_name="y")
        if model.kind == "classifier":
            check_classification_targets(_plain_labels(target))
        else:
            target = check_array(target, ensure_2d=False, dtype="numeric", ensure_all_finite=False, input_name="y")
            target = _numbers(target)
            assert_all_finite(target, input_name="y")
    if len(target) != rows:
        raise mr.InputError(f"y has {len(target)} values and X has {rows} rows; there must be one for each")
    return target


def check_finite(rows: Any) -> None:
    """Raises InputError naming the first row with NaN or infinity."""
    values = rows.data if hasattr(rows, "tocsr") else rows
    if values.dtype.kind != "f" or np.isfinite(values.sum()) or np.isfinite(values).all():  # the sum is a cheap look
        return
    if hasattr(rows, "tocsr"):
        place = int(np.argmin(np.isfinite(values)))
        row, column = int(np.searchsorted(rows.indptr, place, side="right")) - 1, int(rows.indices[place])
    else:
        row, column = np.argwhere(~np.isfinite(rows))[0].tolist()
    shown = "NaN" if np.isnan(rows[row, column]) else rows[row, column]
    raise mr.InputError(f"X, row {row}: column {column} holds {shown}; drop or fill such rows first")


def has_names(X: Any) -> bool:
    """Whether it is a data frame."""
    return hasattr(X, "columns")


def names_of(X: Any) -> list[str] | None:
    """The columns of a data frame, where these have names. Raises InputError where only some have."""
    names = list(getattr(X, "columns", ()))
    named = [name for name in names if isinstance(name, str)]
    if named and len(named) < len(names):
        other = next(name for name in names if not isinstance(name, str))
        raise WrongType(f"column {other!r} has no name of text, but others have; rename it: X.columns.astype(str)")
    return list(map(str, named)) or None


def _numbers(rows: Any) -> Any:
    is_exact = rows.dtype.kind in "iu" and not hasattr(rows, "tocsr")
    return rows if is_exact else rows.astype(np.float64, copy=False)


def _categories(rows: Any) -> Any:
    """Text or numbers; where there are both, all is text."""
    if rows.dtype.kind != "O":
        return rows
    return rows.astype(str) if any(isinstance(value, str) for value in rows.flat) else rows.astype(np.float64)


def _plain_labels(labels: Any) -> Any:
    """Numbers that came as objects as numbers."""
    if labels.dtype.kind != "O" or any(isinstance(label, str) for label in labels.tolist()):
        return labels
    return np.array(labels.tolist())


@contextmanager
def _refused() -> Iterator[None]:
    """What scikit-learn refuses is refused in its words."""
    try:
        yield
    except TypeError as error:
        raise WrongType(str(error)) from None
    except ValueError as error:
        raise mr.InputError(str(error)) from None

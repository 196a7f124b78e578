"""What do all linear models share? Their sums, powers of columns that are terms of their own, and predictions.

map     block   -> sum w [1 x y][1 x y]', exact; w = 1 without weights
reduce  a, b    -> a + b
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

import mapreduce as mr
from algorithms.metrics import RegressionMetrics, r2
from algorithms.products import product
from algorithms.rows import Array, no_rows
from algorithms.sums import ExactGram, State
from algorithms.sums_estimator import SumsEstimator


class ExactLeastSquares(mr.Fold):
    """The exact sums of all rows; with a `degree` those of the powers of each column too."""

    def __init__(self, degree: int = 1) -> None:
        self.degree = degree

    def map(self, block: Any) -> ExactGram:
        return ExactGram.of(with_powers(block.exact(), self.degree), block.exact_weights())

    def reduce(self, a: ExactGram, b: ExactGram) -> ExactGram:
        return a + b

    def zero(self) -> ExactGram:
        raise no_rows()


def with_powers(Z: mr.Slices, degree: int) -> mr.Slices:
    """[X y] with x, x^2, ..., x^degree in the place of each x, formed exactly."""
    if degree == 1:
        return Z
    X, y = Z.pick(range(Z.columns - 1)), Z.pick([Z.columns - 1])
    powers = [X]
    for _ in range(degree - 1):
        powers.append(powers[-1].times(X))
    beside = powers[0]
    for power in powers[1:]:
        beside = beside.beside(power)
    order = [power * X.columns + j for j in range(X.columns) for power in range(degree)]
    return beside.pick(order).beside(y)


def float_powers(X: Any, degree: int) -> Any:
    """The same terms of a matrix of floats."""
    if degree == 1:
        return X
    X = X.toarray() if hasattr(X, "toarray") else X
    return (X[:, :, None] ** np.arange(1, degree + 1)).reshape(len(X), -1)


class LinearModel(SumsEstimator):
    """A model that predicts b + theta'x. A subclass learns coef_ and intercept_ from the exact sums of [1 x y]."""

    kind: ClassVar[str] = "regressor"
    takes_weights: ClassVar[bool] = True

    degree: int = 1
    coef_: Array
    intercept_: float

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **how: Any) -> Self:
        """As any estimator. `sample_weight` (rows,) goes with arrays; a dataset names its column of weights."""
        if sample_weight is not None and isinstance(X, mr.Dataset):
            raise mr.UsageError("sample_weight goes with arrays; of a dataset name the column: weights='...'")
        self._sample_weight = sample_weight
        try:
            return super().fit(X, y, **how)
        finally:
            self._sample_weight = None

    def check_parameters(self) -> None:
        if self.degree < 1:
            raise mr.UsageError(f"degree is {self.degree}; it must be at least 1")

    def fold(self) -> mr.Fold:
        return ExactLeastSquares(self.degree)

    def width(self, state: Any) -> int:
        return int(state.columns - 1) // self.degree

    def cut(self, state: Any, columns: Sequence[int]) -> State:
        if self.degree > 1 or not isinstance(state, ExactGram):
            return super().cut(state, columns)
        return state.pick(columns)

    @property
    def term_names_(self) -> list[str]:
        """Names of the coefficients: those of the features, and x^2 for a square."""
        powers = ["", *(f"^{power}" for power in range(2, self.degree + 1))]
        return [name + power for name in self.feature_names_ for power in powers]

    def predict(self, X: Any) -> Array:
        """X (rows, features) times theta, plus the intercept: (rows,)."""
        return np.asarray(product(float_powers(self._rows(X), self.degree), self.coef_) + self.intercept_)

    def metrics(self) -> mr.Fold:
        return RegressionMetrics(self)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R2 on arrays."""
        return r2(self.predict(X), y, sample_weight)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """As any estimator of sums, with weights."""
        self._sample_weight = sample_weight
        try:
            return super().partial_fit(X, y)
        finally:
            self._sample_weight = None

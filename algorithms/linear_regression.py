"""Least squares: theta minimises sum (y - b - theta'x)^2, and needs one pass over the data.

    map     block   -> sum [1 x y][1 x y]', exact
    reduce  a, b    -> a + b
    finish  theta solves S_xx theta = S_xy,  b = mean(y) - theta'mean(x)    (sums/least_squares.py)

The sums do not round: text counts as the decimals that it is, floats as the binary fractions that they are. So the
model has the same bits however the rows were cut and whoever added them, and its coefficients are correctly rounded.

`sums="float"` is the way of floats, for very many columns: centred before they are squared, and merged by Chan, Golub
and LeVeque's formula, with d = m_b - m_a: m = m_a + d n_b / n, S = S_a + S_b + d d' n_a n_b / n. Raw sums of squares
would lose as many digits as the mean exceeds the standard deviation.

Sources: C.-T. Chu et al., Map-Reduce for Machine Learning on Multicore, NIPS 2006, section 3; T. Chan, G. Golub and
R. LeVeque, Algorithms for Computing the Sample Variance, 1983; see algorithms/sums for the exact sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

import mapreduce as mr
from algorithms.inference import inference
from algorithms.metrics import RegressionMetrics
from algorithms.rows import Array, matrix_of, no_rows, target_of
from algorithms.sums import ExactGram, State
from algorithms.sums.least_squares import Fit, fit
from algorithms.sums_estimator import SumsEstimator

COLLINEAR = 1e-12
"""Smallest eigenvalue of the correlation matrix, against its largest, at which columns count as collinear: below, fewer
than about 4 of 16 digits of theta would be right."""

CONSTANT = 1e-13
"""Standard deviation of a column, against its mean, at which it counts as constant: sums round as much."""


@dataclass(frozen=True, slots=True)
class GramSums:
    """All that least squares needs to know about a set of rows: how many, their means, their centred scatter.

    `mean` is (d + 1,), `scatter` (d + 1, d + 1); the last column is the target.
    """

    rows: int
    mean: Array
    scatter: Array

    @property
    def columns(self) -> int:
        return len(self.mean)

    @classmethod
    def of(cls, X: Array, y: Array) -> Self:
        Z = np.column_stack([X, y])
        mean = Z.mean(axis=0)
        Z -= mean
        return cls(len(Z), mean, Z.T @ Z)

    def __add__(self, other: Self) -> Self:
        rows = self.rows + other.rows
        step = other.mean - self.mean
        mean = self.mean + step * (other.rows / rows)
        scatter = self.scatter + other.scatter + np.outer(step, step) * (self.rows * other.rows / rows)
        return type(self)(rows, mean, scatter)


class LeastSquares(mr.Fold):
    """The sums of all rows."""

    def map(self, block: Any) -> GramSums:
        return GramSums.of(matrix_of(block, block.feature_names), target_of(block))

    def reduce(self, a: GramSums, b: GramSums) -> GramSums:
        return a + b

    def zero(self) -> GramSums:
        raise no_rows()


class ExactLeastSquares(mr.Fold):
    """The exact sums of all rows; with a `degree` those of the powers of each column too."""

    def __init__(self, degree: int = 1) -> None:
        self.degree = degree

    def map(self, block: Any) -> ExactGram:
        Z = block.exact()
        return ExactGram.of(Z if self.degree == 1 else with_powers(Z, self.degree))

    def reduce(self, a: ExactGram, b: ExactGram) -> ExactGram:
        return a + b

    def zero(self) -> ExactGram:
        raise no_rows()


def with_powers(Z: mr.Slices, degree: int) -> mr.Slices:
    """[X y] with x, x^2, ..., x^degree in the place of each x, formed exactly."""
    X, y = Z.pick(range(Z.columns - 1)), Z.pick([Z.columns - 1])
    powers = [X]
    for _ in range(degree - 1):
        powers.append(powers[-1].times(X))
    beside = powers[0]
    for power in powers[1:]:
        beside = beside.beside(power)
    order = [power * X.columns + j for j in range(X.columns) for power in range(degree)]
    return beside.pick(order).beside(y)


class LinearRegression(SumsEstimator):
    """Ordinary least squares, with `alpha` > 0 ridge regression: + alpha |theta|^2, the intercept not penalised.

    alpha: weight of the penalty
    fit_intercept: whether b is learned; else it is 0
    sums: 'exact' for the same, correctly rounded bits on any machine; 'float' where columns are very many
    degree: highest power of each column that is a term of its own; needs exact sums

    Learned are coef_ (terms,), intercept_, n_ (rows), r2_, sigma_, the standard deviation of the residuals (nan where
    no degree of freedom is left), std_error_ and intercept_error_, and condition_, that of the columns' correlations.
    Without an intercept r2_ compares with 0 instead of the mean, as in R.
    """

    name: ClassVar[str] = "linear_regression"
    kind: ClassVar[str] = "regressor"
    learned: ClassVar[tuple[str, ...]] = (
        "coef_", "intercept_", "n_", "r2_", "sigma_", "std_error_", "intercept_error_", "condition_",
        "adjusted_r2_", "f_", "rss_",
    )  # fmt: skip

    coef_: Array
    intercept_: float
    n_: int
    r2_: float
    sigma_: float
    std_error_: Array
    intercept_error_: float
    condition_: float
    adjusted_r2_: float
    f_: float
    rss_: float

    def __init__(self, alpha: float = 0.0, fit_intercept: bool = True, sums: str = "exact", degree: int = 1) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.sums = sums
        self.degree = degree

    def check_parameters(self) -> None:
        if not self.alpha >= 0:
            raise mr.UsageError(f"alpha is {self.alpha}; it must be 0 or more")
        if self.sums not in ("exact", "float"):
            raise mr.UsageError(f"sums is {self.sums!r}; choose 'exact' or 'float'")
        if self.degree < 1 or (self.degree > 1 and self.sums != "exact"):
            raise mr.UsageError(f"degree is {self.degree}; it must be at least 1, and above 1 needs sums='exact'")

    def fold(self) -> mr.Fold:
        return ExactLeastSquares(self.degree) if self.sums == "exact" else LeastSquares()

    def width(self, state: Any) -> int:
        return int(state.columns - 1) // self.degree

    def cut(self, state: Any, columns: Sequence[int]) -> State:
        if self.degree > 1 or self.sums != "exact":
            return super().cut(state, columns)
        picked: ExactGram = state.pick(columns)
        return picked

    def learn(self, state: Any) -> None:
        if isinstance(state, GramSums):
            self._solve(state)
        else:
            self._take(fit(state, self.term_names_, self.alpha, fit_intercept=self.fit_intercept))

    @property
    def term_names_(self) -> list[str]:
        """Names of the coefficients: those of the features, and x^2 for a square."""
        powers = ["", *(f"^{power}" for power in range(2, self.degree + 1))]
        return [name + power for name in self.feature_names_ for power in powers]

    def _take(self, found: Fit) -> None:
        self.coef_, self.intercept_, self.n_ = found.coef, found.intercept, found.rows
        self.r2_, self.sigma_, self.condition_ = found.r2, found.sigma, found.condition
        self.std_error_, self.intercept_error_ = found.std_error, found.intercept_error
        self.adjusted_r2_, self.f_, self.rss_ = found.adjusted_r2, found.f, found.rss

    def _solve(self, sums: GramSums) -> None:
        scatter, mean, rows = sums.scatter, sums.mean, sums.rows
        if not self.fit_intercept:
            scatter = scatter + rows * np.outer(mean, mean)
        xx, xy, yy = scatter[:-1, :-1], scatter[:-1, -1], scatter[-1, -1]
        if self.alpha == 0:
            self._check_determined(sums)
        theta = solve(xx + self.alpha * np.eye(len(xx)), xy, self.feature_names_)
        residual = max(0.0, float(yy - 2 * theta @ xy + theta @ xx @ theta))
        free = rows - len(theta) - int(self.fit_intercept)
        self.coef_ = theta
        self.intercept_ = float(mean[-1] - theta @ mean[:-1]) if self.fit_intercept else 0.0
        self.n_ = rows
        self.r2_ = float(1 - residual / yy) if yy > 0 else float("nan")
        self.sigma_ = float(np.sqrt(residual / free)) if free > 0 else float("nan")
        penalised = xx + self.alpha * np.eye(len(xx))
        inverse = np.linalg.inv(penalised)
        blur = float("nan") if self.alpha else self.sigma_  # a penalty makes classical errors meaningless
        self.std_error_ = blur * np.sqrt(np.diag(inverse))
        around = 1 / rows + mean[:-1] @ inverse @ mean[:-1]
        self.intercept_error_ = blur * float(np.sqrt(around)) if self.fit_intercept else float("nan")
        self.rss_ = residual
        share = residual / yy if yy > 0 and free > 0 else float("nan")
        self.adjusted_r2_ = float(1 - share * (rows - int(self.fit_intercept)) / max(free, 1))
        explained = (1 - share) / len(theta)
        self.f_ = float(explained / (share / free)) if share > 0 and not self.alpha else float("nan")
        scale = np.sqrt(np.outer(np.diag(penalised), np.diag(penalised)))
        self.condition_ = float(np.linalg.norm(penalised / scale, 1) * np.linalg.norm(inverse * scale, 1))

    def _check_determined(self, sums: GramSums) -> None:
        """Raise InputError where no rows or no variation determine the coefficients."""
        unknowns = len(sums.mean) - 1 + int(self.fit_intercept)
        if sums.rows < unknowns:
            raise mr.InputError(
                f"the input has {sums.rows} rows, too few to determine {unknowns} coefficients; "
                "take more rows or fewer columns (--features), or set alpha"
            )
        deviation = np.sqrt(np.diag(sums.scatter)[:-1] / sums.rows)
        varies = deviation > CONSTANT * np.abs(sums.mean[:-1])
        if self.fit_intercept and not varies.all():
            raise mr.InputError(
                f"column {self.feature_names_[int(np.argmin(varies))]!r} is constant, so its coefficient is not "
                "determined; leave it out (--features), or set alpha"
            )

    def predict(self, X: Any) -> Array:
        """X (rows, features) times theta, plus the intercept: (rows,)."""
        X = self._rows(X)
        if self.degree > 1:
            X = X.toarray() if hasattr(X, "toarray") else X
            X = (X[:, :, None] ** np.arange(1, self.degree + 1)).reshape(len(X), -1)
        return np.asarray(X @ self.coef_ + self.intercept_)

    def metrics(self) -> mr.Fold:
        return RegressionMetrics(self)

    def score(self, X: Any, y: Any) -> float:
        """R2 on arrays."""
        error = np.asarray(y) - self.predict(X)
        return float(1 - error @ error / ((y - np.mean(y)) ** 2).sum())

    def figures(self) -> dict[str, Any]:
        return {
            "coef": dict(zip(self.term_names_, self.coef_.tolist(), strict=True)),
            "intercept": self.intercept_,
            "std_error": dict(zip(self.term_names_, self.std_error_.tolist(), strict=True)),
            "intercept_error": self.intercept_error_,
            "n": self.n_,
            "r2": self.r2_,
            "adjusted_r2": self.adjusted_r2_,
            "sigma": self.sigma_,
            "condition": self.condition_,
            **self._inference(),
        }

    def _inference(self) -> dict[str, Any]:
        return inference(
            [*self.term_names_, "intercept"],
            [*self.coef_.tolist(), self.intercept_],
            [*self.std_error_.tolist(), self.intercept_error_],
            rows=self.n_,
            free=self.n_ - len(self.coef_) - int(self.fit_intercept),
            rss=self.rss_,
            f=self.f_,
        )


def solve(A: Array, b: Array, names: Sequence[str]) -> Array:
    """x of A x = b for a symmetric positive definite A, scaled to unit diagonal first.

    Raises InputError that names the columns that are collinear.
    """
    scale = np.sqrt(np.diag(A))
    if not scale.all():
        raise mr.InputError(f"column {names[int(np.argmin(scale))]!r} is zero throughout; leave it out (--features)")
    values, vectors = np.linalg.eigh(A / np.outer(scale, scale))
    if values[0] <= COLLINEAR * values[-1]:
        weights = np.abs(vectors[:, 0])
        involved = [name for name, weight in zip(names, weights, strict=True) if weight > 0.05 * weights.max()]
        raise mr.InputError(
            f"columns {', '.join(map(repr, involved))} are collinear, so their coefficients are not determined; "
            "leave one out (--features), or set alpha"
        )
    return np.asarray(vectors @ ((vectors.T @ (b / scale)) / values) / scale)

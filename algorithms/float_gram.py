"""How is least squares done with sums of floats? Centred, so that a mean far above the deviation costs no digits.

    map     block   -> n, m = mean of [x y], S = sum (z - m)(z - m)'
    reduce  a, b    -> d = m_b - m_a:  m = m_a + d n_b / n,  S = S_a + S_b + d d' n_a n_b / n
    finish  theta solves (S_xx + alpha I) theta = S_xy,  b = mean(y) - theta'mean(x)

Raw sums of squares would lose as many digits as the mean exceeds the standard deviation. With weights n, m and S are
weighted. The bits depend on where blocks end and on the processor's BLAS; sums are added in a fixed tree.

Source: T. Chan, G. Golub and R. LeVeque, Algorithms for Computing the Sample Variance, 1983.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

import mapreduce as mr
from algorithms.rows import Array, matrix_of, no_rows, target_of
from algorithms.sums.least_squares import Fit, too_few_rows

COLLINEAR = 1e-12
"""Smallest eigenvalue of the correlation matrix, against its largest, at which columns count as collinear: below, fewer
than about 4 of 16 digits of theta would be right."""

CONSTANT = 1e-13
"""Standard deviation of a column, against its mean, at which it counts as constant: sums round as much."""


@dataclass(frozen=True, slots=True)
class GramSums:
    """All that least squares needs to know about a set of rows: how many, their weight, their means, their centred
    scatter.

    `mean` is (d + 1,), `scatter` (d + 1, d + 1); the last column is the target.
    """

    rows: int
    mean: Array
    scatter: Array
    weight: float

    @property
    def columns(self) -> int:
        return len(self.mean)

    @classmethod
    def of(cls, X: Array, y: Array, weights: Array | None = None) -> Self:
        Z = np.column_stack([X, y])
        if weights is None:
            mean = Z.mean(axis=0)
            Z -= mean
            return cls(len(Z), mean, Z.T @ Z, float(len(Z)))
        weight = float(weights.sum())
        mean = weights @ Z / weight if weight else Z.mean(axis=0)
        Z -= mean
        return cls(len(Z), mean, (Z.T * weights) @ Z, weight)

    def __add__(self, other: Self) -> Self:
        weight = self.weight + other.weight
        step = other.mean - self.mean
        share = other.weight / weight if weight else 0.0
        mean = self.mean + step * share
        scatter = self.scatter + other.scatter + np.outer(step, step) * (self.weight * share)
        return type(self)(self.rows + other.rows, mean, scatter, weight)


class LeastSquares(mr.Fold):
    """The sums of all rows."""

    def map(self, block: Any) -> GramSums:
        return GramSums.of(matrix_of(block, block.feature_names), target_of(block), block.weights)

    def reduce(self, a: GramSums, b: GramSums) -> GramSums:
        return a + b

    def zero(self) -> GramSums:
        raise no_rows()


def fit_floats(sums: GramSums, names: Sequence[str], alpha: float, *, fit_intercept: bool) -> Fit:
    """Raises InputError where rows do not determine the coefficients, naming the columns."""
    scatter, mean = sums.scatter, sums.mean
    if not fit_intercept:
        scatter = scatter + sums.weight * np.outer(mean, mean)
    xx, xy, yy = scatter[:-1, :-1], scatter[:-1, -1], float(scatter[-1, -1])
    unknowns = len(xx) + int(fit_intercept)
    if alpha == 0:
        _check_determined(sums, names, unknowns, fit_intercept=fit_intercept)
    penalised = xx + alpha * np.eye(len(xx))
    theta = solve(penalised, xy, names)
    rss = max(0.0, float(yy - 2 * theta @ xy + theta @ xx @ theta))
    inverse = np.linalg.inv(penalised)
    scale = np.sqrt(np.outer(np.diag(penalised), np.diag(penalised)))
    around = 1 / sums.weight + float(mean[:-1] @ inverse @ mean[:-1])
    return fit_of_floats(
        theta,
        float(mean[-1] - theta @ mean[:-1]) if fit_intercept else None,
        np.diag(inverse),
        around,
        rows=sums.rows,
        rss=rss,
        yy=yy,
        condition=float(np.linalg.norm(penalised / scale, 1) * np.linalg.norm(inverse * scale, 1)),
        has_errors=alpha == 0,  # a penalty makes classical errors meaningless
    )


def fit_of_floats(
    theta: Array,
    intercept: float | None,
    spread: Array,
    around: float,
    *,
    rows: int,
    rss: float,
    yy: float,
    condition: float,
    has_errors: bool = True,
) -> Fit:
    """The figures of coefficients: `spread` is the diagonal of S_xx^-1, `around` the same of the intercept."""
    nan = float("nan")
    free = rows - len(theta) - int(intercept is not None)
    sigma = float(np.sqrt(rss / free)) if free > 0 else nan
    blur = sigma if has_errors else nan
    share = rss / yy if yy > 0 else nan
    explained = (1 - share) / len(theta)
    return Fit(
        coef=theta,
        intercept=intercept if intercept is not None else 0.0,
        std_error=blur * np.sqrt(spread),
        intercept_error=blur * float(np.sqrt(around)) if intercept is not None else nan,
        rows=rows,
        rss=rss,
        r2=1 - share,
        adjusted_r2=1 - share * (rows - int(intercept is not None)) / free if free > 0 else nan,
        f=explained / (share / free) if share > 0 and free > 0 and has_errors else nan,
        sigma=sigma,
        condition=condition,
        free=free,
    )


def _check_determined(sums: GramSums, names: Sequence[str], unknowns: int, *, fit_intercept: bool) -> None:
    """Raise InputError where no rows or no variation determine the coefficients."""
    if sums.rows < unknowns:
        raise too_few_rows(sums.rows, unknowns)
    deviation = np.sqrt(np.diag(sums.scatter)[:-1] / max(sums.weight, 1e-300))
    varies = deviation > CONSTANT * np.abs(sums.mean[:-1])
    if fit_intercept and not varies.all():
        raise mr.InputError(
            f"column {names[int(np.argmin(varies))]!r} is constant, so its coefficient is not determined; leave it out "
            "(--features), or set alpha"
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

"""What do penalties see of the data? Its centred moments, and the scale in which each objective measures a column.

    S = sum w (z - m)(z - m)' / W,  m = sum w z / W,  z = (x, y);   without an intercept m = 0

algorithms/elastic_net.py has the objectives' formulas: what each column's coefficient costs there. Standard deviations
are roots, so costs are the only numbers here that round: to far more bits than answers have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np

import mapreduce as mr
from algorithms.rows import no_rows
from algorithms.sums.numbers import to_float
from algorithms.sums.penalised import Penalty, Quadratic, Ratios, fixed_root
from algorithms.sums.products import Integers
from algorithms.sums.states import ExactGram

OBJECTIVES = ("sklearn", "glmnet", "spark-normal", "spark-lbfgs")


@dataclass(frozen=True, slots=True)
class Moments:
    """Exact moments of [x y]: S = numerators / over; `N` is the Gram of [1 x y] over one denominator."""

    rows: int
    weight: Fraction
    centred: bool
    N: Integers
    numerators: Integers
    over: int

    @classmethod
    def of(cls, gram: ExactGram, *, fit_intercept: bool) -> Moments:
        """Raises InputError for no rows, or no weight."""
        if not gram.rows:
            raise no_rows()
        twos, fives = int(gram.numbers.twos.max()), int(gram.numbers.fives.max())
        N = _integers(gram, twos, fives)
        W = N[0, 0]
        if not W:
            raise mr.InputError("the weights of all rows are zero; at least one must count")
        S = W * N[1:, 1:] - np.outer(N[0, 1:], N[0, 1:]) if fit_intercept else W * N[1:, 1:]
        return cls(gram.rows, Fraction(W, 2**twos * 5**fives), fit_intercept, N, S, W * W)

    def variance(self, j: int) -> Fraction:
        """Of column j, y last; about the mean, whatever is centred."""
        N = self.N
        return Fraction(N[0, 0] * N[j + 1, j + 1] - N[0, j + 1] ** 2, N[0, 0] ** 2)

    def second(self, j: int) -> Fraction:
        """S_jj."""
        return Fraction(self.numerators[j, j], self.over)

    def about(self, gram: ExactGram) -> Ratios:
        """The moments of other rows, which are some of those of a sum of both, about the means of these."""
        twos, fives = int(gram.numbers.twos.max()), int(gram.numbers.fives.max())
        own = _integers(gram, twos, fives)
        W, weight, sums, means = self.N[0, 0], own[0, 0], own[0, 1:], self.N[0, 1:]
        if not self.centred:
            return Ratios(own[1:, 1:], weight)
        cross = np.outer(means, sums)  # the scales of N cancel: m = means / W
        M = W * W * own[1:, 1:] - W * (cross + cross.T) + weight * np.outer(means, means)
        return Ratios(M, W * W * weight)

    def intercept(self, theta: list[Fraction]) -> Fraction:
        if not self.centred:
            return Fraction(0)
        W, sums = self.N[0, 0], self.N[0, 1:].tolist()
        rest: Fraction = sums[-1] - sum((t * m for t, m in zip(theta, sums[:-1], strict=True)), Fraction(0))
        return rest / int(W)


def _integers(gram: ExactGram, twos: int, fives: int) -> Integers:
    """The Gram times 2^twos 5^fives."""
    own = gram.numbers
    scales = zip(own.integers.tolist(), own.twos.tolist(), own.fives.tolist(), strict=True)
    size = gram.columns + 1
    N = np.zeros((size, size), object)
    i, j = np.triu_indices(size)
    N[i, j] = N[j, i] = _objects([value * (1 << twos - a) * 5 ** (fives - b) for value, a, b in scales])
    return N


@dataclass(frozen=True, slots=True)
class Problem:
    """A quadratic, and the penalties of weight 1 on its scaled columns."""

    moments: Moments
    quadratic: Quadratic
    lasso: Any
    ridge: Any

    @classmethod
    def of(cls, moments: Moments, objective: str, bits: int, *, is_ridge: bool = False) -> Problem:
        """`is_ridge`: scikit-learn's Ridge has an objective of its own, with r_j = alpha / W. Raises UsageError."""
        quadratic = Quadratic.of(Ratios(moments.numerators, moments.over), bits)
        features = range(quadratic.size)
        if objective == "sklearn":
            lasso, ridge = (
                [Fraction(1)] * len(features),
                [1 / moments.weight if is_ridge else Fraction(1)] * len(features),
            )
            c = [_scaled(lasso[j], -quadratic.shift[j] - quadratic.shift_y, bits) for j in features]
            r = [_scaled(ridge[j], -2 * quadratic.shift[j], bits) for j in features]
            return cls(moments, quadratic, _objects(c), _objects(r))
        correction = _correction(moments, objective)
        variance = [moments.variance(j) * correction for j in range(quadratic.size + 1)]
        y = moments.second(quadratic.size) if objective == "glmnet" else variance[-1]
        extra = bits + 64
        root_y = max(1, fixed_root(y / Fraction(4) ** quadratic.shift_y, extra))  # near 1
        c, r = [], []
        for j in features:
            scaled = variance[j] / Fraction(4) ** quadratic.shift[j]
            c.append(_scaled(Fraction(fixed_root(scaled, extra), 1 << extra), -quadratic.shift_y, bits))
            r.append(_scaled(scaled * Fraction(1 << extra, root_y), -quadratic.shift_y, bits))
        return cls(moments, quadratic, _objects(c), _objects(r))

    def penalty(self, alpha: Fraction, rho: Fraction) -> Penalty:
        """Of weight alpha, a share rho of it the first penalty."""
        return Penalty(_times(self.lasso, alpha * rho), _times(self.ridge, alpha * (1 - rho)), int(alpha) + 2)

    def largest_alpha(self, rho: Fraction) -> Fraction:
        """The least weight at which all coefficients are 0."""
        sizes = zip(self.quadratic.q, self.lasso, strict=True)
        return max((Fraction(abs(int(q)) + 1, int(c)) for q, c in sizes if c), default=Fraction(1)) / rho


def grid(largest: Fraction, ratio: float, count: int) -> list[float]:
    """Weights from the largest down to `ratio` times it, evenly spaced by their logarithms; the same on any machine."""
    top = to_float(largest)
    if math.isinf(top):
        raise mr.InputError(
            "the least penalty that makes all coefficients 0 is beyond float64; give the columns smaller units, or "
            "name alphas"
        )
    while Fraction(repr(top)) < largest:
        top = math.nextafter(top, math.inf)
    with localcontext() as context:
        context.prec = 40
        steps = [(Decimal(repr(ratio)).ln() * k / max(1, count - 1)).exp() for k in range(count)]
        return [float(Decimal(repr(top)) * step) for step in steps]


def _correction(moments: Moments, objective: str) -> Fraction:
    """From variances over n to those of the objective. Raises UsageError."""
    if objective != "spark-lbfgs":
        return Fraction(1)
    if moments.weight != moments.rows:
        raise mr.UsageError("spark-lbfgs scales weighted rows by what sums don't hold; take objective spark-normal")
    return Fraction(moments.rows, max(1, moments.rows - 1))


def _times(values: Any, factor: Fraction) -> Any:
    return values * factor.numerator // factor.denominator


def _scaled(value: Fraction, shift: int, bits: int) -> int:
    value = value * Fraction(2) ** (shift + bits)
    return value.numerator // value.denominator


def _objects(values: list[int]) -> Any:
    out = np.empty(len(values), object)
    out[:] = values
    return out

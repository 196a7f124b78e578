"""What do penalties see of the data? Its centred moments, and the scale in which each objective measures a column.

    S = sum w (z - m)(z - m)' / W,  m = sum w z / W,  z = (x, y);   without an intercept m = 0

An objective is named by whose it is. For weight alpha and share rho of the first penalty, with s_j the standard
deviation of column j and s_y that of y,

    sklearn       c_j = alpha rho            r_j = alpha (1 - rho)
    glmnet        c_j = alpha rho s_j        r_j = alpha (1 - rho) s_j^2 / s_y      s over n
    spark-normal  as glmnet: Spark's solver `normal`
    spark-lbfgs   as glmnet, with s over n - 1: Spark's solver `l-bfgs`

glmnet and Spark scale columns and y before they penalise; written for coefficients of columns as they are, that is a
weight of each its own. (Both divide alpha by s_y when they scale y: the second penalty does not scale back.)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import mapreduce as mr
from algorithms.rows import no_rows
from algorithms.sums.penalised import Penalty, Quadratic, fixed_root
from algorithms.sums.states import ExactGram

OBJECTIVES = ("sklearn", "glmnet", "spark-normal", "spark-lbfgs")


@dataclass(frozen=True, slots=True)
class Moments:
    """Exact moments of [x y]; `about_mean` are the variances whatever is centred."""

    rows: int
    weight: Fraction
    mean: list[Fraction]
    S: list[list[Fraction]]
    about_mean: list[Fraction]

    @classmethod
    def of(cls, gram: ExactGram, *, fit_intercept: bool) -> Moments:
        """Raises InputError for no rows, or no weight."""
        full = gram.matrix()
        W = full[0][0]
        if not gram.rows:
            raise no_rows()
        if not W:
            raise mr.InputError("all rows have weight 0; at least one must count")
        m = [value / W for value in full[0][1:]]
        size = range(len(m))
        S = [[Fraction(0)] * len(m) for _ in size]
        for i in size:
            for j in range(i, len(m)):
                S[i][j] = S[j][i] = full[i + 1][j + 1] / W - (m[i] * m[j] if fit_intercept else 0)
        about = [S[j][j] if fit_intercept else S[j][j] - m[j] * m[j] for j in size]
        return cls(gram.rows, W, m if fit_intercept else [Fraction(0) for _ in size], S, about)

    def intercept(self, theta: list[Fraction]) -> Fraction:
        return self.mean[-1] - sum((t * m for t, m in zip(theta, self.mean[:-1], strict=True)), Fraction(0))


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
        quadratic = Quadratic.of(moments.S, bits)
        features = range(quadratic.size)
        if objective == "sklearn":
            lasso, ridge = (
                [Fraction(1)] * len(features),
                [1 / moments.weight if is_ridge else Fraction(1)] * len(features),
            )
            c = [_scaled(lasso[j], -quadratic.shift[j] - quadratic.shift_y, bits) for j in features]
            r = [_scaled(ridge[j], -2 * quadratic.shift[j], bits) for j in features]
            return cls(moments, quadratic, _objects(c), _objects(r))
        variance = [value * _correction(moments, objective) for value in moments.about_mean]
        y = moments.S[-1][-1] if objective == "glmnet" else variance[-1]
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
        return Penalty(_times(self.lasso, alpha * rho), _times(self.ridge, alpha * (1 - rho)))

    def largest_alpha(self, rho: Fraction) -> Fraction:
        """The least weight at which all coefficients are 0."""
        sizes = zip(self.quadratic.q, self.lasso, strict=True)
        return max((Fraction(abs(int(q)) + 1, int(c)) for q, c in sizes if c), default=Fraction(1)) / rho


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

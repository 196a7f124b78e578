"""How do columns vary together? Covariances and correlations, from the exact Gram of the columns, in one pass.

    map     block   -> n, sum x, sum xx', exact                                       (transformer.py)
    reduce  a, b    -> a + b
    finish  S = sum xx' - n m m'          covariance  S_ij / (n - ddof)
            m = sum x / n                 correlation  r_ij = S_ij / sqrt(S_ii S_jj)

Every figure is correctly rounded: S is formed without rounding, a correlation is the root of an exact ratio. The test
of r_ij = 0 is that of a slope: t = r sqrt((n - 2) / (1 - r^2)), p = P(|T| > |t|) with n - 2 degrees of freedom.

Sources: K. Pearson, Note on Regression and Inheritance in the Case of Two Parents, 1895; R. Fisher, Frequency
Distribution of the Values of the Correlation Coefficient, 1915.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms import tables
from algorithms.classifier import floats_of
from algorithms.inference import shown
from algorithms.rows import Array
from algorithms.sums import ExactGram, to_float
from algorithms.sums.equations import to_root
from algorithms.tails import t_tail
from algorithms.transformer import Description, GramEstimator

MOST_SHOWN = 16
"""Columns up to which a matrix is shown as one."""


class Covariance(GramEstimator, Description):
    """The covariance matrix of the columns.

    ddof: what is taken off n in the divisor: 1 for an unbiased estimate, 0 for the most likely one

    Learned are covariance_ (features, features), mean_ (features,) and n_ (rows).
    """

    name: ClassVar[str] = "covariance"
    learned: ClassVar[tuple[str, ...]] = ("covariance_", "mean_", "n_")

    covariance_: Array
    mean_: Array

    def __init__(self, ddof: int = 1) -> None:
        self.ddof = ddof

    def check_parameters(self) -> None:
        if self.ddof < 0:
            raise mr.UsageError(f"ddof is {self.ddof}; it must be 0 or more")

    def learn(self, state: ExactGram) -> None:
        scatter = self._scatter(state)
        if scatter.rows <= self.ddof:
            raise mr.InputError(f"the input has {scatter.rows} rows, too few for ddof={self.ddof}")
        self.covariance_ = floats_of(scatter.over(scatter.rows - self.ddof))
        self.mean_ = np.array([to_float(value) for value in scatter.mean])

    def figures(self) -> dict[str, Any]:
        return {
            "n": self.n_,
            "mean": dict(zip(self.feature_names_, self.mean_.tolist(), strict=True)),
            "covariance": _by_name(self.feature_names_, self.covariance_),
        }

    def table(self) -> str | None:
        if len(self.feature_names_) > MOST_SHOWN:
            return None
        return f"{self.n_} rows\n\n{tables.square(self.feature_names_, self.covariance_)}"


class Correlation(GramEstimator, Description):
    """Pearson's correlations of the columns, and how probable they are by chance.

    Learned are correlation_ and p_ (features, features), the probability of a correlation as far from 0 between columns
    that have none, and n_ (rows).
    """

    name: ClassVar[str] = "correlation"
    learned: ClassVar[tuple[str, ...]] = ("correlation_", "p_", "n_")

    correlation_: Array
    p_: Array

    def learn(self, state: ExactGram) -> None:
        S = self._scatter(state).S
        size = range(len(S))
        for name, j in zip(self.feature_names_, size, strict=True):
            if not S[j][j]:
                raise mr.InputError(
                    f"column {name!r} is constant, so its correlations are not defined; leave it out (--features)"
                )
        self.correlation_, self.p_ = np.eye(len(S)), np.zeros((len(S), len(S)))
        free = self.n_ - 2
        for i in size:
            for j in size[:i]:
                square = S[i][j] ** 2 / (S[i][i] * S[j][j])
                r = math.copysign(to_root(square), S[i][j]) if square else 0.0
                t = to_root(square * free / (1 - square)) if square != 1 else math.inf
                self.correlation_[i, j] = self.correlation_[j, i] = r
                self.p_[i, j] = self.p_[j, i] = shown(t_tail(t, free)) if free else math.nan

    def figures(self) -> dict[str, Any]:
        return {
            "n": self.n_,
            "correlation": _by_name(self.feature_names_, self.correlation_),
            "p": _by_name(self.feature_names_, self.p_),
        }

    def table(self) -> str | None:
        if len(self.feature_names_) > MOST_SHOWN:
            return None
        names = self.feature_names_
        return (
            f"{self.n_} rows\n\n{tables.square(names, self.correlation_)}\nP of |r| as large by chance\n\n"
            f"{tables.square(names, self.p_)}"
        )


def _by_name(names: list[str], matrix: Array) -> dict[str, dict[str, float]]:
    return {name: dict(zip(names, row, strict=True)) for name, row in zip(names, matrix.tolist(), strict=True)}

"""What do exact Grams say of means and scatter? Both, without loss.

m = sum x / n,    S = sum (x - m)(x - m)' = sum xx' - n m m'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import mapreduce as mr
from algorithms.sums.fixed_point import Singular
from algorithms.sums.states import ExactGram


@dataclass(frozen=True, slots=True)
class Scatter:
    """Number, mean (d,) and scatter (d, d) of rows."""

    rows: int
    mean: list[Fraction]
    S: list[list[Fraction]]

    @classmethod
    def of(cls, gram: ExactGram) -> Scatter:
        full, n = gram.matrix(), gram.rows
        m = [value / n for value in full[0][1:]]
        size = range(len(m))
        S = [[Fraction(0)] * len(m) for _ in size]
        for i in size:
            for j in range(i, len(m)):
                S[i][j] = S[j][i] = full[i + 1][j + 1] - full[0][i + 1] * m[j]
        return cls(n, m, S)

    def over(self, divisor: Fraction | int) -> list[list[Fraction]]:
        """S / divisor."""
        return [[value / divisor for value in row] for row in self.S]


def weighted_sum(matrices: Sequence[Sequence[Sequence[Fraction]]], weights: Sequence[Fraction]) -> list[list[Fraction]]:
    """sum_k w_k A_k."""
    size = range(len(matrices[0]))
    pairs = list(zip(weights, matrices, strict=True))
    return [[sum((w * A[i][j] for w, A in pairs), Fraction(0)) for j in size] for i in size]


def towards_identity(A: list[list[Fraction]], share: Fraction, level: Fraction) -> list[list[Fraction]]:
    """(1 - share) A + share * level * 1."""
    return [
        [(1 - share) * value + (share * level if i == j else 0) for j, value in enumerate(row)]
        for i, row in enumerate(A)
    ]


def no_inverse(found: Singular, names: Sequence[str], where: str, remedy: str) -> mr.InputError:
    """The error that names the columns by which a covariance is singular."""
    involved = [names[column] for column in found.columns]
    if len(involved) == 1:
        return mr.InputError(
            f"column {involved[0]!r} is constant {where}, so the covariance has no inverse; leave it out (--features)"
            f", or {remedy}"
        )
    return mr.InputError(
        f"columns {', '.join(map(repr, involved))} are collinear {where}, so the covariance has no inverse; leave one "
        f"out (--features), or {remedy}"
    )

"""Which coefficients are meant where columns depend on each other? Of all that fit as well, those of the least norm.

    X = X_I C,  C = [I W]: the independent columns, and the others as combinations of them
    gamma = S_II^-1 S_Iy,   T = C'(C C')^-1        theta = T gamma,   Var theta = sigma^2 T S_II^-1 T'

This is what the pseudoinverse gives, found without a threshold: exact sums tell what depends on what.

Source: G. Golub and C. Van Loan, Matrix Computations, 4th edition 2013, section 5.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

Rows = list[list[Fraction]]


def spreading(columns: Sequence[int], weights: Mapping[int, Sequence[Fraction]]) -> Rows:
    """T, (all columns, independent ones): from the coefficients of `columns` to those of least norm. `weights` says how
    each other column is made of these."""
    size = len(columns) + len(weights)
    C = [[Fraction(0)] * size for _ in columns]
    for place, column in enumerate(columns):
        C[place][column] = Fraction(1)
        for other, parts in weights.items():
            C[place][other] = parts[place]
    X = _solve([[_dot(a, b) for b in C] for a in C], C)
    return [[row[j] for row in X] for j in range(size)]


def _solve(A: Rows, B: Rows) -> Rows:
    """X of A X = B, A positive definite."""
    M = [[*a, *b] for a, b in zip(A, B, strict=True)]
    for k, top in enumerate(M):
        top[:] = [value / top[k] for value in top]
        for row in M:
            if row is not top and row[k]:
                share = row[k]
                row[:] = [value - share * other for value, other in zip(row, top, strict=True)]
    return [row[len(A) :] for row in M]


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))

"""How are linear equations with integer coefficients solved so that no digit is lost?

    A X = B,  A symmetric and positive semidefinite, as all normal equations are

Few unknowns: by elimination without fractions (Bareiss 1968): each number on the way is a determinant of A's, so every
division leaves no remainder, and the solution is X = N / det. Many unknowns, where determinants grow long: a float
inverse is the preconditioner of an iteration whose residuals are exact integers. Every step gains the digits that the
inverse is good for; it ends far behind the last bit of a float64. Where it gains nothing, elimination does it.

Source: E. Bareiss, Sylvester's Identity and Multistep Integer-Preserving Gaussian Elimination, 1968; J. Wan, An
algorithm to solve integer linear systems exactly using numerical methods, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np

from algorithms.sums.numbers import to_float
from algorithms.sums.products import Integers, product

FEW = 32
"""Unknowns up to which elimination is quicker than iteration, or nearly."""
BITS = 320
"""Bits behind the point to which iteration brings the solution of a system with unit diagonal."""
SLACK = 48
"""Bits of these that the last residual may have: what rounding in each product of `size` terms leaves."""
LARGEST_NORM = 2.0**60
"""Of the inverse: the error is at most this times the residual, 2^(60 + 48 - 320) = 2^-212."""
STEPS = 60


@dataclass(frozen=True, slots=True)
class Solution:
    """X = numerators / denominator, (unknowns, right sides). Where not `exact`, an error below 2^-200 of the norm."""

    numerators: Integers
    denominator: int
    exact: bool

    def column(self, number: int) -> list[Fraction]:
        return [Fraction(value, self.denominator) for value in self.numerators[:, number].tolist()]


@dataclass(frozen=True, slots=True)
class Dependent:
    """The equations have no one solution: column `column` is the combination `weights` of the columns before it."""

    column: int
    weights: list[Fraction]


def solve(A: Integers, B: Integers) -> Solution | Dependent:
    """X of A X = B for object arrays of integers, A (p, p) symmetric, positive semidefinite."""
    if len(A) > FEW:
        found = _refine(A, B)
        if found is not None:
            return found
    return _eliminate(A, B)


@dataclass(frozen=True, slots=True)
class Basis:
    """Columns that depend on none before them, and each other column as a combination of these."""

    columns: list[int]
    weights: dict[int, list[Fraction]]


def basis_of(A: Integers) -> Basis:
    """The independent columns of X, first come first, from A = X'X of integers."""
    M = A.copy()
    columns: list[int] = []
    weights: dict[int, list[Fraction]] = {}
    last = 1
    for k in range(len(A)):
        pivot = M[k, k]
        if pivot == 0:  # positive semidefinite: then column k depends on those before it
            weights[k] = [Fraction(int(M[i, k]), int(last)) for i in columns]
            continue
        for i in range(len(A)):
            if i != k and (i > k or i in columns):
                M[i] = (pivot * M[i] - M[i, k] * M[k]) // last
        columns.append(k)
        last = pivot
    return Basis(columns, {k: [*found, *[Fraction(0)] * (len(columns) - len(found))] for k, found in weights.items()})


def _eliminate(A: Integers, B: Integers) -> Solution | Dependent:
    size = len(A)
    M = np.hstack([A, B])
    last = 1
    for k in range(size):
        pivot = M[k, k]
        if pivot == 0:  # positive semidefinite: then column k depends on those before it
            return Dependent(k, [Fraction(int(M[i, k]), int(last)) for i in range(k)])
        for i in range(size):
            if i != k:
                M[i] = (pivot * M[i] - M[i, k] * M[k]) // last
        last = pivot
    return Solution(M[:, size:], int(last), exact=True)


def _refine(A: Integers, B: Integers) -> Solution | None:
    """None where the floats see no way, or the gain is too little.

    With D = diag(2^-shift) that gives D A D a diagonal near 1: (D A D) Y = D B 2^-beta. Y is held as integers in units
    of 2^-BITS, X = D Y 2^beta.
    """
    size = len(A)
    shift = [max(1, int(A[i, i]).bit_length()) // 2 for i in range(size)]
    near = [[to_float(Fraction(int(A[i, j]), 1 << shift[i] + shift[j])) for j in range(size)] for i in range(size)]
    try:
        inverse = np.linalg.inv(np.array(near))
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(inverse).all() or np.abs(inverse).sum(axis=1).max() > LARGEST_NORM:
        return None
    bits = [[int(abs(value)).bit_length() - shift[i] for value in B[i]] for i in range(size)]
    beta = [max(0, *(row[j] for row in bits)) for j in range(B.shape[1])]
    down = _powers(shift)[:, None]
    extra = max(shift) + 64  # bits kept below the unit while dividing
    target = B * (1 << BITS + extra) // _powers(beta)[None, :]
    Y = np.zeros(B.shape, object)
    last = None
    for _ in range(STEPS):
        residual = (target - product(A, (Y << extra) // down)) // down
        largest = max(int(abs(value)) for value in residual.ravel())
        if largest.bit_length() <= extra + SLACK:
            common = max(shift)
            lift = _powers([common - s for s in shift])[:, None] * _powers(beta)[None, :]
            return Solution(Y * lift, 1 << BITS + common, exact=False)
        if last is not None and 2 * largest > last:
            return None
        last = largest
        cut = max(0, largest.bit_length() - 1000)
        step = inverse @ (residual >> cut).astype(np.float64)
        Y = Y + np.array([[(int(value) << cut) >> extra for value in row] for row in step.tolist()], object)
    return None


def _powers(exponents: list[int]) -> Integers:
    return np.array([1 << exponent for exponent in exponents], object)


def to_root(value: Fraction) -> float:
    """The square root of a number that is not negative, correctly rounded."""
    if value <= 0:
        return 0.0
    lift = 2 * max(0, 130 - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    root = isqrt((value.numerator << 2 * lift) // value.denominator)
    return to_float(Fraction(2 * root + (root * root * value.denominator != value.numerator << 2 * lift), 2 << lift))

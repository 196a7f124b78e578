"""How is least squares done in floats where the columns nearly depend on each other? By QR, without squaring them.

    map     block   -> R of [1 X y] = QR                          rows times sqrt(w) with weights
    reduce  a, b    -> R of [R_a; R_b] = QR
    finish  R = [r00 r0x' r0y; 0 Rxx rxy; 0 0 rho]:  Rxx theta = rxy,  RSS = rho^2,  b = (r0y - r0x'theta) / r00

R'R is the Gram matrix, so R is what a Cholesky factorisation of the Gram would give, but its condition is the root of
the Gram's: the sums that are never formed cannot round. R is unique once its diagonal is positive, and pairs are
combined in a fixed tree: equal for any number of workers, though not on any processor. Exact sums have more digits
(docs/accuracy.md); this is for data whose decimals are so long that exact sums are slow.

Source: J. Demmel, L. Grigori, M. Hoemmen and J. Langou, Communication-optimal Parallel and Sequential QR and LU
Factorizations, 2012.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

import mapreduce as mr
from algorithms.float_gram import fit_of_floats
from algorithms.linear_model import float_powers
from algorithms.rows import Array, matrix_of, no_rows, target_of
from algorithms.sums.least_squares import Fit, too_few_rows

DEPENDENT = 1e-13
"""What is left of a column, against its length, when those before it are taken out: below, it is rounding."""


@dataclass(frozen=True, slots=True)
class Triangle:
    """R of the rows [1 x y], (d + 2, d + 2) or with fewer rows; how many rows it stands for."""

    rows: int
    R: Array

    @property
    def columns(self) -> int:
        return int(self.R.shape[1]) - 1

    @classmethod
    def of(cls, X: Array, y: Array, weights: Array | None = None) -> Self:
        Z = np.column_stack([np.ones(len(y)), X, y])
        return cls(len(y), _upright(Z if weights is None else Z * np.sqrt(weights)[:, None]))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.rows + other.rows, _upright(np.vstack([self.R, other.R])))


def _upright(Z: Array) -> Array:
    """R of Z = QR with a diagonal that is not negative."""
    R = np.linalg.qr(Z, mode="r")
    return np.asarray(R * np.where(np.diag(R) < 0, -1.0, 1.0)[:, None])


class TallSkinnyQR(mr.Fold):
    """R of all rows."""

    def __init__(self, degree: int = 1) -> None:
        self.degree = degree

    def map(self, block: Any) -> Triangle:
        X = float_powers(matrix_of(block, block.feature_names), self.degree)
        return Triangle.of(X, target_of(block), block.weights)

    def reduce(self, a: Triangle, b: Triangle) -> Triangle:
        return a + b

    def zero(self) -> Triangle:
        raise no_rows()


def fit_triangle(state: Triangle, names: Sequence[str], *, fit_intercept: bool) -> Fit:
    """Raises InputError where rows do not determine the coefficients, naming the columns."""
    unknowns = len(names) + int(fit_intercept)
    if state.rows < unknowns:
        raise too_few_rows(state.rows, unknowns)
    R = state.R
    if len(R) < R.shape[1]:
        R = np.vstack([R, np.zeros((R.shape[1] - len(R), R.shape[1]))])
    if not fit_intercept:
        R = _upright(R[:, 1:])
    first = int(fit_intercept)
    _check_independent(R, names, first)
    Rxx, rxy, rho = R[first:-1, first:-1], R[first:-1, -1], float(R[-1, -1])
    theta = np.asarray(np.linalg.solve(Rxx, rxy), np.float64)
    inverse = np.linalg.inv(Rxx)
    length = np.linalg.norm(Rxx, axis=0)
    around = 0.0
    if fit_intercept:
        from_mean = R[0, 1:-1] @ inverse
        around = (1 + float(from_mean @ from_mean)) / float(R[0, 0]) ** 2
    return fit_of_floats(
        theta,
        float((R[0, -1] - R[0, 1:-1] @ theta) / R[0, 0]) if fit_intercept else None,
        np.asarray((inverse**2).sum(axis=1)),
        around,
        rows=state.rows,
        rss=rho**2,
        yy=_around_mean(R, first),
        condition=float(np.linalg.norm((Rxx / length).T @ (Rxx / length), 1))
        * float(np.linalg.norm((inverse * length[:, None]) @ (inverse * length[:, None]).T, 1)),
    )


def _around_mean(R: Array, first: int) -> float:
    """The target's sum of squares; 0 where it is constant but for rounding."""
    y = R[:, -1]
    own = float(np.linalg.norm(y[first:]))
    return own**2 if own > DEPENDENT * float(np.linalg.norm(y)) else 0.0


def _check_independent(R: Array, names: Sequence[str], first: int) -> None:
    for j, name in enumerate(names):
        column = R[:, first + j]
        own = column[first : first + j + 1]
        if np.linalg.norm(own) <= DEPENDENT * np.linalg.norm(column):
            what = "constant, so its coefficient is not determined" if first else "zero throughout"
            raise mr.InputError(f"column {name!r} is {what}; leave it out (--features)")
        if abs(own[-1]) <= DEPENDENT * np.linalg.norm(own):
            before = R[first : first + j, first : first + j]
            shares = np.abs(np.linalg.solve(before, own[:-1])) * np.linalg.norm(before, axis=0)
            involved = [names[i] for i in range(j) if shares[i] > 1e-6 * shares.max()] + [name]
            raise mr.InputError(
                f"columns {', '.join(map(repr, involved))} are collinear, so their coefficients are not determined; "
                "leave one out (--features)"
            )

"""How do square roots and eigenvectors keep their bits on every processor? In integers over 2^256, from exact sums.

LAPACK answers with other bits on another CPU, BLAS or number of threads. Here a number is an integer over 2^256, whose
products are shifted back; so what is computed from an exact matrix is the same everywhere. It is also right far behind
the last bit of a float64, so what is rounded at the end is correctly rounded (but for problems so ill-conditioned that
150 bits are lost on the way).

    whitening     A = L D L',  W = D^-1/2 L^-1:  W A W' = 1,  A^-1 = W'W,  log |A| = sum log d_i
    eigenvectors  A = V diag(l) V' by Jacobi's rotations, each of which makes a pair a_pq, a_qp zero

Floats do the first of Jacobi's sweeps, with additions, products and roots alone, which are the same on every processor
too; a few sweeps in integers then double the right digits each. Size 30 takes 0.1 s, size 100 a few seconds.

Source: G. Golub and C. Van Loan, Matrix Computations, 4th edition 2013, sections 4.2 and 8.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, lcm
from typing import Any

import numpy as np

from algorithms.rows import Array
from algorithms.sums.logarithms import logarithm
from algorithms.sums.numbers import to_float
from algorithms.sums.products import product

Fixed = np.ndarray[Any, np.dtype[Any]]
"""Python's integers, each over 2^BITS."""
Matrix = Sequence[Sequence[Fraction]]

BITS = 256
ONE = 1 << BITS
NAUGHT = ONE >> 150
"""What is smaller, in a matrix scaled to about 1, is what rounding left of 0."""
SMALL = ONE >> 200
"""Beside the diagonal: Jacobi's rotations have done their work."""
SMALL_FLOAT = 2.0**-50
SWEEPS = 60


@dataclass(frozen=True, slots=True)
class Whitening:
    """W, lower triangular, and log |A| of a symmetric positive definite A, (size, size)."""

    rows: list[list[Fraction]]
    log_determinant: Fraction

    def times(self, vector: Sequence[Fraction]) -> list[Fraction]:
        """W v."""
        return [sum((w * v for w, v in zip(row, vector, strict=True) if w), Fraction(0)) for row in self.rows]

    def inverse_times(self, vector: Sequence[Fraction]) -> list[Fraction]:
        """A^-1 v = W'W v."""
        white = self.times(vector)
        columns = range(len(white))
        return [sum((self.rows[i][j] * white[i] for i in columns[j:]), Fraction(0)) for j in columns]


@dataclass(frozen=True, slots=True)
class Singular:
    """A has no inverse: these columns of it are dependent; one alone is 0."""

    columns: list[int]


@dataclass(frozen=True, slots=True)
class Eigen:
    """Eigenvalues, the largest first, and eigenvectors of length 1, a row each. Of a vector the entry that is largest
    in size is positive (of several, the first)."""

    values: list[Fraction]
    vectors: list[list[Fraction]]


def whiten(A: Matrix) -> Whitening | Singular:
    """W of a symmetric positive semidefinite matrix, or why there is none."""
    size = len(A)
    lift = [_half_bits(A[i][i]) for i in range(size)]
    M = _objects([[_fixed(A[i][j], -lift[i] - lift[j]) for j in range(size)] for i in range(size)])
    M = np.hstack([M, np.diag([ONE] * size).astype(object)])
    pivots = []
    for k in range(size):
        pivot = int(M[k, k])
        if pivot < NAUGHT:
            involved = [j for j in range(k + 1) if abs(M[k, size + j]) > NAUGHT and A[k][k]]
            return Singular(involved or [k])
        pivots.append(pivot)
        below = (M[k + 1 :, k] << BITS) // pivot
        M[k + 1 :] -= (below[:, None] * M[k]) >> BITS
    roots = [isqrt(pivot << BITS) for pivot in pivots]
    rows = [
        [Fraction((int(value) << BITS) // roots[k], 1 << BITS) / _power(lift[j]) for j, value in enumerate(M[k, size:])]
        for k in range(size)
    ]
    logs = sum(
        (logarithm(Fraction(p, ONE)) + 2 * e * logarithm(Fraction(2)) for p, e in zip(pivots, lift, strict=True))
    )
    return Whitening(rows, Fraction(logs))


def eigen(A: Matrix) -> Eigen:
    """Of a symmetric matrix."""
    size = len(A)
    largest = max((abs(value) for row in A for value in row), default=Fraction(0))
    if not largest:
        return Eigen([Fraction(0)] * size, [[Fraction(int(i == j)) for j in range(size)] for i in range(size)])
    lift = 2 * _half_bits(largest) + size.bit_length()
    M = _objects([[_fixed(value, -lift) for value in row] for row in A])
    V = _orthonormal(_float_vectors(np.array([[to_float(value / _power(lift)) for value in row] for row in A])))
    M = _product(V.T, _product(M, V))
    _rotate_all(M, V)
    values = [int(value) if abs(value) > NAUGHT else 0 for value in np.diag(M)]
    order = sorted(range(size), key=lambda j: -values[j])
    vectors = [_signed([int(value) for value in V[:, j]]) for j in order]
    return Eigen([Fraction(values[j], ONE) * _power(lift) for j in order], vectors)


def float_eigen(A: Matrix) -> Eigen:
    """The same from LAPACK, to the precision of floats: other bits on other machines."""
    values, V = np.linalg.eigh(np.array([[to_float(value) for value in row] for row in A]))
    floor = np.finfo(np.float64).eps * len(A) * abs(values).max(initial=0.0)
    values = np.where(values > floor, values, 0.0)[::-1]
    vectors = V.T[::-1]
    leading = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    signed = np.where(leading < 0, -1.0, 1.0)[:, None] * vectors
    return Eigen([Fraction(value) for value in values.tolist()], [list(map(Fraction, row)) for row in signed.tolist()])


def times(A: Matrix, B: Matrix) -> list[list[Fraction]]:
    """A B, exact. Quick where denominators are powers of two, or have much in common."""
    (a, of_a), (b, of_b) = _over_common(A), _over_common(B)
    return [[Fraction(value, of_a * of_b) for value in row] for row in product(a, b).tolist()]


def _over_common(A: Matrix) -> tuple[Fixed, int]:
    common = lcm(*(value.denominator for row in A for value in row))
    return _objects([[value.numerator * (common // value.denominator) for value in row] for row in A]), common


def root(value: Fraction) -> Fraction:
    """The square root, with an error below 2^-BITS of it."""
    lift = 2 * (BITS + abs(_half_bits(value)))
    return Fraction(isqrt((value.numerator << lift) // value.denominator), 1 << lift // 2)


def _signed(vector: list[int]) -> list[Fraction]:
    """With the sign by the rule, and 0 for what rounding left of it."""
    largest = max(map(abs, vector))
    leading = next(value for value in vector if abs(value) > largest - NAUGHT)
    sign = 1 if leading > 0 else -1
    return [Fraction(sign * value, ONE) if abs(value) > NAUGHT else Fraction(0) for value in vector]


def _float_vectors(A: Array) -> Array:
    """Nearly the eigenvectors of A, as columns."""
    V = np.eye(len(A))
    for _ in range(SWEEPS):
        turned = False
        for p, q in _rounds(len(A)):
            beside = A[p, q]
            turns = np.abs(beside) > SMALL_FLOAT
            if not turns.any():
                continue
            turned = True
            apart = A[q, q] - A[p, p]
            root = np.sqrt(apart * apart + 4 * beside * beside)
            side = np.where(apart < 0, -1.0, 1.0)
            t = np.where(turns, 2 * beside * side / np.where(turns, np.abs(apart) + root, 1.0), 0.0)
            c = 1 / np.sqrt(1 + t * t)
            s = t * c
            A[p], A[q] = c[:, None] * A[p] - s[:, None] * A[q], s[:, None] * A[p] + c[:, None] * A[q]
            A[:, p], A[:, q] = c * A[:, p] - s * A[:, q], s * A[:, p] + c * A[:, q]
            V[:, p], V[:, q] = c * V[:, p] - s * V[:, q], s * V[:, p] + c * V[:, q]
        if not turned:
            break
    return V


def _rotate_all(M: Fixed, V: Fixed) -> None:
    """Jacobi's sweeps in integers, in place, until M is diagonal."""
    for _ in range(SWEEPS):
        turned = False
        for p, q in _rounds(len(M)):
            chosen = np.array([abs(M[i, j]) > SMALL for i, j in zip(p, q, strict=True)], bool)
            if not chosen.any():
                continue
            turned = True
            p, q = p[chosen], q[chosen]
            turns = [_turn(int(M[i, i]), int(M[j, j]), int(M[i, j])) for i, j in zip(p, q, strict=True)]
            c, s = _objects([turn[0] for turn in turns]), _objects([turn[1] for turn in turns])
            M[p], M[q] = _turned(M[p], M[q], c[:, None], s[:, None])
            M[:, p], M[:, q] = _turned(M[:, p], M[:, q], c, s)
            V[:, p], V[:, q] = _turned(V[:, p], V[:, q], c, s)
        if not turned:
            return


def _turn(first: int, second: int, beside: int) -> tuple[int, int]:
    """Cosine and sine of the angle that makes the entry beside the diagonal 0."""
    apart = second - first
    t = (2 * beside << BITS) // (abs(apart) + isqrt(apart * apart + 4 * beside * beside))
    t = -t if apart < 0 else t
    cosine = (ONE << BITS) // isqrt(ONE * ONE + t * t)
    return cosine, (t * cosine) >> BITS


def _turned(a: Fixed, b: Fixed, c: Fixed, s: Fixed) -> tuple[Fixed, Fixed]:
    return (c * a - s * b) >> BITS, (s * a + c * b) >> BITS


def _rounds(size: int) -> Iterator[tuple[Any, Any]]:
    """All pairs p < q, in rounds of pairs that share no number: a round robin."""
    players = list(range(size + size % 2))
    for _ in range(len(players) - 1):
        half = len(players) // 2
        pairs = [sorted(pair) for pair in zip(players[:half], reversed(players[half:]), strict=True)]
        known = [pair for pair in pairs if pair[1] < size]
        if known:
            yield np.array([pair[0] for pair in known]), np.array([pair[1] for pair in known])
        players = [players[0], players[-1], *players[1:-1]]


def _orthonormal(V: Array) -> Fixed:
    """The nearly orthonormal columns of V made so in all bits, by Gram and Schmidt."""
    Q = _objects([[_fixed(Fraction(value), 0) for value in row] for row in V.tolist()])
    for k in range(Q.shape[1]):
        length = isqrt(int(Q[:, k] @ Q[:, k]))
        Q[:, k] = (Q[:, k] << BITS) // length
        along = (Q[:, k] @ Q[:, k + 1 :]) >> BITS
        Q[:, k + 1 :] -= (Q[:, k][:, None] * along) >> BITS
    return Q


def _product(A: Fixed, B: Fixed) -> Fixed:
    return np.asarray(product(A, B) >> BITS)


def _fixed(value: Fraction, exponent: int) -> int:
    """value times 2^exponent."""
    shift = BITS + exponent
    if shift >= 0:
        return (value.numerator << shift) // value.denominator
    return value.numerator // (value.denominator << -shift)


def _half_bits(value: Fraction) -> int:
    """e with value / 4^e between 1/8 and 2, or 0 of nothing."""
    return (value.numerator.bit_length() - value.denominator.bit_length()) // 2 if value else 0


def _power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def _objects(values: Any) -> Fixed:
    return np.array(values, object)

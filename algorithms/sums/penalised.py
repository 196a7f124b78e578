"""Which coefficients minimise a quadratic with penalties on their sizes? Coordinate descent finds which are not 0.

    P(t) = t'Qt / 2 - q't + sum c_j |t_j| + sum r_j t_j^2 / 2            Q = S_xx / W, q = S_xy / W of centred rows

    descent      t_j = soft(q_j - sum_{k != j} Q_jk t_k, c_j) / (Q_jj + r_j),   soft(z, c) = sign(z) max(|z| - c, 0)
    on the face  (Q_AA + diag r_A) t_A = q_A - c_A s_A              A those that are not 0, s their signs
    certificate  |q_j - (Qt)_j - r_j t_j| <= c_j, and = c_j s_j on A

Descent is done in floats, and only says what A and s are. Then the equations on the face are solved in integers of so
many bits that every coefficient can be rounded correctly, and the certificate is checked in them: so the answer does
not depend on how it was found. Where a rounding is not certain, twice the bits are taken (Ziv 1991).

Sources: J. Friedman, T. Hastie and R. Tibshirani, Regularization Paths for Generalized Linear Models via Coordinate
Descent, 2010; for the step to the face's minimum H. Lee, A. Battle, R. Raina and A. Ng, Efficient Sparse Coding
Algorithms, 2007; for the gap S.-J. Kim et al., An Interior-Point Method for Large-Scale L1-Regularized Least Squares,
2007; A. Ziv, Fast Evaluation of Elementary Mathematical Functions with Correctly Rounded Last Bit, 1991.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from algorithms.rows import Array
from algorithms.sums.equations import Dependent, solve
from algorithms.sums.numbers import to_float
from algorithms.sums.products import Integers

BITS = (192, 448)
"""Behind the point, of columns with a variance near 1: the first suffices but for ties and conditions beyond 2^60."""
JUDGED_BITS = 128
"""Where coefficients are only judged by their errors on other rows."""
CLEAR = 1e-9
"""A violation of the certificate by more than this share is one, whatever floats round; below, integers decide."""
FLAT = 1e-14
"""Smallest eigenvalue on a face, against its largest, at which its minimum is no point."""
NEARLY_FLAT = 1e-11
"""The reciprocal of a face's condition at which its eigenvalues are asked."""
REFINEMENTS = 40


@dataclass(frozen=True, slots=True)
class Ratios:
    """A matrix of integers over one."""

    numerators: Integers
    over: int

    def fixed(self, bits: int, shifts: Sequence[int]) -> Integers:
        """Integers over 2^bits, rounded down, of rows and columns scaled by 2^-shift."""
        lift = bits - 2 * min(shifts)
        powers = np.array([[1 << lift - (bits - a - b) for b in shifts] for a in shifts], object)
        return np.asarray((self.numerators << lift) // (powers * self.over))


@dataclass(frozen=True, slots=True)
class Quadratic:
    """Q, q and y's square over W as integers over 2^bits, for columns scaled by 2^-shift_j, y by 2^-shift_y."""

    Q: Integers
    q: Integers
    yy: int
    shift: tuple[int, ...]
    shift_y: int
    bits: int

    @classmethod
    def of(cls, S: Ratios, bits: int) -> Quadratic:
        """Of the exact moments of [x y], the last row and column y's."""
        shifts = [_half_log(int(value), S.over) for value in np.diag(S.numerators)]
        M = S.fixed(bits, shifts)
        return cls(M[:-1, :-1], M[:-1, -1], int(M[-1, -1]), tuple(shifts[:-1]), shifts[-1], bits)

    def of_others(self, S: Ratios) -> Quadratic:
        """The moments of other rows in the scales of these."""
        M = S.fixed(self.bits, [*self.shift, self.shift_y])
        return replace(self, Q=M[:-1, :-1], q=M[:-1, -1], yy=int(M[-1, -1]))

    def errors(self, thetas: Integers) -> list[Fraction]:
        """The mean squared error of each column of coefficients (terms, fits) on the rows that Q and q are of."""
        unit = self.bits
        bent = (thetas * _shifted(self.Q.dot(thetas), unit)).sum(axis=0) - 2 * self.q.dot(thetas)
        scale = Fraction(4) ** self.shift_y / (1 << 2 * unit)
        return [max(Fraction(0), ((self.yy << unit) + int(value)) * scale) for value in bent]

    @property
    def size(self) -> int:
        return len(self.q)

    def fit_of(self, theta: Integers) -> FitOf:
        """How well these coefficients fit the rows that Q and q are of."""
        unit = self.bits
        (mse,) = self.errors(theta[:, None])
        yy = Fraction(self.yy, 1 << unit) * Fraction(4) ** self.shift_y
        return FitOf(to_float(mse), to_float(1 - mse / yy) if yy else math.nan)

    def coefficient(self, j: int, value: int) -> Fraction:
        """theta_j in the columns' own units."""
        return Fraction(value) * Fraction(2) ** (self.shift_y - self.shift[j] - self.bits)


Indices = np.ndarray[Any, np.dtype[np.intp]]


class FitOf(NamedTuple):
    """Mean squared error, and R2."""

    mse: float
    r2: float


class Certificate(NamedTuple):
    """How far coefficients are from the minimum: the duality gap over the objective at 0, and the error of the slopes
    over the largest slope at 0. Without any penalty the gap is nan."""

    gap: float
    kkt: float


@dataclass(frozen=True, slots=True)
class Penalty:
    """c and r for the scaled columns, as integers over 2^bits; each may be off by so many of its last places."""

    c: Integers
    r: Integers
    off: int = 1


@dataclass(frozen=True, slots=True)
class Minimum:
    """theta of the scaled columns as integers over 2^bits; `is_certain`: they round as the true minimum does."""

    theta: Integers
    converged: bool
    is_certain: bool
    sweeps: int

    @property
    def signs(self) -> Array:
        return np.array([float((value > 0) - (value < 0)) for value in self.theta])


class Descent:
    """Minimises one quadratic under several penalties, each begun where the last ended."""

    def __init__(self, quadratic: Quadratic, max_iter: int = 1000) -> None:
        self.exact = quadratic
        self.max_iter = max_iter
        unit = quadratic.bits
        self.Q = _floats(quadratic.Q, unit)
        self.q = _floats(quadratic.q, unit)
        self.theta = np.zeros(len(self.q))

    def minimise(self, penalty: Penalty) -> Minimum:
        """The minimum. Not `converged` where the certificate does not hold after max_iter sweeps."""
        unit = self.exact.bits
        c, r = _floats(penalty.c, unit), _floats(penalty.r, unit)
        for sweep in range(self.max_iter):
            if sweep or not self.theta.any():
                self._sweep(c, r)
            self._go_to_face_minimum(c, r)
            slope = self.q - self.Q @ self.theta - r * self.theta
            idle = self.theta == 0
            if (np.abs(slope[idle]) <= c[idle] * (1 + CLEAR) + CLEAR * 1e-3).all():
                found = self._polish(penalty, self._active(c), sweep + 1)
                if found is not None:
                    return found
        theta = np.array([int(value) for value in np.ldexp(self.theta, unit)], object)
        return Minimum(theta, converged=False, is_certain=False, sweeps=self.max_iter)

    def _sweep(self, c: Array, r: Array) -> None:
        """One round of coordinate descent over all coefficients."""
        theta, Q = self.theta, self.Q
        slope = self.q - Q @ theta
        below = (np.diag(Q) + r).tolist()
        for j, (limit, under) in enumerate(zip(c.tolist(), below, strict=True)):
            old = float(theta[j])
            z = float(slope[j]) + float(Q[j, j]) * old
            new = math.copysign(max(abs(z) - limit, 0.0), z) / under if under > 0 else 0.0
            if new != old:
                slope -= Q[j] * (new - old)
                theta[j] = new

    def _go_to_face_minimum(self, c: Array, r: Array) -> None:
        """To the least point with these signs; a coefficient that would change its sign on the way becomes 0."""
        theta = self.theta
        while (active := self._active(c)).size:
            M = self.Q[np.ix_(active, active)] + np.diag(r[active])
            s = np.sign(theta[active])
            step = _newton_step(M, self.q[active] - c[active] * s - M @ theta[active], s * theta[active], s)
            past = (s * (theta[active] + step) <= 0) & (c[active] > 0)
            if not past.any():
                theta[active] += step
                return
            ratio = np.where(past, s * theta[active] / np.maximum(-s * step, 1e-300), np.inf)
            first = int(np.argmin(ratio))
            theta[active] += min(1.0, float(ratio[first])) * step
            theta[active[first]] = 0.0
            theta[active[(s * theta[active] <= 0) & (c[active] > 0)]] = 0.0

    def _active(self, c: Array) -> Indices:
        """The coefficients that may move on their face: those that are not 0, and those that pay nothing for it."""
        return np.flatnonzero((self.theta != 0) | ((c == 0) & (np.diag(self.Q) > 0)))

    def _polish(self, penalty: Penalty, active: Indices, sweeps: int) -> Minimum | None:
        """The face's equations in integers, and the certificate; None where it does not hold."""
        exact, unit = self.exact, self.exact.bits
        theta = np.zeros(exact.size, object)
        error = 0
        if active.size:
            signs = np.array([1 if value > 0 else -1 for value in self.theta[active]], object)
            A = exact.Q[np.ix_(active, active)] + np.diag(penalty.r[active])
            found = _solve_fixed(A, exact.q[active] - penalty.c[active] * signs, unit, penalty.off)
            if found is None:
                return None
            theta[active], error = found
            sizes = zip(theta[active] * signs, penalty.c[active], strict=True)
            if any(size < -error and c for size, c in sizes):
                return None
            theta[active] = [0 if abs(value) <= error else value for value in theta[active]]
        slope = exact.q - _shifted(exact.Q[:, active].dot(theta[active]) + penalty.r * theta, unit)
        norm = float((np.abs(self.Q).sum(axis=1) + _floats(penalty.r, unit)).max(initial=1.0))
        size = max((abs(int(value)) for value in theta), default=0) >> unit
        slack = 2 * exact.size + int(2 * norm * (error + 1)) + 2 * penalty.off * (1 + size)
        if any(abs(value) > limit + slack for value, limit in zip(slope, penalty.c, strict=True)):
            return None
        is_certain = all(float(value - error) == float(value + error) for value in theta[active])
        return Minimum(theta, converged=True, is_certain=is_certain, sweeps=sweeps)


def _newton_step(M: Array, slope: Array, sizes: Array, s: Array) -> Array:
    """To the minimum; where the face is flat, along the flat direction until a coefficient is 0."""
    try:
        inverse = np.linalg.inv(M)
        if NEARLY_FLAT * float(np.abs(inverse).sum(axis=1).max() * np.diag(M).max()) < 1:
            return np.asarray(inverse @ slope)
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(M)
    if values[0] > FLAT * values[-1]:
        return np.asarray(vectors @ (vectors.T @ slope / values))
    flat = vectors[:, 0] * (1.0 if float(vectors[:, 0] @ slope) >= 0 else -1.0)
    if not (s * flat < 0).any():
        flat = -flat
    ratios = [size / -turn for size, turn in zip(sizes, s * flat, strict=True) if turn < 0]
    if not ratios:  # of coefficients that pay nothing
        steep = values > FLAT * values[-1]
        return np.asarray(vectors[:, steep] @ (vectors[:, steep].T @ slope / values[steep]))
    return np.asarray(flat * (min(ratios) * (1 + 1e-12)))


def _solve_fixed(A: Integers, b: Integers, unit: int, off: int) -> tuple[Integers, int] | None:
    """t of A t = b, all over 2^unit, and a bound of its error; None where A is singular. `off`: of numbers in A and b.

    A float inverse is the preconditioner; residuals are integers, so each step gains the digits it is good for.
    """
    size = len(b)
    near = _floats(A, unit)
    try:
        inverse = np.linalg.inv(near)
    except np.linalg.LinAlgError:
        return None
    norm = float(np.abs(inverse).sum(axis=1).max())
    t = np.zeros(size, object)
    residual, last = b, None
    for _ in range(REFINEMENTS):
        largest = max(abs(int(value)) for value in residual)
        if largest <= 2 or (last is not None and 2 * largest > last):
            break
        last = largest
        t = t + np.array([int(value) for value in inverse @ residual.astype(np.float64)], object)
        residual = b - _shifted(A.dot(t), unit)
    if not math.isfinite(norm) or largest.bit_length() > 40 + size.bit_length():
        return _solve_by_elimination(A, b, unit)
    # so far may each equation be from what it should be; the error is at most twice the norm of the inverse by that
    wrong = largest + (off + 1) * (2 + (sum(abs(int(value)) for value in t) >> unit))
    return t, int(2 * norm * wrong) + 1


def _solve_by_elimination(A: Integers, b: Integers, unit: int) -> tuple[Integers, int] | None:
    found = solve(A, b[:, None])
    if isinstance(found, Dependent):
        return None
    t = np.array([(int(value) << unit) // found.denominator for value in found.numerators[:, 0]], object)
    return t, 1 << unit // 2


def rounded(quadratic: Quadratic, coef: Array) -> Integers:
    """theta of the scaled columns, from coefficients of columns as they are."""
    shifts = [quadratic.shift[j] - quadratic.shift_y + quadratic.bits for j in range(quadratic.size)]
    values = [_fixed(Fraction(value), shift) for value, shift in zip(coef.tolist(), shifts, strict=True)]
    return np.array(values, object)


def certificate(quadratic: Quadratic, penalty: Penalty, theta: Integers) -> Certificate:
    unit = quadratic.bits
    fitted = _shifted(quadratic.Q.dot(theta), unit)
    slope = quadratic.q - fitted
    inner = slope - _shifted(penalty.r * theta, unit)
    c, r, t, g = (values.tolist() for values in (penalty.c, penalty.r, theta, inner))
    off = [abs(g[j] - (c[j] if t[j] > 0 else -c[j])) if t[j] else max(abs(g[j]) - c[j], 0) for j in range(len(t))]
    largest = max(map(abs, quadratic.q.tolist()), default=0)
    kkt = to_float(Fraction(max(off, default=0), largest)) if largest else 0.0
    yy = Fraction(quadratic.yy, 1 << unit)
    if not yy:
        return Certificate(0.0, kkt)
    cross, bent = (Fraction(int(theta @ values), 1 << 2 * unit) for values in (quadratic.q, fitted))
    rest = yy - 2 * cross + bent
    cost = Fraction(sum(a * abs(b) for a, b in zip(c, t, strict=True)), 1 << 2 * unit)
    bend = Fraction(sum(a * b * b for a, b in zip(r, t, strict=True)), 1 << 3 * unit)
    varying = [j for j in range(len(t)) if quadratic.Q[j, j]]
    if all(r[j] for j in varying):  # the residual is feasible: the second penalty's conjugate is finite everywhere
        u = slope.tolist()
        over = sum((Fraction(max(abs(u[j]) - c[j], 0) ** 2, r[j] << unit) for j in varying), Fraction(0))
        gap = rest + cost + bend / 2 - yy + cross + over / 2
    elif all(c[j] for j in varying):  # the residual is feasible when it is shrunk until no slope exceeds c
        shrink = min([Fraction(1), *(Fraction(c[j], abs(g[j])) for j in varying if g[j])])
        gap = (1 + shrink * shrink) * (rest + bend) / 2 + cost - shrink * (yy - cross)
    else:
        return Certificate(math.nan, kkt)
    return Certificate(to_float(max(gap, Fraction(0)) / (yy / 2)), kkt)


def fixed_root(value: Fraction, bits: int) -> int:
    """The square root over 2^bits, rounded down."""
    return math.isqrt((value.numerator << 2 * bits) // value.denominator) if bits >= 0 else 0


def _fixed(value: Fraction, bits: int) -> int:
    """The number over 2^bits, rounded down."""
    return (
        (value.numerator << bits) // value.denominator if bits >= 0 else value.numerator // (value.denominator << -bits)
    )


def _half_log(value: int, over: int) -> int:
    """About half the binary logarithm of a ratio."""
    return (value.bit_length() - over.bit_length()) // 2 if value else 0


def _floats(values: Integers, unit: int) -> Array:
    most = 1 << 1000  # what is beyond float64 is as good as this for a descent that is checked in integers
    return np.asarray(np.ldexp(np.clip(values, -most, most).astype(np.float64), -unit))


def _shifted(values: Integers, unit: int) -> Integers:
    out: Any = values >> unit
    return np.asarray(out)

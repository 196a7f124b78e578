"""What does one column more or less do to a regression? A sweep of its sums says so, for every column at once.

    T = [S_xx S_xy; S_yx S_yy]        sweep k:  T_kk = -1/d,  T_ik = T_ik/d,  T_ij = T_ij - T_ik T_kj / d,  d = T_kk

After columns A are swept in, T_Ay holds their coefficients, T_yy the residual sum of squares, T_AA the negative inverse
of S_AA; and with column j in (if it is out) or out (if it is in), RSS would be T_yy - T_jy^2 / T_jj. Swept once more, a
column is out again.

T is kept as integers over one denominator. Both are minors of S, so every division leaves no remainder (Bareiss), and
nothing rounds however often columns go in and out: the textbook's sweep must be begun afresh now and then.

Sources: A. Beaton, The Use of Special Matrix Operators in Statistical Calculus, 1964; J. Goodnight, A Tutorial on the
SWEEP Operator, 1979; E. Bareiss, Sylvester's Identity and Multistep Integer-Preserving Gaussian Elimination, 1968.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from algorithms.sums.products import Integers


@dataclass(frozen=True, slots=True)
class Tableau:
    """T = N / det, the last row and column the target's; `chosen` are swept in."""

    N: Integers
    det: int
    chosen: frozenset[int]

    @classmethod
    def of(cls, S: Integers) -> Tableau:
        """Of the moments of [x y] times any one number."""
        common = math.gcd(*(int(value) for value in S.ravel())) or 1
        return cls(S // common, 1, frozenset())

    @property
    def columns(self) -> int:
        return len(self.N) - 1

    def residual(self) -> Fraction:
        """RSS, in units of S."""
        return Fraction(int(self.N[-1, -1]), self.det)

    def residual_with(self, column: int) -> Fraction | None:
        """RSS if this column changed sides; None where it depends on those that are in."""
        pivot, own = int(self.N[column, column]), int(self.N[column, -1])
        return Fraction(int(self.N[-1, -1]) * pivot - own * own, self.det * pivot) if pivot else None

    def sweep(self, column: int) -> Tableau:
        """With this column on the other side. It must not depend on those that are in."""
        N, k = self.N, column
        pivot = int(N[k, k])
        sign = -1 if k in self.chosen else 1
        swept = sign * (N * pivot - np.outer(N[:, k], N[k, :])) // self.det
        swept[:, k] = swept[k, :] = N[:, k]
        swept[k, k] = -sign * self.det
        return Tableau(swept, sign * pivot, self.chosen ^ {k})

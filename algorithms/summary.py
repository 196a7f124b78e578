"""How are the columns distributed? Count, mean, variance, skewness and kurtosis from exact power sums, in one pass.

    map     block   -> n, sum x, sum x^2, sum x^3, sum x^4, min, max of each column, exact
    reduce  a, b    -> a + b
    finish  m = sum x / n;  m_k = sum (x - m)^k / n, expanded in the sums

    variance  sum (x - m)^2 / (n - 1)      skewness  m_3 / m_2^(3/2)      kurtosis  m_4 / m_2^2 - 3

Expanding is what a textbook warns of: with rounded sums nearly all digits cancel. These sums are exact, so nothing is
lost: mean, variance, deviation and kurtosis are correctly rounded, skewness to the last bit or next to it. Where all
values are equal, skewness and kurtosis are nan.

Source: T. Chan, G. Golub and R. LeVeque, Algorithms for Computing the Sample Variance, 1983, on what rounding does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mapreduce as mr
from algorithms.rows import no_rows
from algorithms.sums import PowerSums, to_float
from algorithms.sums.equations import to_root


class Summary(mr.Fold):
    """Count, mean, variance, standard deviation, skewness, kurtosis, min and max of each column of numbers."""

    input_format = "csv"

    def map(self, block: Any) -> NamedSums:
        slices = block.exact(target=False)
        names = getattr(block, "feature_names", None) or [f"x{number}" for number in range(slices.columns)]
        return NamedSums(tuple(names), PowerSums.of(slices))

    def reduce(self, a: NamedSums, b: NamedSums) -> NamedSums:
        return NamedSums(a.names, a.sums + b.sums)

    def zero(self) -> NamedSums:
        raise no_rows()

    def finish(self, partial: NamedSums) -> dict[str, dict[str, float]]:
        sums = partial.sums
        ends: Sequence[Any] = sums.ends or [(Fraction(0), Fraction(0))] * sums.columns
        columns = zip(partial.names, sums.sums(), ends, strict=True)
        return {name: figures_of(sums.rows, powers, *pair) for name, powers, pair in columns}


@dataclass(frozen=True, slots=True)
class NamedSums:
    """Power sums and the names of their columns."""

    names: tuple[str, ...]
    sums: PowerSums

    def digest(self) -> str:
        return self.sums.digest()


def figures_of(rows: int, powers: Sequence[Fraction], low: Fraction, high: Fraction) -> dict[str, float]:
    """The figures of a column of `rows` values, from the sums of their first four powers."""
    m, s2, s3, s4 = (power / rows for power in powers)
    m2 = s2 - m * m
    m3 = s3 - 3 * m * s2 + 2 * m**3
    m4 = s4 - 4 * m * s3 + 6 * m * m * s2 - 3 * m**4
    variance = m2 * rows / (rows - 1) if rows > 1 else None
    return {
        "count": rows,
        "mean": to_float(m),
        "variance": math.nan if variance is None else to_float(variance),
        "deviation": math.nan if variance is None else to_root(variance),
        "skewness": math.copysign(to_root(m3 * m3 / m2**3), m3) if m2 else math.nan,
        "kurtosis": to_float(m4 / (m2 * m2) - 3) if m2 else math.nan,
        "min": to_float(low),
        "max": to_float(high),
    }

"""How are the columns distributed? Count, mean, variance, skewness and kurtosis from exact power sums, in one pass.

    map     block   -> n, sum x, sum x^2, sum x^3, sum x^4, min, max of each column, exact
    reduce  a, b    -> a + b
    finish  m = sum x / n;  m_k = sum (x - m)^k / n, expanded in the sums

    variance  sum (x - m)^2 / (n - 1)      skewness  m_3 / m_2^(3/2)      kurtosis  m_4 / m_2^2 - 3

Expanding is what a textbook warns of: with rounded sums nearly all digits cancel. These sums are exact, so nothing is
lost: mean, variance, deviation and kurtosis are correctly rounded, skewness to the last bit or next to it. Where all
values are equal, skewness and kurtosis are nan.

`mapreduce run summary` prints the figures; `mapreduce fit summary` makes a model of them, whose sums can be kept, and
gives quantiles too, in a few more passes (quantiles.py).

Source: T. Chan, G. Golub and R. LeVeque, Algorithms for Computing the Sample Variance, 1983, on what rounding does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms import tables
from algorithms.classifier import decimal, exact_rows
from algorithms.quantiles import quantiles_of
from algorithms.rows import Array, no_rows
from algorithms.sums import PowerSums, State, to_float
from algorithms.sums.equations import to_root
from algorithms.transformer import Description

NAMES = ("mean", "variance", "deviation", "skewness", "kurtosis", "min", "max")
"""The figures of a column but for the count, which is that of the rows."""


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
        return dict(zip(partial.names, all_figures(sums), strict=True))


@dataclass(frozen=True, slots=True)
class NamedSums:
    """Power sums and the names of their columns."""

    names: tuple[str, ...]
    sums: PowerSums

    def digest(self) -> str:
        return self.sums.digest()


def all_figures(sums: PowerSums) -> list[dict[str, float]]:
    """The figures of each column. Raises InputError for no rows."""
    if not sums.rows:
        raise no_rows()
    ends: Sequence[Any] = sums.ends or [(None, None)] * sums.columns
    return [figures_of(sums.rows, powers, *pair) for powers, pair in zip(sums.sums(), ends, strict=True)]


def figures_of(rows: int, powers: Sequence[Fraction], low: Fraction | None, high: Fraction | None) -> dict[str, float]:
    """The figures of a column of `rows` values, from the sums of their first four powers. An end that is not known,
    because rows were taken away, is nan."""
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
        "skewness": to_root(m3 * m3 / m2**3) * (-1 if m3 < 0 else 1) if m2 else math.nan,
        "kurtosis": to_float(m4 / (m2 * m2) - 3) if m2 else math.nan,
        "min": math.nan if low is None else to_float(low),
        "max": math.nan if high is None else to_float(high),
    }


class PowersOfFeatures(mr.Fold):
    """The power sums of all columns."""

    def map(self, block: Any) -> PowerSums:
        return PowerSums.of(exact_rows(block))

    def reduce(self, a: PowerSums, b: PowerSums) -> PowerSums:
        return a + b

    def zero(self) -> PowerSums:
        raise no_rows()


class SummaryStatistics(Description):
    """Count, mean, variance, deviation, skewness, kurtosis, min, max and quantiles of each column.

    quantiles: which ones, 0 to 1, such as 0.25,0.5,0.75; none for none, which takes one pass

    Learned are n_ (rows), mean_, variance_, deviation_, skewness_, kurtosis_, min_, max_ (features,) and quantile_
    (quantiles, features).
    """

    name: ClassVar[str] = "summary"
    needs_target: ClassVar[bool] = False
    learned: ClassVar[tuple[str, ...]] = (
        "n_", "mean_", "variance_", "deviation_", "skewness_", "kurtosis_", "min_", "max_", "quantile_",
    )  # fmt: skip

    n_: int
    mean_: Array
    variance_: Array
    deviation_: Array
    skewness_: Array
    kurtosis_: Array
    min_: Array
    max_: Array
    quantile_: Array

    def __init__(self, quantiles: list[float] | None = None) -> None:
        self.quantiles = quantiles

    def check_parameters(self) -> None:
        wrong = [p for p in self.quantiles or () if not 0 <= p <= 1]
        if wrong:
            raise mr.UsageError(f"quantiles holds {wrong[0]}; each must be from 0 to 1")

    def fold(self) -> mr.Fold:
        return PowersOfFeatures()

    def width(self, state: PowerSums) -> int:
        return state.columns

    def cut(self, state: PowerSums, columns: Sequence[int]) -> PowerSums:
        return state.pick([column for column in columns if column < state.columns])  # the target has no part in it

    def learn(self, state: PowerSums) -> None:
        found = all_figures(state)
        self.n_ = state.rows
        for name in NAMES:
            setattr(self, f"{name}_", np.array([figures[name] for figures in found]))
        self.quantile_ = np.zeros((0, len(found)))

    def fit_sums(self, state: State, names: list[str], target: str | None = None) -> None:
        if self.quantiles:
            raise mr.UsageError("quantiles do not follow from sums; leave them out, or fit without keeping sums")
        super().fit_sums(state, names, target)

    def _fit(self, engine: mr.Engine, dataset: mr.Dataset, names: Any, observer: Any) -> None:
        if not self.quantiles or self.kept_sums_ is not None:
            super()._fit(engine, dataset, names, observer)
            return
        self.check_parameters()
        rows = engine.cache(dataset)
        state = engine.run(self.fold(), rows, observer=observer).value
        self.feature_names_ = names.of(state.columns)
        self.learn(state)
        self.state_ = state
        probabilities = [decimal(p) for p in self.quantiles]
        self.quantile_ = quantiles_of(engine, rows, state.rows, state.columns, probabilities, observer)

    def figures(self) -> dict[str, Any]:
        columns = {}
        for j, name in enumerate(self.feature_names_):
            figures: dict[str, Any] = {each: float(getattr(self, f"{each}_")[j]) for each in NAMES}
            if self.quantiles:
                values = self.quantile_[:, j].tolist()
                figures["quantile"] = {f"{p:g}": value for p, value in zip(self.quantiles, values, strict=True)}
            columns[name] = figures
        return {"n": self.n_, "columns": columns}

    def table(self) -> str:
        shown = ("mean", "deviation", "skewness", "kurtosis", "min")
        asked = [f"{p:.10g}" for p in self.quantiles or ()]
        rows = [
            [
                name,
                *(float(getattr(self, f"{each}_")[j]) for each in shown),
                *self.quantile_[:, j].tolist(),
                self.max_[j],
            ]
            for j, name in enumerate(self.feature_names_)
        ]
        return f"{self.n_} rows\n\n{tables.columns(['column', *shown, *asked, 'max'], rows)}"

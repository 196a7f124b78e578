"""Do the groups differ in their means? One-way analysis of variance, from exact sums, in one pass.

    map     block   -> n_g, sum y, sum y^2 of each group g, exact
    reduce  a, b    -> a + b
    finish  m_g = sum y / n_g,  m the mean of all,  k groups of n rows in all

            between  SS_b = sum_g n_g (m_g - m)^2      k - 1 degrees of freedom
            within   SS_w = sum (y - m_g)^2            n - k
            F = (SS_b / (k - 1)) / (SS_w / (n - k)),   p = P(F_{k-1, n-k} > F)
            eta^2 = SS_b / SS,   omega^2 = (SS_b - (k - 1) MS_w) / (SS + MS_w),   SS = SS_b + SS_w

Sums of squares of numbers like 1000000000000.4 cancel to nothing in floats. These sums are exact, decimals are taken as
they stand in the text: every figure but p is correctly rounded. The response is the target, the groups are the one
feature, text or numbers.

Sources: R. Fisher, Statistical Methods for Research Workers, 1925; S. Simon and J. Lesage, Assessing the Accuracy of
ANOVA Calculations in Statistical Software, 1989.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms import tables
from algorithms.inference import shown
from algorithms.rows import Array, classes_of, no_rows, target_of
from algorithms.sums import ClassSums, to_float
from algorithms.sums.equations import to_root
from algorithms.tails import f_tail
from algorithms.transformer import Description


class SumsByGroup(mr.Fold):
    """Number of rows, sum y and sum y^2 of each group."""

    def map(self, block: Any) -> ClassSums:
        groups = block.categories()
        if len(groups) != 1:
            raise mr.UsageError(
                f"one-way ANOVA compares the groups of one column, not of {len(groups)}; name it with --features COLUMN"
            )
        y = _exact_target(block)
        return ClassSums.of(y.beside(y.times(y)), groups[0])

    def reduce(self, a: ClassSums, b: ClassSums) -> ClassSums:
        return a + b

    def zero(self) -> ClassSums:
        raise no_rows()


class Anova(Description):
    """One-way analysis of variance: the target is the response, the one feature names the groups.

    Learned are f_, p_, eta2_, omega2_ and sigma_ (the standard deviation within groups); df_, ss_ and ms_ (2,), degrees
    of freedom, sums of squares and mean squares between and within groups; groups_, counts_, means_ and deviations_
    (groups,).
    """

    name: ClassVar[str] = "anova"
    takes_categories: ClassVar[bool] = True
    learned: ClassVar[tuple[str, ...]] = (
        "f_", "p_", "eta2_", "omega2_", "sigma_", "df_", "ss_", "ms_", "groups_", "counts_", "means_", "deviations_",
    )  # fmt: skip

    f_: float
    p_: float
    eta2_: float
    omega2_: float
    sigma_: float
    df_: Any
    ss_: Array
    ms_: Array
    groups_: Any
    counts_: Any
    means_: Array
    deviations_: Array

    def fold(self) -> mr.Fold:
        return SumsByGroup()

    def width(self, state: ClassSums) -> int:
        return 1

    def learn(self, state: ClassSums) -> None:
        groups = sorted(state.states)
        counts = [state.states[group].rows for group in groups]
        n, k = sum(counts), len(groups)
        if k < 2:
            raise mr.InputError(f"all rows are in one group, {groups[0]!r}; ANOVA compares at least 2")
        if n == k:
            raise mr.InputError(f"each of the {k} groups has one row, so nothing varies within groups; add rows")
        sums = [state.states[group].sums() for group in groups]  # [sum y, sum y^2]
        within = [q - s * s / c for (s, q), c in zip(sums, counts, strict=True)]
        whole, squares = sum((s for s, _ in sums), Fraction(0)), sum((q for _, q in sums), Fraction(0))
        total, inner = squares - whole * whole / n, sum(within, Fraction(0))
        self._take(total - inner, inner, k - 1, n - k)
        self.groups_, self.counts_ = classes_of(groups), np.array(counts, np.int64)
        self.means_ = np.array([to_float(s / c) for (s, _), c in zip(sums, counts, strict=True)])
        self.deviations_ = np.array(
            [to_root(w / (c - 1)) if c > 1 else math.nan for w, c in zip(within, counts, strict=True)]
        )

    def _take(self, between: Fraction, within: Fraction, upper: int, lower: int) -> None:
        total, upper_ms, lower_ms = between + within, between / upper, within / lower
        if not total:
            raise mr.InputError("all rows have the same response; there is no variance to analyse")
        self.f_ = to_float(upper_ms / lower_ms) if within else math.inf
        self.p_ = shown(f_tail(self.f_, upper, lower))
        self.eta2_ = to_float(between / total)
        self.omega2_ = to_float((between - upper * lower_ms) / (total + lower_ms))
        self.sigma_ = to_root(lower_ms)
        self.df_ = np.array([upper, lower], np.int64)
        self.ss_ = np.array([to_float(between), to_float(within)])
        self.ms_ = np.array([to_float(upper_ms), to_float(lower_ms)])

    def figures(self) -> dict[str, Any]:
        groups = self.groups_.tolist()
        sources = ("between", "within")
        return {
            "n": int(self.counts_.sum()),
            "f": self.f_,
            "p": self.p_,
            "df": dict(zip(sources, self.df_.tolist(), strict=True)),
            "sum_of_squares": dict(zip(sources, self.ss_.tolist(), strict=True)),
            "mean_square": dict(zip(sources, self.ms_.tolist(), strict=True)),
            "eta2": self.eta2_,
            "omega2": self.omega2_,
            "sigma": self.sigma_,
            "count": dict(zip(groups, self.counts_.tolist(), strict=True)),
            "mean": dict(zip(groups, self.means_.tolist(), strict=True)),
            "deviation": dict(zip(groups, self.deviations_.tolist(), strict=True)),
        }

    def table(self) -> str:
        (upper, lower), (between, within) = self.df_.tolist(), self.ss_.tolist()
        rows = [
            [self.feature_names_[0], upper, between, float(self.ms_[0]), self.f_, self.p_],
            ["residuals", lower, within, float(self.ms_[1]), None, None],
        ]
        groups = zip(
            map(str, self.groups_), self.counts_.tolist(), self.means_.tolist(), self.deviations_.tolist(), strict=True
        )
        return (
            f"{tables.columns(['source', 'df', 'sum of squares', 'mean square', 'F', 'p'], rows)}\n"
            f"{tables.listed({'eta^2': self.eta2_, 'omega^2': self.omega2_, 'sigma': self.sigma_})}\n"
            f"{tables.columns(['group', 'n', 'mean', 'deviation'], groups)}"
        )


def _exact_target(block: Any) -> mr.Slices:
    """y alone as exact numbers: the features may be text."""
    if hasattr(block, "exact_columns"):
        slices: mr.Slices = block.exact_columns([block.target_name()])
        return slices
    return mr.Slices.of(target_of(block))

"""Which columns does a regression need? Those that a criterion chooses, step by step or among all subsets.

    aic       n log(RSS / n) + 2 k            k coefficients, the intercept included
    bic       n log(RSS / n) + k log n
    adj_r2    - (1 - RSS / (n - k) / (TSS / (n - 1)))

    map     block   -> sum w [1 x y][1 x y]', exact
    reduce  a, b    -> a + b
    finish  forward    from none, while a column lowers the criterion: in with the one that lowers it most
            backward   from all, out likewise
            both       from all (from none where rows are too few), in or out, as R's step()
            best       the least of all subsets, by branch and bound: a subset of a set has no smaller RSS

Every RSS is exact and comes from one sweep of the sums (sums/sweep.py); no step reads a row. Criteria are compared by
12 digits; of equals fewer columns win, then the first. Columns that depend on those chosen are never taken.

The errors, t and p that follow are those of ordinary least squares on the chosen columns. They do not know that the
columns were chosen by the same rows, so they promise too much.

Sources: M. Efroymson, Multiple Regression Analysis, 1960; G. Furnival and R. Wilson, Regressions by Leaps and Bounds,
1974; H. Akaike, A New Look at the Statistical Model Identification, 1974; G. Schwarz, Estimating the Dimension of a
Model, 1978.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms.inference import Errors, shown
from algorithms.linear_regression import LinearRegression
from algorithms.sums import ExactGram, to_float
from algorithms.sums.least_squares import Fit, fit
from algorithms.sums.moments import Moments
from algorithms.sums.sweep import Tableau
from algorithms.tables import columns

MOST_SUBSETS = 30_000
"""Sweeps of `best` before it gives up: some half a minute."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a subset costs: the less the better. RSS and TSS are in sums' units, `unit` makes them the target's."""

    name: str
    rows: int
    has_intercept: bool
    total: Fraction
    unit: Fraction

    def of(self, residual: Fraction, terms: int) -> float:
        """Of the residual in the units of `total`. Infinite where no degree of freedom is left."""
        unknowns = terms + int(self.has_intercept)
        free = self.rows - unknowns
        if free <= 0:
            return math.inf
        if self.name == "adj_r2":
            share = residual / self.total * Fraction(self.rows - int(self.has_intercept), free)
            return shown(to_float(share) - 1)
        if not residual:
            return -math.inf
        price = 2.0 if self.name == "aic" else math.log(self.rows)
        return shown(self.rows * _log(residual * self.unit / self.rows) + price * unknowns)


@dataclass(frozen=True, slots=True)
class Step:
    """A column that went in or out, how many are in then, and their AIC, BIC or adjusted R2."""

    change: str
    terms: int
    cost: float


class StepwiseRegression(LinearRegression):
    """Least squares on the columns that a criterion chooses.

    select: 'both', 'forward', 'backward' or 'best'
    criterion: 'aic', 'bic' or 'adj_r2'
    fit_intercept: whether b is learned; else it is 0. It is never chosen away
    degree: highest power of each column that is a term of its own, chosen or not for itself
    confidence: share of the samples whose intervals hold the true coefficient, had the columns been given

    Learned is what LinearRegression learns, with coefficients of 0 for columns that were not chosen, and selected_,
    the names of those that were, steps_, and criterion_, what they cost.
    """

    name: ClassVar[str] = "stepwise_regression"
    least_rows: ClassVar[int] = 2
    learned: ClassVar[tuple[str, ...]] = (*LinearRegression.learned, "selected_", "steps_", "criterion_")

    selected_: list[str]
    steps_: list[list[Any]]
    criterion_: float

    def __init__(
        self,
        select: str = "both",
        criterion: str = "aic",
        fit_intercept: bool = True,
        degree: int = 1,
        confidence: float = 0.95,
    ) -> None:
        super().__init__(fit_intercept=fit_intercept, degree=degree, confidence=confidence)
        self.select = select
        self.criterion = criterion

    def check_parameters(self) -> None:
        super().check_parameters()
        for name, choices in {
            "select": ("both", "forward", "backward", "best"),
            "criterion": ("aic", "bic", "adj_r2"),
        }.items():
            if getattr(self, name) not in choices:
                raise mr.UsageError(f"{name} is {getattr(self, name)!r}; {mr.near(getattr(self, name), choices)}")

    def learn(self, state: ExactGram) -> None:
        names = self.term_names_
        moments = Moments.of(state, fit_intercept=self.fit_intercept)
        empty = Tableau.of(moments.numerators)
        if not empty.residual():
            raise mr.InputError("the target is constant, so no column is needed to predict it; name another (--target)")
        unit = moments.second(empty.columns) * moments.weight / empty.residual()
        criterion = Criterion(self.criterion, state.rows, self.fit_intercept, empty.residual(), unit)
        search = Search(criterion, names)
        found = search.run(empty, self.select)
        chosen = sorted(found.chosen)
        self.selected_ = [names[j] for j in chosen]
        self.steps_ = [[step.change, step.terms, step.cost] for step in search.steps]
        self.criterion_ = self.steps_[-1][2]
        part = state.pick([*chosen, len(names)])
        self._take(_spread(fit(part, self.selected_, fit_intercept=self.fit_intercept), chosen, len(names)))

    def _errors(self) -> Errors:
        every = super()._errors()
        kept = [j for j, name in enumerate(every.names) if name in self.selected_ or name == "intercept"]
        return replace(
            every,
            names=[every.names[j] for j in kept],
            coef=[every.coef[j] for j in kept],
            errors=[every.errors[j] for j in kept],
        )

    def figures(self) -> dict[str, Any]:
        return {
            **super().figures(),
            "selected": self.selected_,
            "criterion": self.criterion,
            "cost": self.criterion_,
            "steps": [dict(zip(("change", "terms", "cost"), step, strict=True)) for step in self.steps_],
        }

    def table(self) -> str:
        steps = columns(("step", "columns", self.criterion), [(change, *rest) for change, *rest in self.steps_])
        return f"{steps}\n{super().table()}chosen by the same rows: errors and p are too small\n"


class Search:
    """Looks for the columns that cost least; `steps` tells how."""

    def __init__(self, criterion: Criterion, names: list[str]) -> None:
        self.criterion = criterion
        self.names = names
        self.steps: list[Step] = []
        self.sweeps = 0

    def run(self, empty: Tableau, select: str) -> Tableau:
        start = empty if select == "forward" else self._all(empty, must=select in ("backward", "best"))
        self._note("all columns" if start.chosen else "no column", start)
        found = self._walk(start, {"forward": self._outside, "backward": self._inside}.get(select, self._either))
        if select == "best":
            found = self._best(start, found)
        return found

    def _all(self, empty: Tableau, *, must: bool) -> Tableau:
        """All columns in. Without `must` none, where that is more than rows determine."""
        full = empty
        for column in range(empty.columns):
            if not full.N[column, column]:
                if must:
                    raise mr.InputError(
                        f"column {self.names[column]!r} depends on those before it, or is constant; leave it out "
                        "(--features), or set select=forward"
                    )
                continue
            full = full.sweep(column)
        if self._cost(full) < math.inf:
            return full
        if must:
            raise mr.InputError(
                f"the input has {self.criterion.rows} rows, too few for all {len(full.chosen)} columns; set "
                "select=forward"
            )
        return empty

    def _walk(self, start: Tableau, moves: Callable[[Tableau], Iterator[int]]) -> Tableau:
        """The best change of one column, as long as it costs less."""
        here, cost = start, self._cost(start)
        while True:
            tried = [(self._cost_with(here, column), column not in here.chosen, column) for column in moves(here)]
            least, _, column = min(tried, default=(math.inf, True, 0))
            if not least < cost:
                return here
            here, cost = here.sweep(column), least
            self._note(f"{'+' if column in here.chosen else '-'} {self.names[column]}", here)

    def _best(self, full: Tableau, known: Tableau) -> Tableau:
        """The least cost of all subsets of `full`, none of which is less than that of `known` but those found."""
        best, cost = known, self._cost(known)

        def visit(here: Tableau, free: list[int]) -> None:
            nonlocal best, cost
            self.sweeps += 1
            if self.sweeps > MOST_SUBSETS:
                raise mr.UsageError(
                    f"select=best has tried {MOST_SUBSETS} subsets of {len(self.names)} columns and is not done; set "
                    "select=both, or name fewer columns (--features)"
                )
            own = self._cost(here)
            if own < cost or (own == cost and len(here.chosen) < len(best.chosen)):
                best, cost = here, own
            free = sorted(free, key=lambda column: -(here.residual_with(column) or Fraction(0)))
            for place, column in enumerate(free):
                residual, rest = here.residual_with(column), free[place + 1 :]
                least = len(here.chosen) - 1 - len(rest)
                if residual is not None and self.criterion.of(residual, least) <= cost:
                    visit(here.sweep(column), rest)

        visit(full, sorted(full.chosen))
        if best is not known:
            self._note("best", best)
        return best

    def _outside(self, here: Tableau) -> Iterator[int]:
        return (column for column in range(here.columns) if column not in here.chosen)

    def _inside(self, here: Tableau) -> Iterator[int]:
        return iter(sorted(here.chosen))

    def _either(self, here: Tableau) -> Iterator[int]:
        return iter(range(here.columns))

    def _cost(self, here: Tableau) -> float:
        return self.criterion.of(here.residual(), len(here.chosen))

    def _cost_with(self, here: Tableau, column: int) -> float:
        residual = here.residual_with(column)
        if residual is None:
            return math.inf
        return self.criterion.of(residual, len(here.chosen) + (-1 if column in here.chosen else 1))

    def _note(self, change: str, here: Tableau) -> None:
        cost = self._cost(here)
        shown_cost = -cost if self.criterion.name == "adj_r2" else cost
        self.steps.append(Step(change, len(here.chosen), shown_cost))


def _log(value: Fraction) -> float:
    """Also of numbers that no float holds."""
    shift = value.numerator.bit_length() - value.denominator.bit_length()
    return math.log(to_float(value / Fraction(2) ** shift)) + shift * math.log(2)


def _spread(found: Fit, chosen: list[int], size: int) -> Fit:
    """The fit with coefficients of 0, and no errors, in the places of columns that were not chosen."""
    coef, errors = np.zeros(size), np.full(size, math.nan)
    coef[chosen], errors[chosen] = found.coef, found.std_error
    return replace(found, coef=coef, std_error=errors)

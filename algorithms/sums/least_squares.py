"""What follows from the exact Gram of [1 X y]? Coefficients, their errors and the fit's figures, correctly rounded.

    centred   n S = n Z'Z - (Z'1)(1'Z), integers                  theta solves (S_xx + alpha I) theta = S_xy
    residual  RSS = S_yy - 2 theta'S_xy + theta'S_xx theta        b = mean(y) - theta'mean(x)
    errors    se = sigma sqrt(diag S_xx^-1),  sigma^2 = RSS / (n - unknowns)

All is computed with integers and fractions, and rounded once, at the end. So the condition of the problem costs no
digits: what it costs a float solver is told as `condition`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

import mapreduce as mr
from algorithms.rows import Array, no_rows
from algorithms.sums.equations import Basis, Dependent, Solution, basis_of, solve, to_root
from algorithms.sums.minimum_norm import spreading
from algorithms.sums.numbers import to_float
from algorithms.sums.products import Integers
from algorithms.sums.states import ExactGram

NAUGHT = Fraction(1, 1 << 150)
"""Where a solution was iterated, numbers so small against their parts are 0."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A least-squares fit. Errors are nan where no degree of freedom is left, or a penalty makes them meaningless."""

    coef: Array
    intercept: float
    std_error: Array
    intercept_error: float
    rows: int
    rss: float
    r2: float
    adjusted_r2: float
    f: float
    sigma: float
    condition: float
    """Of the matrix of correlations, in the 1-norm: a float solver of these equations loses its digits."""
    free: int
    """Degrees of freedom that are left: rows less the unknowns that they determine."""


@dataclass(frozen=True, slots=True)
class _Solved:
    """What follows from equations: RSS / S_yy, the diagonal of S_xx^-1, and mean(x)'S_xx^-1 mean(x)."""

    theta: list[Fraction]
    relative: Fraction
    spread: list[Fraction]
    around: Fraction
    condition: float
    inverse: Solution


@dataclass(frozen=True, slots=True)
class _Equations:
    """S_xx, S_xy, S_yy as integers: those of columns c_j x_j and c_y y, times `times`."""

    xx: Integers
    xy: Integers
    yy: int
    penalty: Integers  # what alpha adds to the diagonal
    units: list[int]  # c_j, c_y last
    times: Fraction
    mean: list[Fraction]  # of columns as they are, y last; zeros without an intercept


def fit(
    gram: ExactGram,
    names: Sequence[str],
    alpha: float = 0.0,
    *,
    fit_intercept: bool = True,
    minimum_norm: bool = False,
) -> Fit:
    """Raises InputError where rows do not determine the coefficients, naming the columns; with `minimum_norm` those of
    least norm are taken then."""
    if not gram.rows:
        raise no_rows()
    if not gram.matrix()[0][0]:
        raise mr.InputError("the weights of all rows are zero; at least one must count")
    unknowns = gram.columns - 1 + int(fit_intercept)
    if not alpha and not minimum_norm and gram.rows < unknowns:
        raise too_few_rows(gram.rows, unknowns)
    equations = _equations(gram, Fraction(str(alpha)), fit_intercept)
    basis = basis_of(equations.xx) if minimum_norm and not alpha else None
    if basis is not None and basis.weights:
        if not basis.columns:
            raise mr.InputError("no column varies, so there is nothing to predict from; name others (--features)")
        return _least_norm(gram, equations, basis, fit_intercept=fit_intercept)
    if not alpha:
        _check_varying(equations, names, fit_intercept)
    solved = _solve(equations)
    if isinstance(solved, Dependent):
        raise _collinear(solved, names)
    return _figures(gram, equations, solved, unknowns, has_errors=not alpha, fit_intercept=fit_intercept)


def too_few_rows(rows: int, unknowns: int) -> mr.InputError:
    return mr.InputError(
        f"the input has {rows} row{'s' * (rows != 1)}, too few to determine {unknowns} coefficients; "
        "take more rows or fewer columns (--features), or set alpha"
    )


def _equations(gram: ExactGram, alpha: Fraction, fit_intercept: bool) -> _Equations:
    full = gram.matrix()
    size = len(full)
    weight = full[0][0]
    units = [full[0][j].denominator for j in range(1, size)]
    rows = [[full[i][j] * units[i - 1] * units[j - 1] for j in range(1, size)] for i in range(1, size)]
    times = Fraction(1)
    if fit_intercept:
        sums = [full[0][j] * units[j - 1] for j in range(1, size)]
        rows = [[weight * rows[i][j] - sums[i] * sums[j] for j in range(size - 1)] for i in range(size - 1)]
        times = weight
    penalty = [alpha * times * unit * unit for unit in units[:-1]]
    common = math.lcm(*(value.denominator for row in rows for value in row), *(value.denominator for value in penalty))
    times *= common
    S = np.array([[int(value * common) for value in row] for row in rows], object)
    return _Equations(
        xx=S[:-1, :-1],
        xy=S[:-1, -1],
        yy=int(S[-1, -1]),
        penalty=np.array([int(value * common) for value in penalty], object),
        units=units,
        times=times,
        mean=[full[0][j] / weight if fit_intercept else Fraction(0) for j in range(1, size)],
    )


def _check_varying(equations: _Equations, names: Sequence[str], fit_intercept: bool) -> None:
    for name, value in zip(names, np.diag(equations.xx), strict=True):
        if not value and fit_intercept:
            raise mr.InputError(
                f"column {name!r} is constant, so its coefficient is not determined; leave it out (--features), or set "
                "collinear=minimum_norm or alpha"
            )
        if not value:
            raise mr.InputError(f"column {name!r} is zero throughout; leave it out (--features)")


def _collinear(found: Dependent, names: Sequence[str]) -> mr.InputError:
    involved = [names[number] for number, weight in enumerate(found.weights) if weight] + [names[found.column]]
    return mr.InputError(
        f"columns {', '.join(map(repr, involved))} are collinear, so their coefficients are not determined; "
        "leave one out (--features), set collinear=minimum_norm, or set alpha"
    )


def _solve(equations: _Equations) -> _Solved | Dependent:
    size = len(equations.xx)
    sides = np.hstack([equations.xy[:, None], np.diag([1] * size).astype(object)])
    found = solve(equations.xx + np.diag(equations.penalty), sides)
    if isinstance(found, Dependent):
        return found
    units, det = equations.units, found.denominator
    scaled = found.numerators[:, 0]  # theta over c_y / c_j, times the denominator
    theta = [Fraction(int(v) * c, det * units[-1]) for v, c in zip(scaled, units[:-1], strict=True)]
    if not found.exact:
        theta = _without_naught(theta, equations)
    yy = equations.yy
    square = yy * det * det - 2 * det * int(scaled @ equations.xy) + int(scaled @ equations.xx.dot(scaled))
    relative = Fraction(square, yy * det * det) if yy else Fraction(0)
    if not found.exact and relative < NAUGHT:
        relative = Fraction(0)
    inverse = found.numerators[:, 1:]
    mean = [value * unit for value, unit in zip(equations.mean[:-1], units, strict=False)]
    places = range(size)
    around = sum((mean[i] * mean[j] * int(inverse[i, j]) for i in places for j in places), Fraction(0))
    return _Solved(
        theta=theta,
        relative=relative,
        spread=[Fraction(int(inverse[j, j]), det) * equations.times * units[j] ** 2 for j in places],
        around=around * equations.times / det,
        condition=_condition(equations, inverse, det),
        inverse=found,
    )


def _least_norm(gram: ExactGram, equations: _Equations, basis: Basis, *, fit_intercept: bool) -> Fit:
    """The fit of least norm; the errors are those of the pseudoinverse."""
    own, units = basis.columns, equations.units
    part = replace(
        equations,
        xx=equations.xx[np.ix_(own, own)],
        xy=equations.xy[own],
        penalty=equations.penalty[own],
        units=[*(units[j] for j in own), units[-1]],
        mean=[*(equations.mean[j] for j in own), equations.mean[-1]],
    )
    solved = _solve(part)
    if isinstance(solved, Dependent):
        raise mr.InternalError("columns that depend on none before them depend on each other")
    weights = {
        j: [part * units[i] / units[j] for i, part in zip(own, parts, strict=True)]
        for j, parts in basis.weights.items()
    }
    T = spreading(own, weights)
    det, inverse = solved.inverse.denominator, solved.inverse.numerators[:, 1:]
    scale = [
        [Fraction(int(inverse[i, j]), det) * equations.times * part.units[i] * part.units[j] for j in range(len(own))]
        for i in range(len(own))
    ]

    def variance(row: Sequence[Fraction]) -> Fraction:
        return sum((a * b * scale[i][j] for i, a in enumerate(row) for j, b in enumerate(row)), Fraction(0))

    means = [
        sum((m * row[i] for m, row in zip(equations.mean[:-1], T, strict=True)), Fraction(0)) for i in range(len(own))
    ]
    whole = replace(
        solved,
        theta=[sum((a * b for a, b in zip(row, solved.theta, strict=True)), Fraction(0)) for row in T],
        spread=[variance(row) for row in T],
        around=variance(means),
    )
    return _figures(gram, equations, whole, len(own) + int(fit_intercept), has_errors=True, fit_intercept=fit_intercept)


def _figures(
    gram: ExactGram, equations: _Equations, solved: _Solved, unknowns: int, *, has_errors: bool, fit_intercept: bool
) -> Fit:
    yy, theta, relative = equations.yy, solved.theta, solved.relative
    intercept = equations.mean[-1] - sum((t * m for t, m in zip(theta, equations.mean[:-1], strict=True)), Fraction(0))
    rss = relative * Fraction(yy, equations.units[-1] ** 2) / equations.times
    free = gram.rows - unknowns
    variance = rss / free if free > 0 else None
    errors = variance if has_errors else None
    error_b = math.nan
    if errors is not None and fit_intercept:
        error_b = to_root(errors * (1 / gram.matrix()[0][0] + solved.around))
    share = relative * (gram.rows - int(fit_intercept)) / free if free > 0 else Fraction(0)
    return Fit(
        coef=np.array([to_float(value) for value in theta]),
        intercept=to_float(intercept) if fit_intercept else 0.0,
        std_error=np.array([math.nan if errors is None else to_root(errors * value) for value in solved.spread]),
        intercept_error=error_b,
        rows=gram.rows,
        rss=to_float(rss),
        r2=to_float(1 - relative) if yy else math.nan,
        adjusted_r2=to_float(1 - share) if yy and free > 0 else math.nan,
        f=_f(relative, unknowns - int(fit_intercept), free) if yy and has_errors else math.nan,
        sigma=math.nan if variance is None else to_root(variance),
        condition=solved.condition,
        free=free,
    )


def _f(relative: Fraction, terms: int, free: int) -> float:
    """F of the hypothesis that all coefficients but the intercept are 0."""
    if free <= 0 or not terms:
        return math.nan
    return to_float((1 - relative) / terms / (relative / free)) if relative else math.inf


def _without_naught(theta: list[Fraction], equations: _Equations) -> list[Fraction]:
    """Coefficients that are 0 but for what the iteration left."""
    if not equations.yy:
        return [Fraction(0)] * len(theta)
    limits = [
        NAUGHT**2 * Fraction(equations.yy * unit**2, int(A) * equations.units[-1] ** 2)
        for A, unit in zip(np.diag(equations.xx), equations.units, strict=False)
    ]
    return [Fraction(0) if value * value < limit else value for value, limit in zip(theta, limits, strict=True)]


def _condition(equations: _Equations, inverse: Integers, det: int) -> float:
    A = equations.xx + np.diag(equations.penalty)
    root = [to_root(Fraction(int(value))) for value in np.diag(A)]
    size = range(len(root))
    if not root:
        return 1.0
    norm = max(sum(abs(to_float(Fraction(int(A[i, j])))) / root[i] / root[j] for i in size) for j in size)
    other = max(sum(abs(to_float(Fraction(int(inverse[i, j]), det))) * root[i] * root[j] for i in size) for j in size)
    return norm * other

"""What do a linear model's errors say? t and p of each coefficient, its confidence interval, AIC and BIC.

    t = theta / se        p = P(|T| > |t|)        theta +- t_q se,  q = 1 - (1 - confidence) / 2
    AIC = -2 log L + 2 k,  BIC = -2 log L + k log n,  -2 log L = n (log(2 pi RSS / n) + 1),  k coefficients, b included

With weights RSS is weighted, and log L is short of sum log w / 2: the same for all models of these rows, so their AIC
and BIC compare all the same.

Logarithms of other processors may differ in the last bit: what is made of them is told with 12 digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from algorithms.tables import columns, number
from algorithms.tails import f_tail, t_quantile, t_tail

SHOWN_DIGITS = 12
FLOAT_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Errors:
    """Coefficients and their standard errors, the intercept last; an error that is not known is nan."""

    names: Sequence[str]
    coef: Sequence[float]
    errors: Sequence[float]
    rows: int
    free: int
    has_intercept: bool
    rss: float
    f: float

    @property
    def unknowns(self) -> int:
        """How many coefficients the rows determine."""
        return self.rows - self.free

    @property
    def slopes(self) -> int:
        return self.unknowns - int(self.has_intercept)


def inference(fit: Errors, confidence: float) -> dict[str, Any]:
    """Figures by name; none where no error is known."""
    known = [each for each in zip(fit.names, fit.coef, fit.errors, strict=True) if not math.isnan(each[2])]
    if not known or fit.free <= 0:
        return {}
    t = {name: _ratio(c, e) for name, c, e in known}
    far = t_quantile(confidence, fit.free)
    likelihood = log_likelihood(fit.rss, fit.rows)
    return {
        "t": t,
        "p": {name: shown(t_tail(value, fit.free)) for name, value in t.items()},
        "confidence": confidence,
        "low": {name: shown(c - far * e) for name, c, e in known},
        "high": {name: shown(c + far * e) for name, c, e in known},
        "f": fit.f,
        "f_p": shown(f_tail(fit.f, fit.slopes, fit.free)),
        "log_likelihood": shown(likelihood),
        "aic": shown(2 * fit.unknowns - 2 * likelihood),
        "bic": shown(math.log(fit.rows) * fit.unknowns - 2 * likelihood),
    }


def log_likelihood(rss: float, rows: int) -> float:
    """log L of normal residuals with the variance that fits them best."""
    return -rows / 2 * (math.log(2 * math.pi * rss / rows) + 1) if rss > 0 else math.inf


def summary_text(fit: Errors, figures: Mapping[str, Any], target: str | None) -> str:
    """The table that R and statsmodels print."""
    tail = (1 - figures.get("confidence", 0.95)) / 2
    header = ["", "coef", "std error", "t", "p", f"[{tail:.4g}", f"{1 - tail:.4g}]"]
    rows = [_line(each, figures) for each in zip(fit.names, fit.coef, fit.errors, strict=True)]
    if "t" not in figures:
        header, rows = header[:2], [row[:2] for row in rows]
    text = columns(header, rows) + "\n"
    text += f"{'' if target is None else f'target {target}, '}{fit.rows} rows, {fit.free} degrees of freedom, "
    text += f"residual standard error {number(figures['sigma'])}\n"
    text += f"R2 {number(figures['r2'])}, adjusted R2 {number(figures['adjusted_r2'])}"
    if not math.isnan(fit.f):
        text += f", F {number(fit.f)} on {fit.slopes} and {fit.free}, p {number(figures['f_p'], 3)}\n"
        text += f"log likelihood {number(figures['log_likelihood'])}, AIC {number(figures['aic'])}, "
        text += f"BIC {number(figures['bic'])}"
    return f"{text}\n{_condition(figures)}; these are {figures['precision']}\n"


def shown(value: float) -> float:
    """Rounded to the digits that are the same on any processor."""
    return float(f"{value:.{SHOWN_DIGITS - 1}e}")


def _line(each: tuple[str, float, float], figures: Mapping[str, Any]) -> list[Any]:
    name, coef, error = each
    t, p, low, high = (figures.get(part, {}).get(name) for part in ("t", "p", "low", "high"))
    return [name, coef, None if math.isnan(error) else error, number(t, 4), number(p, 4), low, high]


def _condition(figures: Mapping[str, Any]) -> str:
    lost = figures["digits_lost"]
    if not lost < FLOAT_DIGITS:  # nor nan
        return f"condition above 1e{FLOAT_DIGITS}: a solver in floats loses all of {FLOAT_DIGITS} digits"
    return f"condition {number(figures['condition'], 3)}: a solver in floats loses {lost:.1f} of {FLOAT_DIGITS} digits"


def _ratio(value: float, error: float) -> float:
    if error == 0:
        return math.copysign(math.inf, value) if value else math.nan
    return value / error

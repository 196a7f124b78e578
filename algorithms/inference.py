"""What do a linear model's errors say? t and p of each coefficient, its confidence interval, AIC and BIC.

    t = theta / se        p = P(|T| > |t|)        theta +- t_0.975 se
    AIC = -2 log L + 2 k,  BIC = -2 log L + k log n,  -2 log L = n (log(2 pi RSS / n) + 1),  k coefficients, b included

Logarithms of other processors may differ in the last bit: what is made of them is shown with 12 digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from algorithms.tails import f_tail, t_quantile, t_tail

SHOWN_DIGITS = 12
COVERED = 0.95


def inference(
    names: Sequence[str], coef: Sequence[float], errors: Sequence[float], *, rows: int, free: int, rss: float, f: float
) -> dict[str, Any]:
    """Figures by name. `coef` and `errors` are those of `names`, the intercept last; what has no error is left out."""
    known = [(name, c, e) for name, c, e in zip(names, coef, errors, strict=True) if not math.isnan(e)]
    if not known or free <= 0:
        return {}
    t = {name: _ratio(c, e) for name, c, e in known}
    far = t_quantile(COVERED, free)
    terms = rows - free
    slopes = len(names) - 1  # the last is the intercept
    likelihood = rows * (math.log(2 * math.pi * rss / rows) + 1) if rss > 0 else -math.inf
    return {
        "t": t,
        "p": {name: shown(t_tail(value, free)) for name, value in t.items()},
        "low_95": {name: shown(c - far * e) for name, c, e in known},
        "high_95": {name: shown(c + far * e) for name, c, e in known},
        "f": f,
        "f_p": shown(f_tail(f, slopes, free)),
        "aic": shown(likelihood + 2 * terms),
        "bic": shown(likelihood + terms * math.log(rows)),
    }


def shown(value: float) -> float:
    """Rounded to the digits that are the same on any processor."""
    return float(f"{value:.{SHOWN_DIGITS - 1}e}")


def _ratio(value: float, error: float) -> float:
    if error == 0:
        return math.copysign(math.inf, value) if value else math.nan
    return value / error

"""How probable is a value as far out as this? Tails of Student's t and Fisher's F, by the incomplete beta function.

    P(|T| > t) = I_x(n / 2, 1 / 2),   x = n / (n + t^2)
    P(F > f)   = I_x(n / 2, m / 2),   x = n / (n + m f)        m and n degrees of freedom

I_x is Lentz's continued fraction: 13 digits, 11 with hundreds of thousands of degrees of freedom; no scipy is loaded.

Source: W. Press et al., Numerical Recipes, 3rd edition 2007, section 6.4; NIST Digital Library of Mathematical
Functions, 8.17.22.
"""

from __future__ import annotations

import math

LEAST = 1e-300
FAR = 50.0
STEPS = 10_000


def t_tail(t: float, free: float) -> float:
    """P(|T| > |t|) of Student's t with `free` degrees of freedom: the p-value of both sides."""
    if math.isnan(t) or free <= 0:
        return math.nan
    return 0.0 if math.isinf(t) else incomplete_beta(free / (free + t * t), t * t / (free + t * t), free / 2, 0.5)


def f_tail(f: float, upper: float, lower: float) -> float:
    """P(F > f) of Fisher's F with `upper` and `lower` degrees of freedom."""
    if math.isnan(f) or upper <= 0 or lower <= 0:
        return math.nan
    whole = lower + upper * f
    return 0.0 if math.isinf(f) else incomplete_beta(lower / whole, upper * f / whole, lower / 2, upper / 2)


def t_quantile(share: float, free: float) -> float:
    """t with P(|T| > t) = 1 - share: by bisection, to the last bit or next to it."""
    low, high = 0.0, 1.0
    while t_tail(high, free) > 1 - share and high < 1e300:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        if t_tail(middle, free) > 1 - share:
            low = middle
        else:
            high = middle
    return high


def incomplete_beta(x: float, y: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), 0 <= x <= 1; y is 1 - x without what subtracting loses."""
    if x <= 0 or y <= 0:
        return float(y <= 0)
    logs = a * (math.log1p(-y) if y < 0.5 else math.log(x)) + b * (math.log1p(-x) if x < 0.5 else math.log(y))
    front = math.exp(_log_rise(max(a, b), min(a, b)) - math.lgamma(min(a, b)) + logs)
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(y, b, a) / b


def _log_rise(a: float, b: float) -> float:
    """log(Gamma(a + b) / Gamma(a)) for a >= b, by Stirling's series where the difference would cancel."""
    if a < FAR:
        return math.lgamma(a + b) - math.lgamma(a)
    return (a - 0.5) * math.log1p(b / a) + b * math.log(a + b) - b + _stirling(a + b) - _stirling(a)


def _stirling(z: float) -> float:
    return (1 / 12 - (1 / 360 - 1 / (1260 * z * z)) / (z * z)) / z


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _off_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / _off_zero(1 + even * d), _off_zero(1 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _off_zero(1 + odd * d), _off_zero(1 + odd / c)
        value *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return value


def _off_zero(value: float) -> float:
    return value if abs(value) > LEAST else LEAST

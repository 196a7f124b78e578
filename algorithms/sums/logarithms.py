"""How is the logarithm of a ratio of counts the same number on every processor? By decimals of 50 digits, not by libm.

A C library's logarithm may differ in its last bit from one processor to another. Python's decimals are integers: their
logarithm has as many right digits as are asked for, and one rounding gives the float.
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

from algorithms.sums.numbers import to_float

DIGITS = 50
_CONTEXT = Context(prec=DIGITS, Emax=10**9, Emin=-(10**9))


def to_log(value: Fraction) -> float:
    """The natural logarithm of a positive number, correctly rounded; -inf of 0."""
    return to_float(logarithm(value)) if value else float("-inf")


@lru_cache(maxsize=1 << 14)
def logarithm(value: Fraction) -> Fraction:
    """The natural logarithm of a positive number, with an error below 1e-45 of it."""
    quotient = _CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))
    if quotient == 1 and value != 1:  # so near to 1 that log(1 + e) = e
        return value - 1
    return Fraction(_CONTEXT.ln(quotient))

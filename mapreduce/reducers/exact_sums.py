"""What is the exact sum of floats, and which float lies nearest to it, or to its mean?

A sum is kept as its expansion: a tuple of floats whose exact sum it is, each the float nearest to what those before it
leave. So equal sums are equal tuples, whatever was added in which order, and the first float is the rounded result. Of
nearly all data two floats hold it.

    0.1 + 0.2 = (0.30000000000000004, -2.7755575615628914e-17)

A sum too large for a float is (an integer, then floats for the rest). One with infinity or NaN is that alone: NaN where
there was a NaN, or infinities of both signs. Zero is (0.0,), never -0.0.

J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997; `math.fsum` rounds such sums correctly.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, inf, isfinite, nan
from typing import Any

Expansion = tuple[Any, ...]
"""Floats, as above; only the first may be an integer."""

LEAST_TWO = 1074
"""Every float is an integer over 2^1074."""
EXACT_INT = 1 << 53
"""Integers up to this are floats without loss."""


def expansion_of(terms: list[Any]) -> Expansion:
    """The exact sum of floats, or of the terms of expansions. Appends to `terms`."""
    count = len(terms)
    try:
        part = fsum(terms)
        if not part:
            return (0.0,)
        if part - part:  # of infinity and NaN it is NaN
            return (nan,) if part != part else (part,)
        parts = [part]
        while True:
            terms.append(-part)
            part = fsum(terms)
            if not part:
                return tuple(parts)
            parts.append(part)
    except (OverflowError, ValueError):  # a sum on the way is too large; infinities of both signs
        return _expansion_beyond(terms[:count])


def _expansion_beyond(terms: Sequence[Any]) -> Expansion:
    special = [term for term in terms if type(term) is float and not isfinite(term)]
    if special:
        return (special[0],) if special.count(special[0]) == len(special) else (nan,)
    return _expansion_of_scaled(sum(map(_scaled, terms)))


def expansion_of_int(value: int) -> Expansion:
    """An integer of any size."""
    return (float(value),) if -EXACT_INT <= value <= EXACT_INT else _expansion_of_scaled(value << LEAST_TWO)


def _scaled(term: Any) -> int:
    top, bottom = term.as_integer_ratio()
    scaled: int = top << (LEAST_TWO + 1 - bottom.bit_length())
    return scaled


def _expansion_of_scaled(left: int) -> Expansion:
    """Of an integer over 2^LEAST_TWO."""
    parts: list[Any] = []
    while left:
        try:
            part: Any = left / (1 << LEAST_TWO)  # correctly rounded
        except OverflowError:
            part = left >> LEAST_TWO
        parts.append(part)
        left -= _scaled(part)
    return tuple(parts) or (0.0,)


def nearest(parts: Expansion) -> float:
    """The float nearest to the sum, ties to even; infinity only where the sum itself is that large."""
    head = parts[0]
    if type(head) is float:
        return head
    return inf if head > 0 else -inf


def nearest_quotient(parts: Expansion, count: int) -> float:
    """The float nearest to the sum over a positive count."""
    head = parts[0]
    if type(head) is float and (len(parts) == 1 or not isfinite(head)) and count <= EXACT_INT:
        return head / count
    try:
        return int(sum(map(_scaled, parts))) / (count << LEAST_TWO)
    except OverflowError:  # the mean of values that had an integer too large for a float among them
        return inf if head > 0 else -inf


# --- sums of anything


class Other:
    """A value that is neither an integer nor a float, and is added by its own `+`."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def lift(value: Any) -> Any:
    """The sum of one value: None, an int, an expansion of a float, or `Other`. numpy's numbers count as Python's."""
    kind = type(value)
    if kind is int or value is None:
        return value
    if kind is float:
        return (value + 0.0,) if value == value else (nan,)
    if kind is bool:
        return int(value)
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == () and value.dtype.kind in "biuf":
        item = value.item()
        if type(item) in (int, float, bool):  # not where numpy's float is longer than ours
            return lift(item)
    return Other(value)


def plus(a: Any, b: Any) -> Any:
    """The sum of two sums. Exact for integers and floats; None adds nothing."""
    if a is None or b is None:
        return b if a is None else a
    kind, other = type(a), type(b)
    if kind is int and other is int:
        return a + b
    if kind is not Other and other is not Other:
        left = expansion_of_int(a) if kind is int else a
        right = expansion_of_int(b) if other is int else b
        return expansion_of([*left, *right])
    return lift(value_of(a) + value_of(b))


def value_of(total: Any) -> Any:
    """What a sum shows: the integer, the nearest float, or the other value."""
    kind = type(total)
    if kind is tuple:
        return nearest(total)
    return total.value if kind is Other else total


def mean_of(total: Any, count: int) -> Any:
    """A sum over a positive count: correctly rounded for integers and floats."""
    return nearest_quotient(total, count) if type(total) is tuple else value_of(total) / count

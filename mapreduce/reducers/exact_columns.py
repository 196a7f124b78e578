"""How is an exact sum of floats shown, and its mean, where sums are columns?

A sum is a row of two floats, `high` and `low`, as the first two of its expansion (exact_sums.py); a key that needs more
has further rows behind it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from mapreduce.reducers.exact_sums import expansion_of, nearest, nearest_quotient

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

LARGEST = float(np.finfo(np.float64).max)
SPLIT = float((1 << 27) + 1)
"""Dekker's constant: cuts a float in two halves of 26 bits, whose products are exact."""
SURE = 2.0**-95
"""A quotient is known within this share of it: 2^-103, and a margin."""
LEAST_QUOTIENT, MOST_QUOTIENT = 2.0**-900, 2.0**900
"""Between these nothing that `_quotients` reckons with overflows, or loses bits below the least float."""


def two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """(s, e): s = a + b rounded, and s + e = a + b exactly (Knuth 1969). Needs sums that do not overflow."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def two_product(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """(p, e): p = a * b rounded, and p + e = a * b exactly (Dekker 1971)."""
    p = a * b
    a_high, b_high = a * SPLIT, b * SPLIT
    a_high -= a_high - a
    b_high -= b_high - b
    a_low, b_low = a - a_high, b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def nearest_of(high: pa.Array, low: pa.Array, starts: Ints) -> pa.Array:
    """The floats nearest to sums. `starts`: at which row each one begins."""
    known = None if not high.null_count else high.is_valid().to_numpy(zero_copy_only=False)[starts]
    highs, lows = _numbers(high), _numbers(low)
    sums = highs[starts] + 0.0  # no -0.0
    sums[np.isnan(sums)] = np.nan
    for place in np.flatnonzero(np.abs(sums) == LARGEST).tolist():  # may be larger than that
        sums[place] = nearest(_expansion(highs, lows, starts, place))
    return pa.array(sums, mask=None if known is None else ~known)


def mean_of(high: pa.Array, low: pa.Array, counts: pa.Array, starts: Ints) -> pa.Array:
    """The floats nearest to sums over counts; null where the count is 0."""
    highs, lows = _numbers(high), _numbers(low)
    count = counts.to_numpy()[starts]
    with np.errstate(all="ignore"):
        means, sure = _quotients(highs[starts], lows[starts], np.maximum(count, 1).astype(np.float64))
    sure &= np.diff(np.append(starts, len(highs))) == 1
    for place in np.flatnonzero(~sure & (count > 0)).tolist():
        means[place] = nearest_quotient(_expansion(highs, lows, starts, place), int(count[place]))
    return pa.array(means, mask=count == 0)


def _quotients(high: Floats, low: Floats, count: Floats) -> tuple[Floats, np.ndarray[Any, np.dtype[np.bool_]]]:
    """(high + low) / count, and where that is proven to be the nearest float.

    q = high / count leaves a remainder that is a float; with `low` it gives q's correction to 2^-103 of q. If the sum
    rounds to one float whichever way the correction errs, that is it; so it is if nothing at all was rounded.
    """
    q = high / count
    p, e = two_product(q, count)
    rest, lost = two_sum((high - p) - e, low)
    correction = rest / count
    p, e = two_product(correction, count)
    mean = q + correction
    doubt = np.abs(q) * SURE
    sure = (q + (correction - doubt)) == (q + (correction + doubt))
    sure |= (p == rest) & (e == 0) & (lost == 0)
    sure &= (np.abs(q) > LEAST_QUOTIENT) & (np.abs(q) < MOST_QUOTIENT)
    return mean, sure


def _numbers(column: pa.Array) -> Floats:
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _expansion(high: Floats, low: Floats, starts: Ints, place: int) -> Any:
    rows = slice(starts[place], starts[place + 1] if place + 1 < len(starts) else len(high))
    if not np.isfinite(high[rows]).all():
        return expansion_of(high[rows].tolist())
    return expansion_of([*high[rows].tolist(), *low[rows].tolist()])

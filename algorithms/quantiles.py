"""Which value stands at a rank? Exact order statistics of columns larger than memory, by bisection, nothing sorted.

A float64 read as an integer of 64 bits keeps its order (with the bits of negative ones turned round). So the value at a
rank is found as in a search for a word: each pass counts, for each rank sought, how many values lie in each of 2048
equal bins of an interval of such integers, and the bin that holds the rank is the next interval.

    map     block, intervals -> how many values of the column lie in each bin of each interval
    reduce  a, b             -> a + b
    then    the bin of each rank becomes its interval; again: after 6 passes it is one number

Rows are parsed once and stay with the workers (`engine.cache`). Memory is 16 KiB a rank, however many rows there are.
The quantile p of n values is at rank h = (n - 1) p, counted from 0; between two ranks it is interpolated, x_i + (h - i)
(x_{i+1} - x_i), i = floor(h), exactly, and rounded once.

Sources: J. I. Munro and M. S. Paterson, Selection and Sorting with Limited Storage, 1980; R. Hyndman and Y. Fan, Sample
Quantiles in Statistical Packages, 1996, definition 7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import mapreduce as mr
from algorithms.rows import Array, matrix_of
from algorithms.sums import to_float

STEP = 11
"""Bits of a number that a pass decides: 2^11 bins."""

Keys = np.ndarray[Any, np.dtype[np.uint64]]
SIGN = np.uint64(1 << 63)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The keys from `low` on, of a column; how many there are, the pass says."""

    column: int
    low: int


@dataclass(frozen=True, slots=True)
class _Sought:
    """The value at `rank`, counted from 0, among those of `interval`."""

    interval: Interval
    rank: int


class BinCounts(mr.Fold):
    """How many values lie in each bin of each interval of 2^bits keys: (intervals, bins)."""

    def __init__(self, intervals: tuple[Interval, ...], bits: int) -> None:
        self.intervals = intervals
        self.bits = bits

    def map(self, block: Any) -> Any:
        X = matrix_of(block, block.feature_names)
        step = min(STEP, self.bits)
        counts = np.zeros((len(self.intervals), 1 << step), np.int64)
        keys: dict[int, Keys] = {}
        for row, interval in zip(counts, self.intervals, strict=True):
            if interval.column not in keys:
                keys[interval.column] = to_keys(X[:, interval.column])
            places = keys[interval.column]
            if self.bits < 64:
                places = places - np.uint64(interval.low)  # those below wrap round, to far beyond the interval
                places = places[places >> np.uint64(self.bits) == 0]
            row += np.bincount((places >> np.uint64(self.bits - step)).astype(np.int64), minlength=1 << step)
        return counts

    def reduce(self, a: Any, b: Any) -> Any:
        return a + b


def quantiles_of(
    engine: mr.Engine,
    rows: mr.Dataset,
    count: int,
    columns: int,
    probabilities: Sequence[Fraction],
    observer: Any = None,
) -> Array:
    """Quantiles of each column of a cached dataset of `count` rows: (probabilities, columns)."""
    places = [(count - 1) * p for p in probabilities]
    ranks = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))})
    found = order_statistics(engine, rows, columns, ranks, observer)
    values = np.empty((len(places), columns))
    for number, place in enumerate(places):
        low, high = (found[ranks.index(rank)] for rank in (math.floor(place), math.ceil(place)))
        share = place - math.floor(place)
        for j in range(columns):
            a, b = Fraction(float(low[j])), Fraction(float(high[j]))
            values[number, j] = to_float(a + share * (b - a))
    return values


def order_statistics(
    engine: mr.Engine, rows: mr.Dataset, columns: int, ranks: Sequence[int], observer: Any = None
) -> Array:
    """The values at these ranks, counted from 0, of each column: (ranks, columns)."""
    sought = [_Sought(Interval(column, 0), rank) for rank in ranks for column in range(columns)]
    bits = 64
    while bits:
        intervals = tuple(sorted({each.interval for each in sought}))
        counts = engine.run(BinCounts(intervals, bits), rows, observer=observer).value
        ends = dict(zip(intervals, np.cumsum(counts, axis=1), strict=True))
        bits -= min(STEP, bits)
        sought = [_narrowed(each, ends[each.interval], bits) for each in sought]
    keys = np.array([each.interval.low for each in sought], np.uint64)
    return from_keys(keys).reshape(len(ranks), columns)


def _narrowed(sought: _Sought, ends: Any, bits: int) -> _Sought:
    """In the bin that holds the rank; `ends` counts the values up to the end of each bin of 2^bits keys."""
    place = int(np.searchsorted(ends, sought.rank, side="right"))
    before = int(ends[place - 1]) if place else 0
    interval = Interval(sought.interval.column, sought.interval.low + (place << bits))
    return _Sought(interval, sought.rank - before)


def to_keys(values: Array) -> Keys:
    """Integers in the order of finite floats; both zeros have one."""
    bits = (values + 0.0).view(np.uint64)
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def from_keys(keys: Keys) -> Array:
    """The floats whose keys these are."""
    return np.where(keys & SIGN, keys ^ SIGN, ~keys).astype(np.uint64).view(np.float64)

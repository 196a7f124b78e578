"""What is the exact sum of floats by group? Compiled or not, the same sums.

A table holds two floats a group, `high` and `low`. To add a value v:

    high, e = high + v, and what that rounding lost      (both exact: Knuth's TwoSum)
    low,  f = low + e,  and what that lost

Of nearly all data f is 0: two floats hold the sum. Otherwise f is added in a further table of the same kind, which then
exists, and so on: each reaches 106 bits further down. Values from HUGE on, whose sums may overflow, are put aside.
Infinity and NaN make `high` what they make of any sum.

The library path adds many values of a group at once: it cuts all values on one grid into slices so narrow that sums of
them are exact (S. Rump, T. Ogita, S. Oishi, Accurate Floating-Point Summation, 2008), sums those by numpy.bincount, and
adds a slice's sums as if they were values.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import frexp
from typing import Any, NamedTuple

import numpy as np

from mapreduce.kernels.load import Kernels
from mapreduce.kernels.memory import Area
from mapreduce.reducers.exact_columns import LARGEST, two_sum
from mapreduce.reducers.exact_sums import expansion_of

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

HUGE = 2.0**960  # as in source_groups.py; 2^63 of less have a sum
ENTRY = 3  # floats a group: high, low, number of values
ENTRY_BYTES = 8 * ENTRY
BLOCK = 1 << 16
"""Values between two looks at what was lost."""
FIRST_ROOM = 1 << 12
PUT_ASIDE, ASIDE_BYTES = 32, 1000
"""Huge values of a group that are put aside before they are added up, and what they take at most."""


class Sums(NamedTuple):
    """Of each group, the first two floats of the expansion of its sum; then what groups need beside: rows of their own,
    with the number of the group."""

    high: Floats
    low: Floats
    counts: Ints
    more_of: Ints
    more_high: Floats
    more_low: Floats


class ExactTotals:
    """Sums and counts of groups 0, 1, 2, ..."""

    def __init__(self, kernels: Kernels | None) -> None:
        self._kernels = kernels
        self._deeper: ExactTotals | None = None
        self._huge: dict[int, list[float]] = {}
        self._room = 0
        self._area = Area(0)
        self._lost_of = np.empty(0, np.int32)
        self._lost = np.empty(0)

    def add(self, numbers: Any, values: Floats, groups: int) -> None:
        """Add values[i] to group numbers[i], an int32 below `groups`. The memory of both is contiguous."""
        self._make_room(groups)
        if self._kernels is None:
            self._add_by_numpy(numbers, values, groups)
        else:
            self.add_at(numbers.ctypes.data, values.ctypes.data, len(values), groups)

    def add_at(self, numbers: int, values: int, count: int, groups: int) -> None:
        """The same, by the addresses of both. Needs kernels."""
        assert self._kernels is not None
        self._make_room(groups)
        kernel = self._kernels["add_floats"]
        if not len(self._lost):
            self._lost_of, self._lost = np.empty(BLOCK, np.int32), np.empty(BLOCK)
        lost_of, lost = self._lost_of.ctypes.data, self._lost.ctypes.data
        for at in range(0, count, BLOCK):
            size = min(BLOCK, count - at)
            more = kernel(numbers + 4 * at, values + 8 * at, size, self._area.address, lost_of, lost)
            if more:
                self._add_lost(self._lost_of[:more], self._lost[:more], groups)

    def _make_room(self, groups: int) -> None:
        if groups > self._room:
            old, used = self._area, ENTRY_BYTES * self._room
            self._room = max(FIRST_ROOM, 2 * groups)
            self._area = Area(ENTRY_BYTES * self._room)
            self._area.copy_from(old, used)

    def _add_lost(self, numbers: Any, values: Floats, groups: int) -> None:
        huge = np.abs(values) >= HUGE
        if huge.any():
            for number, value in zip(numbers[huge].tolist(), values[huge].tolist(), strict=True):
                aside = self._huge.setdefault(number, [])
                aside.append(value)
                if len(aside) == PUT_ASIDE:
                    aside[:] = expansion_of(aside)
            numbers, values = numbers[~huge], values[~huge]
        if len(values):
            if self._deeper is None:
                self._deeper = ExactTotals(self._kernels)
            self._deeper.add(numbers, values, groups)

    def _add_by_numpy(self, numbers: Any, values: Floats, groups: int) -> None:
        table = self._table(groups)
        table[:, 2] += np.bincount(numbers, minlength=groups)
        far = ~(np.abs(values) < HUGE)
        if far.any():
            finite = far & np.isfinite(values)
            with np.errstate(invalid="ignore"):
                np.add.at(table[:, 0], numbers[far & ~finite], values[far & ~finite])
            self._add_lost(numbers[finite], values[finite], groups)
            values = np.where(far, 0.0, values)
        for sums in sums_of_slices(numbers, values, groups):
            with np.errstate(invalid="ignore"):
                table[:, 0], lost = two_sum(table[:, 0].copy(), sums)
                table[:, 1], lost = two_sum(table[:, 1].copy(), lost)
            further = np.flatnonzero((lost != 0) & ~np.isnan(lost))
            if len(further):
                self._add_lost(further.astype(np.int32), lost[further], groups)

    def _table(self, groups: int) -> Floats:
        return self._area.float64s(ENTRY * groups).reshape(groups, ENTRY)

    def bytes_of(self, groups: int) -> int:
        """Memory that so many groups need; it depends on the values alone."""
        deeper = 0 if self._deeper is None else self._deeper.bytes_of(groups)
        return ENTRY_BYTES * groups + ASIDE_BYTES * len(self._huge) + deeper

    @property
    def held_bytes(self) -> int:
        return self._area.size + self._lost.nbytes + (0 if self._deeper is None else self._deeper.held_bytes)

    def take(self, groups: int, order: Ints | None = None) -> Sums:
        """The sums of so many groups, all of them in this order; all is empty afterwards."""
        self._make_room(groups)
        order = np.arange(groups) if order is None else np.ascontiguousarray(order)
        high, low, counts = self._listed(order)
        terms: dict[int, list[float]] = {}
        self._list_deeper(terms, groups)
        places = np.argsort(order) if terms else order
        more: list[tuple[int, float, float]] = []
        for number, further in terms.items():
            place = places[number]
            parts = _floats_of([float(high[place]), float(low[place]), *further])
            high[place], low[place] = parts[0], parts[1]
            more += ((number, parts[at], parts[at + 1]) for at in range(2, len(parts), 2))
        of, more_high, more_low = zip(*more, strict=True) if more else ((), (), ())
        return Sums(high, low, counts, np.array(of, np.int64), np.array(more_high), np.array(more_low))

    def _listed(self, order: Ints) -> tuple[Floats, Floats, Ints]:
        """What this table has, in its one form and this order of all groups; it is cleared."""
        groups = len(order)
        if self._kernels is not None:
            high, low, counts = np.empty(groups), np.empty(groups), np.empty(groups, np.int64)
            addresses = high.ctypes.data, low.ctypes.data, counts.ctypes.data
            self._kernels["list_floats"](self._area.address, order.ctypes.data, groups, *addresses)
            return high, low, counts
        table = self._table(groups)[order]
        self._area.clear(ENTRY_BYTES * groups)
        with np.errstate(invalid="ignore"):
            high, low = two_sum(table[:, 0], table[:, 1])
        special = ~np.isfinite(table[:, 0])
        if special.any():
            high[special], low[special] = table[special, 0], 0.0
            high[np.isnan(high)] = np.nan
        return high + 0.0, low, table[:, 2].astype(np.int64)

    def _list_deeper(self, terms: dict[int, list[float]], groups: int) -> None:
        """Collect what groups have outside of this table, and forget it."""
        for number, aside in self._huge.items():
            terms.setdefault(number, []).extend(aside)
        self._huge = {}
        deeper, self._deeper = self._deeper, None
        if deeper is not None:
            table = deeper._table(min(groups, deeper._room))
            used = np.flatnonzero((table[:, 0] != 0) | (table[:, 1] != 0))
            for number, (high, low) in zip(used.tolist(), table[used, :2].tolist(), strict=True):
                terms.setdefault(number, []).extend((high, low))
            deeper._list_deeper(terms, groups)


def _floats_of(terms: list[float]) -> list[float]:
    """An even number of floats with the same sum: its expansion. Of a sum too large for a float, the largest one first,
    as often as need be."""
    if not np.isfinite(terms[0]):
        return [terms[0], 0.0]
    floats: list[float] = []
    parts = expansion_of(terms)
    while type(parts[0]) is int:
        floats.append(LARGEST if parts[0] > 0 else -LARGEST)
        parts = expansion_of([*parts, -floats[-1]])
    floats += parts
    return floats if len(floats) % 2 == 0 else [*floats, 0.0]


def sums_of_slices(numbers: Any, values: Floats, groups: int) -> Iterator[Floats]:
    """Arrays of floats, a number a group, whose exact sum is that of the group's values, all below HUGE."""
    bits = len(values).bit_length()
    rest = values
    while len(rest) and (largest := float(np.abs(rest).max())):
        unit = max(-1074, frexp(largest)[1] + bits - 52)  # 2^unit: sums of multiples of it stay below 2^53 of it
        shift = 1.5 * 2.0 ** (unit + 52)
        piece = (rest + shift) - shift
        rest = rest - piece
        yield np.asarray(np.bincount(numbers, piece, groups), np.float64)

"""How are exact sums by key added at memory speed?

First each row's key gets its number, in order of first occurrence; then its value is added to that number's sum, of
floats as exact_totals.py tells. Strings use the table of source_strings.py; integers have
slots of 2 x uint64: key | number + 1. Keys are looked up in batches: the slots of a batch are all asked for before
the first is looked at, because they are rarely in the cache.
"""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from mapreduce.kernels.intrinsics import fold_product, inlined, prefetch
from mapreduce.kernels.source_strings import (
    BATCH,
    DISTINCT,
    K1,
    K2,
    LIMIT,
    SLOT_MASK,
    U0,
    U32,
    ask_for,
    copy_words,
    list_words,
    move_words,
    string_slot,
)

__all__ = [
    "add_floats",
    "add_ints",
    "add_sorted",
    "copy_words",
    "list_floats",
    "list_words",
    "move_ints",
    "move_words",
    "number_ints",
    "number_strings",
]

AHEAD = 16  # rows between asking for a sum and adding to it
HUGE = 2.0**960
ENTRY = 3


@inlined
def int_slot(key, mask):
    return np.int64(fold_product(np.uint64(key) ^ K1, K2)) & mask


def number_ints(keys, pos, n, table, state, known, numbers, places):
    """numbers[i] of keys[i], for i from pos. Returns n, or the row for which the table must grow first.

    known[number] is the key; places is int64[BATCH].
    """
    mask = state[SLOT_MASK]
    while pos < n:
        batch = min(BATCH, n - pos)
        for i in range(batch):
            places[i] = int_slot(keys[pos + i], mask)
            prefetch(table, 2 * places[i])
        for i in range(batch):
            key = np.uint64(keys[pos + i])
            slot = places[i]
            while True:
                number = table[2 * slot + 1]
                if number == U0:
                    if state[DISTINCT] >= state[LIMIT]:
                        return pos + i
                    known[state[DISTINCT]] = keys[pos + i]
                    state[DISTINCT] += 1
                    number = np.uint64(state[DISTINCT])
                    table[2 * slot] = key
                    table[2 * slot + 1] = number
                    break
                if table[2 * slot] == key:
                    break
                slot = (slot + 1) & mask
            numbers[pos + i] = np.int64(number) - 1
        pos += batch
    return n


def move_ints(old, old_slots, table, mask):
    """Insert all keys of an old table into a larger, empty one."""
    for i in range(old_slots):
        if old[2 * i + 1] == U0:
            continue
        slot = int_slot(np.int64(old[2 * i]), mask)
        while table[2 * slot + 1] != U0:
            slot = (slot + 1) & mask
        table[2 * slot] = old[2 * i]
        table[2 * slot + 1] = old[2 * i + 1]
    return 0


def number_strings(data, size, offsets, pos, n, table, state, arena, numbers):
    """numbers[i] of the string data[offsets[i]:offsets[i + 1]], for i from pos; data ends at size.

    Returns n, or the row for which table or arena must grow first.
    """
    while pos < n:
        batch = min(BATCH, n - pos)
        ask_for(data, size, offsets, pos, batch, table, state[SLOT_MASK])
        for i in range(batch):
            at = np.int64(offsets[pos + i])
            length = np.int64(offsets[pos + i + 1]) - at
            base = string_slot(data, at, length, size, table, state, arena)
            if base < 0:
                return pos + i
            numbers[pos + i] = np.int64(table[base + 2] >> U32)
        pos += batch
    return n


@inlined
def add_exactly(a, b, value):
    """(a, b, rest): a + b + value, in as many floats as it takes."""
    high = a + value
    t = high - a
    rest = (a - (high - t)) + (value - t)
    low = b + rest
    t = low - b
    return high, low, (b - (low - t)) + (rest - t)


@inlined
def in_one_form(a, b):
    """(high, low): a + b, the nearest float and the rest."""
    total = a + b
    t = total - a
    return total + 0.0, (a - (total - t)) + (b - t)  # no -0.0


def add_floats(numbers, values, n, totals, lost_of, lost):
    """Add values exactly; totals has three floats a group: high, low, number of values (see exact_totals.py).

    Returns how many values were put in `lost`, with the number of their group: what two floats can't hold, and what is
    HUGE.
    """
    count = 0
    for i in range(n):
        if i + AHEAD < n:
            prefetch(totals, ENTRY * np.int64(numbers[i + AHEAD]))
        at = ENTRY * np.int64(numbers[i])
        value = values[i]
        totals[at + 2] += 1.0
        if not abs(value) < HUGE:
            if value - value == 0.0:
                lost_of[count] = numbers[i]
                lost[count] = value
                count += 1
            else:  # infinity or NaN
                totals[at] += value
            continue
        totals[at], totals[at + 1], rest = add_exactly(totals[at], totals[at + 1], value)
        if rest != 0.0 and rest == rest:  # NaN: the sum is infinite, or none
            lost_of[count] = numbers[i]
            lost[count] = rest
            count += 1
    return count


def list_floats(totals, order, n, high, low, counts):
    """The sums of n groups, those of order[0], order[1], ...; each in its one form: `high` the nearest float, `low` the
    rest. Clears them."""
    for i in range(n):
        if i + AHEAD < n:
            prefetch(totals, ENTRY * order[i + AHEAD])
        at = ENTRY * order[i]
        a = totals[at]
        b = totals[at + 1]
        counts[i] = np.int64(totals[at + 2])
        if a - a == 0.0:
            high[i], low[i] = in_one_form(a, b)
        else:
            high[i] = a if a == a else np.nan
            low[i] = 0.0
        totals[at] = 0.0
        totals[at + 1] = 0.0
        totals[at + 2] = 0.0
    return n


def add_sorted(packed, row_bits, n, first, high, low, counts, keys, highs, lows, totals):
    """Sums of rows (high[i] + low[i], and counts[i]) by key: packed[i] >> row_bits is the i-th smallest key, less
    `first`, and the bits below are its row. Each sum in its one form, as in `list_floats`.

    Returns how many keys there are; -1 where two floats can't hold a sum, or one is HUGE or no number.
    """
    mask = (np.int64(1) << row_bits) - 1
    group = np.int64(-1)
    last = np.int64(-1)
    a = 0.0
    b = 0.0
    for i in range(n):
        key = packed[i] >> row_bits
        row = packed[i] & mask
        if not abs(high[row]) < HUGE:
            return -1
        if key != last:
            if group >= 0:
                highs[group], lows[group] = in_one_form(a, b)
            group += 1
            keys[group] = key + first
            totals[group] = counts[row]
            last = key
            a = high[row]
            b = low[row]
            continue
        totals[group] += counts[row]
        a, b, rest = add_exactly(a, b, high[row])
        if rest != 0.0:
            return -1
        a, b, rest = add_exactly(a, b, low[row])
        if rest != 0.0:
            return -1
    if group >= 0:
        highs[group], lows[group] = in_one_form(a, b)
    return group + 1


def add_ints(numbers, values, n, sums, counts):
    """Returns n, or the first row whose sum would leave int64 (not added)."""
    for i in range(n):
        old = sums[numbers[i]]
        value = values[i]
        new = old + value
        if (old ^ new) & (value ^ new) < 0:
            return i
        sums[numbers[i]] = new
        counts[numbers[i]] += 1
    return n

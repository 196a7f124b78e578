"""How are sums by key added at memory speed, in row order?

First each row's key gets its number, in order of first occurrence; then sums[number] += value, row by row, which is
what a sequential loop over the rows does, to the last bit. Strings use the table of source_words.py; integers have
slots of 2 x uint64: key | number + 1. Keys are looked up in batches: the slots of a batch are all asked for before
the first is looked at, because they are rarely in the cache.
"""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from mapreduce.kernels.intrinsics import fold_product, inlined, prefetch
from mapreduce.kernels.source_words import (
    DISTINCT,
    K1,
    K2,
    LIMIT,
    SLOT_MASK,
    U0,
    U32,
    copy_words,
    hash_short,
    list_words,
    load_short,
    long_slot,
    move_words,
    short_slot,
)

__all__ = [
    "add_floats",
    "add_ints",
    "copy_words",
    "list_words",
    "move_ints",
    "move_words",
    "number_ints",
    "number_strings",
]

BATCH = 32


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


@inlined
def ask_for(data, size, offsets, pos, batch, table, mask):
    """Prefetch the slots of short strings."""
    for i in range(batch):
        at = np.int64(offsets[pos + i])
        length = np.int64(offsets[pos + i + 1]) - at
        if length <= 16:
            low = load_short(data, at, min(length, 8), size)
            high = load_short(data, at + 8, length - 8, size) if length > 8 else U0
            prefetch(table, 4 * (np.int64(hash_short(low, high, length)) & mask))


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
            if length > 16:
                base = long_slot(data, at, length, table, state, arena)
            else:
                low = load_short(data, at, min(length, 8), size)
                high = load_short(data, at + 8, length - 8, size) if length > 8 else U0
                base = short_slot(low, high, length, table, state)
            if base < 0:
                return pos + i
            numbers[pos + i] = np.int64(table[base + 2] >> U32)
        pos += batch
    return n


def add_floats(numbers, values, n, sums, counts):
    for i in range(n):
        sums[numbers[i]] += values[i]
        counts[numbers[i]] += 1
    return n


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

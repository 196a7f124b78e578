"""How does a table of strings work, at memory speed?

Each string of up to 16 bytes is two integers, so finding it in the table is comparing two integers; longer ones compare
by 64-bit hash, then by their bytes in the arena.

Table: open addressing, linear probing, slots of 4 x uint64:
    short string: bytes 0-7 | bytes 8-15   | length + 1 + (number << 32) | count
    long string:  hash      | arena offset | length + 1 + (number << 32) | count
A third integer of 0 is an empty slot. Numbers count distinct strings in order of first occurrence.
"""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from mapreduce.kernels.intrinsics import fold_product, inlined, load64, prefetch

U0, U1 = np.uint64(0), np.uint64(1)
U32 = np.uint64(32)
LOW32 = np.uint64(0xFFFFFFFF)
K1, K2 = np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)
MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)

# state: what a table remembers between calls (kernels/string_table.py names the same places)
SLOT_MASK, DISTINCT, LIMIT, ARENA_USED, ARENA_SIZE, BAD_BYTE = range(6)
BATCH = 32  # rows whose slots are asked for before the first is looked at


@inlined
def hash_long(data, at, length):
    """64-bit hash of more than 16 bytes."""
    h = K1 ^ np.uint64(length)
    last = at + length - 16
    while at < last:
        h = fold_product(load64(data, at) ^ h ^ K1, load64(data, at + 8) ^ K2)
        at += 16
    return fold_product(load64(data, last) ^ h ^ K1, load64(data, last + 8) ^ K2)


@inlined
def hash_short(low, high, length):
    return fold_product(low ^ K1, high ^ K2 ^ (np.uint64(length) << np.uint64(56)))


@inlined
def load_short(data, at, length, n):
    """Up to 8 bytes as an integer, without reading past data[n]."""
    if at + 8 <= n:
        return load64(data, at) & MASKS[length]
    value = U0
    for i in range(length):
        value |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return value


@inlined
def same_bytes(a, at, b, bt, length):
    """Do more than 16 bytes agree?"""
    last = length - 8
    i = 0
    while i < last:
        if load64(a, at + i) != load64(b, bt + i):
            return False
        i += 8
    return load64(a, at + last) == load64(b, bt + last)


@inlined
def long_slot(data, at, length, table, state, arena):
    """The place in the table of a string of more than 16 bytes, new or old; -1 where table or arena must grow first."""
    h = hash_long(data, at, length)
    tag = np.uint64(length + 1)
    slot = np.int64(h) & state[SLOT_MASK]
    while True:
        base = slot * 4
        meta = table[base + 2]
        if meta == U0:
            break
        alike = table[base] == h and (meta & LOW32) == tag
        if alike and same_bytes(data, at, arena, np.int64(table[base + 1]), length):
            return base
        slot = (slot + 1) & state[SLOT_MASK]
    used = state[ARENA_USED]
    if state[DISTINCT] >= state[LIMIT] or used + length > state[ARENA_SIZE]:
        return -1
    for i in range(length):
        arena[used + i] = data[at + i]
    table[base] = h
    table[base + 1] = np.uint64(used)
    table[base + 2] = tag | (np.uint64(state[DISTINCT]) << U32)
    table[base + 3] = U0
    state[ARENA_USED] = used + length
    state[DISTINCT] += 1
    return base


@inlined
def short_slot(low, high, length, table, state):
    """The place in the table of a string of up to 16 bytes, new or old; -1 where the table must grow first."""
    mask = state[SLOT_MASK]
    tag = np.uint64(length + 1)
    slot = np.int64(hash_short(low, high, length)) & mask
    while True:
        base = slot * 4
        meta = table[base + 2]
        if table[base] == low and table[base + 1] == high and (meta & LOW32) == tag:
            return base
        if meta == U0:
            if state[DISTINCT] >= state[LIMIT]:
                return -1
            table[base] = low
            table[base + 1] = high
            table[base + 2] = tag | (np.uint64(state[DISTINCT]) << U32)
            table[base + 3] = U0
            state[DISTINCT] += 1
            return base
        slot = (slot + 1) & mask


@inlined
def string_slot(data, at, length, n, table, state, arena):
    """The place in the table of the string data[at:at+length]; data ends at n."""
    if length > 16:
        return long_slot(data, at, length, table, state, arena)
    low = load_short(data, at, min(length, 8), n)
    high = load_short(data, at + 8, length - 8, n) if length > 8 else U0
    return short_slot(low, high, length, table, state)


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


def count_strings(data, size, offsets, pos, n, table, state, arena):
    """Count the strings data[offsets[i]:offsets[i + 1]], for i from pos; data ends at size.

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
            table[base + 3] += U1
        pos += batch
    return n


def move_words(old, old_slots, table, mask):
    """Insert all words of an old table into a larger, empty one."""
    for i in range(old_slots):
        meta = old[4 * i + 2]
        if meta == U0:
            continue
        length = np.int64(meta & LOW32) - 1
        h = old[4 * i] if length > 16 else hash_short(old[4 * i], old[4 * i + 1], length)
        slot = np.int64(h) & mask
        while table[4 * slot + 2] != U0:
            slot = (slot + 1) & mask
        for j in range(4):
            table[4 * slot + j] = old[4 * i + j]
    return 0


def list_words(table, slots, distinct, offsets, counts):
    """Fill offsets[distinct + 1] and counts[distinct], in order of first occurrence. Returns the bytes of all words."""
    for i in range(slots):
        meta = table[4 * i + 2]
        if meta != U0:
            number = np.int64(meta >> U32)
            offsets[number + 1] = np.int64(meta & LOW32) - 1
            counts[number] = np.int64(table[4 * i + 3])
    offsets[0] = 0
    for i in range(distinct):
        offsets[i + 1] += offsets[i]
    return offsets[distinct]


def copy_words(table, slots, arena, offsets, out):
    """Copy the bytes of all words to their places in out."""
    for i in range(slots):
        meta = table[4 * i + 2]
        if meta == U0:
            continue
        length = np.int64(meta & LOW32) - 1
        to = offsets[np.int64(meta >> U32)]
        if length > 16:
            at = np.int64(table[4 * i + 1])
            for j in range(length):
                out[to + j] = arena[at + j]
        else:
            for j in range(length):
                word = table[4 * i + (j >> 3)]
                out[to + j] = np.uint8(word >> np.uint64(8 * (j & 7)))
    return 0

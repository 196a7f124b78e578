"""How are fixed-width records sorted by their first bytes?

Four key bytes at a time. A record is one integer, (its 4 key bytes << 32) | its number, so sorting integers is a stable
sort of records. A radix sort orders all by the first 4 bytes; where records tie, each run of ties is sorted by the next
4 bytes, and so on. Bytes that all records share cost nothing.
"""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from mapreduce.kernels.intrinsics import big32_at, inlined, move16, prefetch_at, put_uint8, uint8_at

U8, U32, U255 = np.uint64(8), np.uint64(32), np.uint64(255)
LOW32 = np.uint64(0xFFFFFFFF)
FEW = 48  # fewer than this are sorted by insertion
AHEAD = 24  # records asked for before they are copied


@inlined
def address_of(bases, starts, runs, width, number):
    """Address of a record, by its number in all runs one after the other."""
    low = 0
    high = runs
    while high - low > 1:
        middle = (low + high) >> 1
        if starts[middle] <= number:
            low = middle
        else:
            high = middle
    return bases[low] + (number - starts[low]) * width


@inlined
def key_at(address, key_bytes):
    """Up to 4 key bytes as they compare."""
    if key_bytes >= 4:
        return big32_at(address)
    key = np.uint64(0)
    for i in range(key_bytes):
        key = (key << U8) | np.uint64(uint8_at(address + i))
    return key


@inlined
def insertion_sort(items, start, end):
    for i in range(start + 1, end):
        item = items[i]
        j = i - 1
        while j >= start and items[j] > item:
            items[j + 1] = items[j]
            j -= 1
        items[j + 1] = item


@inlined
def scatter(source, target, start, end, shift, counts, row):
    """One radix pass; counts[row:row + 256] are where the digits begin."""
    for i in range(start, end):
        item = source[i]
        digit = row + np.int64((item >> shift) & U255)
        target[counts[digit]] = item
        counts[digit] += 1


@inlined
def radix_sort(items, spare, start, end, counts):
    """Sort items[start:end] by their upper 32 bits, stably. counts is int64[1024]."""
    for d in range(1024):
        counts[d] = 0
    for i in range(start, end):
        key = items[i] >> U32
        for d in range(4):
            counts[d * 256 + np.int64((key >> np.uint64(8 * d)) & U255)] += 1
    moved = False
    for d in range(4):
        place = start
        widest = 0
        for digit in range(d * 256, d * 256 + 256):
            count = counts[digit]
            widest = max(widest, count)
            counts[digit] = place
            place += count
        if widest == end - start:  # all records share this byte
            continue
        shift = np.uint64(32 + 8 * d)
        if moved:
            scatter(spare, items, start, end, shift, counts, d * 256)
        else:
            scatter(items, spare, start, end, shift, counts, d * 256)
        moved = not moved
    if moved:
        for i in range(start, end):
            items[i] = spare[i]


@inlined
def sort_run(bases, starts, runs, width, skip, key_bytes, items, spare, start, end, counts):
    """Sort items[start:end], which tie so far, by the key bytes behind `skip`."""
    for i in range(start, end):
        number = items[i] & LOW32
        address = address_of(bases, starts, runs, width, np.int64(number))
        items[i] = (key_at(address + skip, key_bytes - skip) << U32) | number
    if end - start < FEW:
        insertion_sort(items, start, end)
    else:
        radix_sort(items, spare, start, end, counts)


def order_records(bases, starts, runs, n, width, key_bytes, items, spare, ties, counts, order):
    """order[i] is the number of the i-th record by key, stably. items and spare: uint64[n], ties: n bytes."""
    number = 0
    for run in range(runs):
        address = bases[run]
        stop = starts[run + 1]
        while number < stop:
            items[number] = (key_at(address, key_bytes) << U32) | np.uint64(number)
            ties[number] = number > 0
            address += width
            number += 1
    radix_sort(items, spare, 0, n, counts)
    skip = 4
    start = 0
    left = mark_ties(items, ties, 0, n)
    while left and skip < key_bytes:
        left = False
        start = 0
        while start + 1 < n:
            if not ties[start + 1]:
                start += 1
                continue
            end = start + 2
            while end < n and ties[end]:
                end += 1
            sort_run(bases, starts, runs, width, skip, key_bytes, items, spare, start, end, counts)
            left |= mark_ties(items, ties, start, end)
            start = end
        skip += 4
    for i in range(n):
        order[i] = np.int64(items[i] & LOW32)
    return n


@inlined
def mark_ties(items, ties, start, end):
    """ties[i]: item i ties with the one before. Returns whether any does."""
    found = False
    for i in range(start + 1, end):
        tie = (items[i] >> U32) == (items[i - 1] >> U32)
        ties[i] = tie
        found |= tie
    return found


@inlined
def copy_record(to, source, width):
    if width >= 16:
        for at in range(0, width - 15, 16):
            move16(to + at, source + at)
        move16(to + width - 16, source + width - 16)
    else:
        for i in range(width):
            put_uint8(to + i, uint8_at(source + i))


def gather_records(bases, starts, runs, width, order, n, to):
    """Copy the records in the given order to the address `to`."""
    for i in range(n):
        if i + AHEAD < n:
            address = address_of(bases, starts, runs, width, order[i + AHEAD])
            prefetch_at(address)
            prefetch_at(address + width - 1)
        copy_record(to, address_of(bases, starts, runs, width, order[i]), width)
        to += width
    return n

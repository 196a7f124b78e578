"""How do the decimals of CSV cells become slices of integers, with no float on the way?

`parse_decimals` goes through rows as source_csv.parse_rows does. A cell of at most 18 digits is an integer over a power
of ten; raised to the column's own power it has at most 128 bits, which are written as signed slices of 20 bits, the
form that exact products take (slices.py). A cell that needs more decimals or more slices than the column has is noted,
and the caller begins again with room for it. What is not such a number ends the work: the library path finds out.
"""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from mapreduce.kernels.intrinsics import high_product, inlined, leading_zeros, put_float64
from mapreduce.kernels.source_csv import CR, FAST_ROOM, LF, cell_end, ends_cell, plain_decimal, slow_decimal

U0 = np.uint64(0)
TENS = np.array([10**i for i in range(20)], dtype=np.uint64)
HALF = 1 << 19
TWO_SLICES = 1 << 38
MASK, SHIFT, REST = np.uint64((1 << 20) - 1), np.uint64(20), np.uint64(44)

# plan: PLAN integers a column; csv_decimals.py names the same places. OUT is 0 for a column that is passed over.
OUT, COUNT, SCALE, SCALE_SEEN, COUNT_SEEN, PLAN = range(6)
# state
ROW, CAPACITY, STRIDE = range(3)


@inlined
def put_slices(low, high, negative, address, count):
    """Write a number of 128 bits as `count` slices, the lowest first. False where they do not hold it."""
    carry = 0
    for i in range(count):
        piece = np.int64(low & MASK) + carry
        carry = 0
        if piece > HALF:
            piece -= HALF + HALF
            carry = 1
        put_float64(address + 8 * i, np.float64(-piece if negative else piece))
        low = (low >> SHIFT) | (high << REST)
        high >>= SHIFT
    return low == U0 and high == U0 and carry == 0


@inlined
def put_decimal(value, power, negative, address, plan, base):
    """Write value * 10**power over the column's scale, or note what room it needs."""
    scale = plan[base + SCALE]
    if power + scale == 0 and value < TWO_SLICES and plan[base + COUNT] == 2:  # as a rule
        if negative:
            value = -value
        piece = ((value + HALF) & 0xFFFFF) - HALF
        put_float64(address, np.float64(piece))
        put_float64(address + 8, np.float64((value - piece) >> 20))
        return True
    if value == 0:
        power = -scale
    if -power > plan[base + SCALE_SEEN]:
        plan[base + SCALE_SEEN] = -power
    up = power + scale
    if up > 19:
        return False
    if up >= 0:
        low = np.uint64(value) * TENS[up]
        high = high_product(np.uint64(value), TENS[up])
        if not put_slices(low, high, negative, address, plan[base + COUNT]):
            bits = 128 - leading_zeros(high) if high != U0 else 64 - leading_zeros(low)
            plan[base + COUNT_SEEN] = max(plan[base + COUNT_SEEN], bits // 20 + 1)
    return True


def parse_decimals(data, pos, n, delimiter, columns, plan, state):
    """Fill the planned columns from data[pos:n]. Returns n, or -1 where a cell is no plain number, a row is ragged, its
    quotes are wrong, or rows are too many."""
    comma = np.uint8(delimiter)
    while pos < n:
        if data[pos] == LF:
            pos += 1
            continue
        if data[pos] == CR and (pos + 1 == n or data[pos + 1] == LF):
            pos += 1
            continue
        if state[ROW] >= state[CAPACITY]:
            return -1
        at = pos
        for column in range(columns):
            base = column * PLAN
            if plan[base + OUT] == 0:
                at = cell_end(data, at, n, comma)
            else:
                address = plan[base + OUT] + 8 * state[ROW] * state[STRIDE]
                end = -1
                if at + FAST_ROOM <= n:
                    end, negative, value, fraction = plain_decimal(data, at)
                    if end >= 0 and ends_cell(data, end, n, comma):
                        if not put_decimal(value, -fraction, negative, address, plan, base):
                            return -1
                    else:
                        end = -1
                if end < 0:
                    end = cell_end(data, at, n, comma)
                    if end < 0:
                        return -1
                    plain, negative, value, power = slow_decimal(data, at, end)
                    if not plain or not put_decimal(value, power, negative, address, plan, base):
                        return -1
                at = end
            if at < 0:
                return -1
            if at < n and data[at] == comma:  # a branch is guessed, where a sum would wait for the byte
                if column + 1 == columns:
                    return -1
                at += 1
            elif column + 1 < columns:
                return -1
        state[ROW] += 1
        pos = at
    return n

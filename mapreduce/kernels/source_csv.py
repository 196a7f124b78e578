"""How do CSV cells become numbers and strings without a look at any byte twice?

`parse_rows` goes through the rows and fills columns according to a plan. Digits are read eight at a time: a nondigit
test gives their number, three multiplications their value. A decimal of at most 2^53 and a power of ten of at most 22
are both exact doubles, so one division rounds correctly (Clinger 1990); up to 18 digits and far exponents are rounded
by a 128-bit product (Lemire 2021, "Number parsing at a gigabyte per second"). Every number that is written another way
(longer mantissas, inf, nan) is listed, and the caller asks Python's float() or int(), which also decides what is an
error: the grammar of numbers is theirs alone.

Grammar of a row: cells separated by the delimiter, ended by LF, CRLF or the end of data. A cell that begins with a
quote ends at the next single quote. Blank lines are no rows.
"""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from mapreduce.kernels.intrinsics import (
    as_float64,
    equal_mask,
    high_product,
    inlined,
    leading_zeros,
    load64,
    ones,
    put_bytes16,
    put_float64,
    put_int32,
    put_int64,
    put_uint8,
    trailing_zeros,
)

U0, U1, U3, U8 = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(8)
ZEROS, SEVENTY_SIX, HIGHS = (np.uint64(x * 0x0101010101010101) for x in (0x30, 0x76, 0x80))
PAIRS = np.uint64(0x00FF00FF00FF00FF)
FOURS = np.uint64(0x0000FFFF0000FFFF)
M1, M2, M3 = np.uint64(10 * 256 + 1), np.uint64(100 * 65536 + 1), np.uint64(10000 * (1 << 32) + 1)
FAR = 250  # largest power of ten, up or down, that the 128-bit product takes: no subnormals, no infinities


def _power_of_five(q: int) -> int:
    """The upper 128 bits of 5**q: truncated for q >= 0, rounded up for reciprocals, as Lemire's proof needs."""
    if q >= 0:
        power = 5**q
        bits = power.bit_length()
        return power << (128 - bits) if bits <= 128 else power >> (bits - 128)
    power = 5**-q
    wide = (1 << (power.bit_length() + (127 if q >= -27 else 256))) // power + 1
    return wide >> (wide.bit_length() - 128)


FIVES = np.array(
    [half for q in range(-FAR, FAR + 1) for half in divmod(_power_of_five(q), 1 << 64)],
    dtype=np.uint64,
)
POWERS = np.array([10.0**i for i in range(23)])
INT_POWERS = np.array([10**i for i in range(19)], dtype=np.int64)
LF, CR, QUOTE, SPACE, PLUS, MINUS, POINT = 10, 13, 34, 32, 43, 45, 46
FAST_ROOM = 40  # the fast number paths read at most this far ahead

# plan: PLAN integers a column; kernels/csv.py names the same places
KIND, OUT, STRIDE, BYTES, USED, PLAN = range(6)
SKIP, FLOAT, INT, STRING = range(4)
# state
ROW, CAPACITY, LISTED, LIST_SIZE = range(4)
# list of cells for Python: row, column, start, end
LIST = 4


@inlined
def digits_at(data, at):
    """(digits among the 8 bytes at data[at:] before the first other, their value)."""
    return digits_of(load64(data, at))


@inlined
def digits_of(word):
    """The same of 8 bytes, the first one lowest."""
    word ^= ZEROS
    others = ((word + SEVENTY_SIX) | word) & HIGHS
    count = trailing_zeros(others) >> 3
    word = (word << (np.uint64(56 - 8 * min(count, 7)))) << (U8 if count < 8 else U0)
    word = ((word * M1) >> U8) & PAIRS
    word = ((word * M2) >> np.uint64(16)) & FOURS
    return count, np.int64((word * M3) >> np.uint64(32))


@inlined
def rounded(digits, power):
    """(True, digits * 10**power to the nearest double, ties to even) for 0 < digits < 2^63; (False, 0) in doubt."""
    if power < -FAR or power > FAR:
        return False, 0.0
    lead = leading_zeros(np.uint64(digits))
    w = np.uint64(digits) << np.uint64(lead)
    five = 2 * (power + FAR)
    high = high_product(w, FIVES[five])
    low = w * FIVES[five]
    if high & np.uint64(511) == np.uint64(511):
        second = high_product(w, FIVES[five + 1])
        low += second
        if low < second:
            high += U1
        if low == ~U0 and (power < -27 or power > 55):
            return False, 0.0
    upper = np.int64(high >> np.uint64(63))
    shift = np.uint64(upper + 9)
    mantissa = high >> shift
    exponent = ((217706 * power) >> 16) + 63 + upper - lead + 1023
    if low <= U1 and -4 <= power <= 23 and mantissa & np.uint64(3) == U1 and (mantissa << shift) == high:
        mantissa &= ~U1  # exactly half-way: to even
    mantissa = (mantissa + (mantissa & U1)) >> U1
    if mantissa == np.uint64(1 << 53):
        mantissa >>= U1
        exponent += 1
    return True, as_float64((np.uint64(exponent) << np.uint64(52)) | (mantissa & np.uint64((1 << 52) - 1)))


@inlined
def plain_decimal(data, at):
    """(end, negative, digits as an integer, decimals among them) of a number of at most 18 digits at data[at:]; end is
    -1 where it is not plain."""
    word = load64(data, at)
    negative = word & np.uint64(255) == np.uint64(MINUS)
    at += negative
    whole, value = digits_of(
        word >> (np.uint64(negative) << U3)
    )  # no second load: the next cell waits for this one's end
    at += whole
    fraction = 0
    if data[at] == POINT:
        at += 1
        fraction, low = digits_at(data, at)
        at += fraction
        if fraction == 8:
            more, lower = digits_at(data, at)
            at += more
            fraction += more
            low = low * INT_POWERS[more] + lower
        value = value * INT_POWERS[fraction] + low
    digits = whole + fraction
    if whole == 8 or digits > 18 or digits == 0:  # 8 digits before the point may go on
        return -1, negative, value, fraction
    return at, negative, value, fraction


@inlined
def float_at(data, at):
    """(end, value) of a plain decimal at data[at:]; end is -1 where it is not plain."""
    end, negative, value, fraction = plain_decimal(data, at)
    if end < 0:
        return -1, 0.0
    number = 0.0
    if value < 10**15:  # below 2^53
        number = np.float64(value) / POWERS[fraction]
    elif value != 0:
        exact, number = rounded(value, -fraction)
        if not exact:
            return -1, 0.0
    return end, -number if negative else number


@inlined
def int_at(data, at):
    """(end, value) of an integer of at most 15 digits at data[at:]; end is -1 for others."""
    negative = data[at] == MINUS
    at += negative
    count, value = digits_at(data, at)
    at += count
    if count == 8:
        more, low = digits_at(data, at)
        at += more
        if more == 8:
            return -1, 0
        value = value * INT_POWERS[more] + low
    elif count == 0:
        return -1, 0
    return at, -value if negative else value


@inlined
def plain_end(data, at, n, delimiter):
    """Where an unquoted cell ends: at a delimiter, LF or CRLF, or the end of data."""
    while at + 64 <= n:
        hits = equal_mask(data, at, delimiter) | equal_mask(data, at, LF)
        if hits != U0:
            at += trailing_zeros(hits)
            break
        at += 64
    else:
        while at < n and data[at] != delimiter and data[at] != LF:
            at += 1
    return at


@inlined
def quoted_end(data, at, n):
    """Index just behind the closing quote of the cell whose opening quote is at data[at]; -1 if it never closes."""
    at += 1
    while at < n:
        if data[at] == QUOTE:
            if at + 1 < n and data[at + 1] == QUOTE:
                at += 1
            else:
                return at + 1
        at += 1
    return -1


@inlined
def ends_cell(data, at, n, delimiter):
    if at >= n:
        return True
    byte = data[at]
    if byte == delimiter or byte == LF:  # noqa: SIM109 (numba would build a tuple)
        return True
    return byte == CR and (at + 1 == n or data[at + 1] == LF)


@inlined
def cell_end(data, at, n, delimiter):
    """Where the cell at data[at:] ends (before CR of CRLF); -1 where its quotes are wrong."""
    if at < n and data[at] == QUOTE:
        end = quoted_end(data, at, n)
        return end if end >= 0 and ends_cell(data, end, n, delimiter) else -1
    end = plain_end(data, at, n, delimiter)
    if end > at and data[end - 1] == CR and (end == n or data[end] == LF):
        end -= 1
    return end


@inlined
def copy_string(data, at, end, n, plan, base):
    """Append the cell's text, without its quotes, to the column's bytes."""
    to = plan[base + BYTES] + plan[base + USED]
    start = to
    if at < end and data[at] == QUOTE:
        at += 1
        end -= 1
        while at < end:
            put_uint8(to, data[at])
            to += 1
            at += 2 if data[at] == QUOTE else 1
    else:
        while at < end:
            if at + 16 <= n:
                put_bytes16(to, data, at)
            else:
                for i in range(end - at):
                    put_uint8(to + i, data[at + i])
            step = min(16, end - at)
            at += step
            to += step
    plan[base + USED] += to - start


@inlined
def list_cell(data, at, end, state, listed, column):
    """Leave a number to Python: its text is data[start:end] without quotes."""
    if at < end and data[at] == QUOTE:
        at += 1
        end -= 1
    place = state[LISTED] * LIST
    listed[place] = state[ROW]
    listed[place + 1] = column
    listed[place + 2] = at
    listed[place + 3] = end
    state[LISTED] += 1


@inlined
def slow_decimal(data, at, end):
    """(True, negative, digits, power of ten) of spaces, sign, digits, point, digits, exponent, spaces where at most 18
    digits count; else False first."""
    if at < end and data[at] == QUOTE:
        at += 1
        end -= 1
    while at < end and data[at] == SPACE:
        at += 1
    while at < end and data[end - 1] == SPACE:
        end -= 1
    negative = at < end and data[at] == MINUS
    if at < end and (data[at] == MINUS or data[at] == PLUS):
        at += 1
    digits = 0
    power = 0
    value = 0
    point = False
    while at < end:
        byte = np.int64(data[at])
        if 48 <= byte <= 57:
            digits += 1
            if value >= 10**17:
                return False, False, 0, 0
            value = value * 10 + (byte - 48)
            power -= point
        elif byte == POINT and not point:
            point = True
        else:
            break
        at += 1
    if digits == 0:
        return False, False, 0, 0
    if at < end:
        if data[at] | 32 != 101 or at + 1 >= end:
            return False, False, 0, 0
        at += 1
        down = data[at] == MINUS
        if data[at] == MINUS or data[at] == PLUS:
            at += 1
        exponent = 0
        if at >= end or end - at > 3:
            return False, False, 0, 0
        while at < end:
            byte = np.int64(data[at])
            if byte < 48 or byte > 57:
                return False, False, 0, 0
            exponent = exponent * 10 + (byte - 48)
            at += 1
        power += -exponent if down else exponent
    return True, negative, value, power


@inlined
def slow_float(data, at, end):
    """(True, value) of a number that `slow_decimal` reads, where that is exact; else (False, 0)."""
    plain, negative, value, power = slow_decimal(data, at, end)
    if not plain:
        return False, 0.0
    number = 0.0
    if value != 0:
        exact, number = rounded(value, power)
        if not exact:
            return False, 0.0
    return True, -number if negative else number


@inlined
def number_cell(data, at, n, delimiter, plan, base, state, listed, column):
    """Store the number of a cell and return where the cell ends; -1 where its quotes are wrong."""
    kind = plan[base + KIND]
    address = plan[base + OUT] + 8 * state[ROW] * plan[base + STRIDE]
    if kind == FLOAT:
        if at + FAST_ROOM <= n:
            end, value = float_at(data, at)
            if end >= 0 and ends_cell(data, end, n, delimiter):
                put_float64(address, value)
                return end
        end = cell_end(data, at, n, delimiter)
        if end < 0:
            return end
        plain, value = slow_float(data, at, end)
        put_float64(address, value)
        if not plain:
            list_cell(data, at, end, state, listed, column)
        return end
    if at + FAST_ROOM <= n:
        end, integer = int_at(data, at)
        if end >= 0 and ends_cell(data, end, n, delimiter):
            put_int64(address, integer)
            return end
    end = cell_end(data, at, n, delimiter)
    if end >= 0:
        list_cell(data, at, end, state, listed, column)
    return end


def parse_rows(data, pos, n, delimiter, columns, plan, state, listed):
    """Fill the planned columns from data[pos:n], from row state[ROW] on. Returns n, or the start of a row for which
    rows or the list of cells are full, or -1 where a row is ragged or its quotes are wrong: the library path finds out.
    """
    comma = np.uint8(delimiter)
    while pos < n:
        if data[pos] == LF:
            pos += 1
            continue
        if data[pos] == CR and (pos + 1 == n or data[pos + 1] == LF):
            pos += 1
            continue
        if state[ROW] >= state[CAPACITY] or state[LISTED] + columns > state[LIST_SIZE]:
            return pos
        at = pos
        for column in range(columns):
            base = column * PLAN
            kind = plan[base + KIND]
            start = at
            if kind == SKIP:
                at = cell_end(data, at, n, comma)
            elif kind == STRING:
                at = cell_end(data, at, n, comma)
                if at >= 0:
                    copy_string(data, start, at, n, plan, base)
                    put_int32(plan[base + OUT] + 4 * (state[ROW] + 1), plan[base + USED])
            else:
                at = number_cell(data, at, n, comma, plan, base, state, listed, column)
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


def count_lines(data, n):
    """How many LF are in data[:n]: at most one more row than that."""
    count = 0
    at = 0
    while at + 64 <= n:
        count += ones(equal_mask(data, at, LF))
        at += 64
    while at < n:
        count += data[at] == LF
        at += 1
    return count

"""How does a compiled loop take pairs from a Python iterator, without a step of the interpreter for each?

It calls the interpreter's C functions itself, and holds the GIL: for the next pair, its key and value, their text or
number. What fits is copied into columns, and the pair is let go at once: the next one takes its memory, which is still
in the cache. Only functions of CPython's stable interface are called, by addresses that python_calls.py found; nothing
is known here of objects but where they name their type.
"""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

from mapreduce.kernels.intrinsics import (
    address_of,
    call_0,
    call_1,
    call_2,
    call_float64,
    inlined,
    int64_at,
    move16,
    put_uint8,
    uint8_at,
)

# places in `calls` (kernels/python_calls.py names the same)
NEXT, TUPLE_SIZE, TUPLE_ITEM, TEXT, INTEGER, NUMBER, ERROR, CLEAR, APPEND, RELEASE = range(10)
TYPE_AT, TUPLE, STR, INT, FLOAT, ONE = range(10, 16)

# places in `state` (kernels/pairs.py names the same, and the kinds and reasons)
KEYS, VALUES, WHY, SIZE = range(4)
ANY, STRINGS, INTEGERS, FLOATS, ONES, UNREAD = range(6)  # kinds of columns; any: as the first pair is
ENDED, FILLED, NO_ROOM, NOT_PLAIN = range(4)  # why it stopped

PAGE, SHORT = 4096, 16


@inlined
def type_of(thing, calls):
    return int64_at(thing + calls[TYPE_AT])


@inlined
def take_integer(thing, row, calls, column):
    """Is it of 64 bits? Then it is in the column. Else Python's error is set."""
    column[row] = call_1(calls[INTEGER], thing)
    return column[row] != -1 or call_0(calls[ERROR]) == 0


@inlined
def take_value(value, kind, row, calls, integers, floats):
    """Does it fit? Then it is in the column of its kind."""
    if kind == ONES:
        return value == calls[ONE]
    if kind == INTEGERS:
        return type_of(value, calls) == calls[INT] and take_integer(value, row, calls, integers)
    if kind == FLOATS:
        if type_of(value, calls) != calls[FLOAT]:
            return False
        floats[row] = call_float64(calls[NUMBER], value)
    return True


@inlined
def take_text(key, used, calls, state, text, room):
    """Where the text behind the key's begins; -1 if it is no string that can be encoded, -2 if there is no room."""
    if type_of(key, calls) != calls[STR]:
        return -1
    source = call_2(calls[TEXT], key, address_of(state) + 8 * SIZE)
    if source == 0:
        return -1
    size = state[SIZE]
    if used + size + SHORT > room:
        return -2
    if size <= SHORT and source & (PAGE - 1) <= PAGE - SHORT:
        move16(text + used, source)  # more than the text, but of the same page
    else:
        for i in range(size):
            put_uint8(text + used + i, uint8_at(source + i))
    return used + size


def take_pairs(pairs, most, left, calls, state, text, room, offsets, keys, integers, floats):
    """Take up to `most` pairs from an iterator; returns how many. If the iterator raises, so does the call.

    Of pair i the key is text[offsets[i]:offsets[i + 1]] or keys[i], the value integers[i] or floats[i] (one memory).
    state[KEYS] and state[VALUES] are their kinds, state[WHY] tells why it stopped. A pair that was fetched and not
    taken is appended to the list `left`. `room`: bytes of text, of which the last 16 are never part of a key.
    """
    used = row = 0
    offsets[0] = 0
    why = FILLED
    while row < most:
        pair = call_1(calls[NEXT], pairs)
        if pair == 0:
            why = ENDED
            break
        why = NOT_PLAIN
        if type_of(pair, calls) == calls[TUPLE] and call_1(calls[TUPLE_SIZE], pair) == 2:
            key, value = call_2(calls[TUPLE_ITEM], pair, 0), call_2(calls[TUPLE_ITEM], pair, 1)
            if state[KEYS] == ANY:
                state[KEYS] = STRINGS if type_of(key, calls) == calls[STR] else INTEGERS
            if state[VALUES] == ANY:
                state[VALUES] = INTEGERS if type_of(value, calls) == calls[INT] else FLOATS
            if take_value(value, state[VALUES], row, calls, integers, floats):
                if state[KEYS] == STRINGS:
                    end = take_text(key, used, calls, state, text, room)
                    if end >= 0:
                        why = FILLED
                        used = end
                        offsets[row + 1] = end
                    elif end == -2:
                        why = NO_ROOM
                elif type_of(key, calls) == calls[INT] and take_integer(key, row, calls, keys):
                    why = FILLED
        if why != FILLED:
            call_0(calls[CLEAR])
            call_2(calls[APPEND], left, pair)
            call_1(calls[RELEASE], pair)
            break
        call_1(calls[RELEASE], pair)
        row += 1
    state[WHY] = why
    return row

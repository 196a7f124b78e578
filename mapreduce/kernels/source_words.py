"""How are words found and counted at memory speed?

1. `find_edges`: 64 bytes at a time become a bit mask of white space; where it flips a word starts or ends. Bytes of
   128 and more take a slow turn: decoded, validated, and looked up among the Unicode spaces of `str.split`.
2. `add_words`: each word is counted in the table of strings (source_strings.py).
"""

# numba infers the types; catalogue.py states those of the kernels
# mypy: ignore-errors

from __future__ import annotations

import numpy as np

from mapreduce.kernels.intrinsics import high_mask, inlined, ones, space_mask, trailing_zeros
from mapreduce.kernels.source_strings import (
    BAD_BYTE,
    U0,
    U1,
    copy_words,
    count_strings,
    list_words,
    move_words,
    string_slot,
)

__all__ = ["add_words", "copy_words", "count_strings", "list_words", "move_words"]

U63 = np.uint64(63)
EDGES = 4096  # edges found per batch; `edges` has room for EDGES + 128


@inlined
def decode_at(data, at, n):
    """The code point at data[at] + (its length << 32), -1 if no valid UTF-8 starts there. data[at] >= 128."""
    lead = np.int64(data[at])
    if lead < 0xC2 or lead > 0xF4:
        return -1
    length = 2 if lead < 0xE0 else (3 if lead < 0xF0 else 4)
    if at + length > n:
        return -1
    code = lead & (0x7F >> length)
    for i in range(1, length):
        byte = np.int64(data[at + i])
        if byte & 0xC0 != 0x80:
            return -1
        code = (code << 6) | (byte & 0x3F)
    if length == 3 and (code < 0x800 or 0xD800 <= code < 0xE000):
        return -1
    if length == 4 and (code < 0x10000 or code > 0x10FFFF):
        return -1
    return code + (length << 32)


@inlined
def is_wide_space(code):
    if code > 0x3000:
        return False
    return (
        code == 0x85
        or code == 0xA0
        or code == 0x1680
        or 0x2000 <= code <= 0x200A
        or code == 0x2028
        or code == 0x2029
        or code == 0x202F
        or code == 0x205F
        or code == 0x3000
    )


@inlined
def mark_wide(data, pos, n, high, marks, progress):
    """Validate the characters that begin in data[pos:pos+64]; set the bits of spaces in marks[0], overflow in marks[1].

    progress[0] is where the next undecoded character begins. Returns -1, or the offset of the first bad byte.
    """
    while high != U0:
        at = pos + trailing_zeros(high)
        if at < progress[0]:
            high &= high - U1
            continue
        code = decode_at(data, at, n)
        if code < 0:
            return at
        length = code >> 32
        progress[0] = at + length
        if is_wide_space(code & 0xFFFFFFFF):
            for i in range(at - pos, at - pos + length):
                if i < 64:
                    marks[0] |= U1 << np.uint64(i)
                else:
                    marks[1] |= U1 << np.uint64(i - 64)
        high &= high - U1
    return -1


@inlined
def find_edges(data, pos, n, edges, found, marks, progress, tail):
    """Append where words start and end to edges until the batch is full or data ends. Returns the next position.

    marks[1] holds space bits that belong to the next 64 bytes, marks[2] is 1 where the byte before pos is a space;
    edges[-1 + found] etc. progress[1] receives the number of edges, progress[2] the first bad byte or -1.
    """
    while pos < n and found < EDGES:
        if pos + 64 <= n:
            spaces = space_mask(data, pos)
            high = high_mask(data, pos)
        else:
            for i in range(64):
                tail[i] = data[pos + i] if pos + i < n else 32
            spaces = space_mask(tail, 0)
            high = high_mask(tail, 0)
        if high != U0:
            marks[0] = spaces | marks[1]
            marks[1] = U0
            bad = mark_wide(data, pos, n, high, marks, progress)
            if bad >= 0:
                progress[2] = bad
                return n
            spaces = marks[0]
        flips = spaces ^ ((spaces << U1) | marks[2])
        marks[2] = spaces >> U63
        count = ones(flips)
        for i in range(count):
            edges[found + i] = pos + trailing_zeros(flips)
            flips &= flips - U1
        found += count
        pos += 64
    if pos >= n and found & 1:
        edges[found] = n
        found += 1
    progress[1] = found
    return pos


@inlined
def count_batch(data, n, edges, found, table, state, arena):
    """Count the words between edges. Returns the index of the first edge not done."""
    for e in range(0, found, 2):
        base = string_slot(data, edges[e], edges[e + 1] - edges[e], n, table, state, arena)
        if base < 0:
            return e
        table[base + 3] += U1
    return found


def add_words(data, pos, n, table, state, arena, edges, marks, progress, tail):
    """Count the words of data[pos:n]. pos must be where a word or white space begins.

    Returns n when done; less when table or arena must grow first: then call again with what was returned.
    state[BAD_BYTE] becomes the offset of the first byte that is not UTF-8 (and n is returned).
    """
    marks[1] = U0
    marks[2] = U1
    progress[0] = pos
    progress[2] = -1
    found = 0
    while pos < n:
        pos = find_edges(data, pos, n, edges, found, marks, progress, tail)
        if progress[2] >= 0:
            state[BAD_BYTE] = progress[2]
            return n
        found = progress[1]
        done = count_batch(data, n, edges, found & ~1, table, state, arena)
        if done < found & ~1:
            return edges[done]
        if found & 1:
            edges[0] = edges[found - 1]
        found &= 1
    return n

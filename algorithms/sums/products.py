"""How do matrices of long integers multiply fast and without error? Cut into slices whose products floats hold.

Python's integers multiply one by one. Here a number is cut into slices of 20 bits, as in the sums (mr.Slices): products
of matrices of slices are exact in float64, whatever BLAS does them, and are added by their weights. 300 x 300 numbers
of 256 bits take a second instead of eight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import mapreduce as mr

Integers = np.ndarray[Any, np.dtype[Any]]

FEW = 64
"""Size up to which cutting costs more than it saves."""
WIDTH = 20
LONGEST = 1 << 15
"""Terms of one sum: 2^15 products of 2^38 are 2^53."""
MOST_SLICES = 512
"""Products of one weight, each up to 2^53, whose sum 64 bits hold."""
MASK, HALF = (1 << WIDTH) - 1, 1 << (WIDTH - 1)


def product(A: Integers, B: Integers) -> Integers:
    """A B of integers, (p, q) and (q, r)."""
    if min(*A.shape, *B.shape) <= FEW:
        return np.asarray(A.dot(B))
    total = np.zeros((A.shape[0], B.shape[1]), object)
    for start in range(0, A.shape[1], LONGEST):
        total += _product(A[:, start : start + LONGEST], B[start : start + LONGEST])
    return total


def _product(A: Integers, B: Integers) -> Integers:
    a, b = _cut(A), _cut(B)
    if not len(a) or not len(b) or min(len(a), len(b)) > MOST_SLICES:
        return np.asarray(A.dot(B))
    out = np.zeros((A.shape[0], B.shape[1]), object)
    carried = np.zeros(out.shape, np.int64)
    held, place = np.zeros(out.shape, np.int64), 0
    for weight in range(len(a) + len(b) - 1):
        level = carried
        for s in range(max(0, weight - len(b) + 1), min(weight + 1, len(a))):
            level = level + (a[s] @ b[weight - s]).astype(np.int64)
        low = ((level + HALF) & MASK) - HALF
        carried = (level - low) >> WIDTH
        held += low << (WIDTH * (weight % 3))  # three digits of 20 bits are a number of 64
        if weight % 3 == 2:
            out += held.astype(object) << (WIDTH * place)
            held, place = np.zeros(out.shape, np.int64), weight + 1
    out += held.astype(object) << (WIDTH * place)
    out += carried.astype(object) << (WIDTH * (len(a) + len(b) - 1))
    return out


def _cut(A: Integers) -> Any:
    """The slices of a matrix, the lowest first: (slices, rows, columns)."""
    pieces = mr.Slices.of_integers(A.ravel().tolist(), 0).piece(0)
    return np.ascontiguousarray(pieces.T.reshape(-1, *A.shape))

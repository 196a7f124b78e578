"""What are the exact sums of partials by key, where keys are integers? Compiled, for what two floats can hold.

Rows are sorted packed with their keys; one pass over that adds the rows of each key, wherever they lie.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mapreduce.kernels.load import kernels_of
from mapreduce.kernels.packed_rows import sort_packed

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


class SortedSums(NamedTuple):
    """Keys ascending; of each, the sum in its one form (exact_totals.py) and the sum of its counts."""

    keys: Ints
    high: Floats
    low: Floats
    counts: Ints


def sorted_sums(keys: Ints, high: Floats, low: Floats, counts: Ints | None) -> SortedSums | None:
    """Sums of high[i] + low[i], and of counts[i], by keys[i]. None where there is no kernel, keys lie too far apart, or
    a sum is more than two floats, HUGE, infinite or NaN. Counts must have sums below 2^63; without any, those of the
    answer mean nothing."""
    kernels = kernels_of("groups")
    packed = None if kernels is None or not len(keys) else sort_packed(keys)
    if kernels is None or packed is None:
        return None
    given = [np.ascontiguousarray(column) for column in (high, low, keys if counts is None else counts)]
    found = np.empty((4, len(keys)), np.int64)
    groups = kernels["add_sorted"](
        packed.values.ctypes.data,
        packed.row_bits,
        len(keys),
        packed.smallest,
        *(column.ctypes.data for column in (*given, *found)),
    )
    if groups < 0:
        return None
    sums = found[:, :groups]
    if 2 * groups < len(keys):
        sums = sums.copy()  # few keys should not hold the memory of many rows
    return SortedSums(sums[0], sums[1].view(np.float64), sums[2].view(np.float64), sums[3])

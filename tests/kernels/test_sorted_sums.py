"""Are sums of partials by integer keys the exact ones, and left to others where two floats can't hold them?"""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.kernels.load import available
from mapreduce.kernels.packed_rows import sort_packed
from mapreduce.kernels.sorted_sums import SortedSums, sorted_sums

KEYS = st.one_of(st.integers(-3, 3), st.integers(-(2**61), 2**61))
FLOATS = st.one_of(st.floats(-1e6, 1e6), st.decimals(-100, 100, places=6).map(float), st.sampled_from([-0.0, 1e-30]))
ROWS = st.lists(st.tuples(KEYS, FLOATS, FLOATS.map(lambda x: x * 1e-17), st.integers(0, 1 << 40)), max_size=60)


@pytest.fixture(autouse=True, scope="module")
def kernels() -> None:
    if not available("groups", compile=True):
        pytest.skip("there is no compiler for the kernels")


def sums_of(rows: list[tuple[int, float, float, int]], *, counted: bool = True) -> SortedSums | None:
    keys, high, low, counts = zip(*rows, strict=True)
    return sorted_sums(
        np.array(keys, np.int64), np.array(high), np.array(low), np.array(counts, np.int64) if counted else None
    )


@given(ROWS.filter(bool), st.booleans())
def test_sums_are_those_of_fractions(rows: list[tuple[int, float, float, int]], counted: bool) -> None:
    found = sums_of(rows, counted=counted)
    sums: dict[int, Fraction] = defaultdict(Fraction)
    counts: dict[int, int] = defaultdict(int)
    for key, high, low, count in rows:
        sums[key] += Fraction(high) + Fraction(low)
        counts[key] += count
    if found is None:  # keys too far apart, or a sum that two floats can't hold on its way
        assert sort_packed(np.array([row[0] for row in rows])) is None or len(rows) > len(sums)
        return
    assert found.keys.tolist() == sorted(sums)
    for key, high, low in zip(found.keys.tolist(), found.high.tolist(), found.low.tolist(), strict=True):
        assert Fraction(high) + Fraction(low) == sums[key]
        assert high == float(sums[key]) and (high != 0 or math.copysign(1.0, high) == 1.0)  # the one form
    if counted:
        assert found.counts.tolist() == [counts[key] for key in sorted(sums)]


@pytest.mark.parametrize(
    "values",
    [
        [1e300, 1.0, 1e-300],
        [2.0**960],
        [float("inf")],
        [float("nan")],
        [float("inf"), float("-inf")],
        [1.0, 1e-40, 1e40],
    ],
)
def test_what_two_floats_cannot_hold_is_left_to_others(values: list[float]) -> None:
    assert sums_of([(1, 0.5, 0.0, 1), *((7, value, 0.0, 1) for value in values)]) is None


def test_equal_keys_meet_wherever_they_lie() -> None:
    random = np.random.default_rng(5)
    keys = np.sort(random.integers(-500, 500, (16, 400)), axis=1).ravel()
    values = random.integers(-(10**9), 10**9, keys.size) / 4.0
    found = sorted_sums(keys, values, np.zeros(keys.size), np.ones(keys.size, np.int64))
    assert found is not None
    distinct, numbers = np.unique(keys, return_inverse=True)
    assert np.array_equal(found.keys, distinct)
    assert np.array_equal(found.high, np.bincount(numbers, values))  # multiples of 1/4 below 2^51: exact
    assert np.array_equal(found.counts, np.bincount(numbers))
    assert not found.low.any()


def test_no_rows() -> None:
    nothing = np.empty(0)
    assert sorted_sums(nothing.astype(np.int64), nothing, nothing, None) is None


def test_keys_too_far_apart() -> None:
    assert sums_of([(-(2**62), 1.0, 0.0, 1), (2**62, 1.0, 0.0, 1)]) is None
    assert sort_packed(np.array([0, 2**59, 1, 1])) is None
    packed = sort_packed(np.array([2**58, 0, 2**58, 5]))
    assert packed is not None and packed.rows.tolist() == [1, 3, 0, 2]

"""Products of exact numbers are exact, of any size, in any number of slices."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.kernels.slices import HALF, Slices

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.sampled_from([0, 1, -1, 2**19, -(2**19), 2**20 - 1, 2**39, -(2**39), 2**60]),
    st.floats(allow_nan=False, allow_infinity=False, width=32), st.decimals(-1000, 1000, places=3).map(Fraction),
)  # fmt: skip


def values(slices: Slices) -> list[list[Fraction]]:
    scales = [2**two * 5**five for two, five in zip(slices.twos, slices.fives, strict=True)]
    return [[Fraction(int(v), scale) for v, scale in zip(row, scales, strict=True)] for row in slices.integers()]


@given(st.lists(st.lists(NUMBERS, min_size=4, max_size=4), min_size=1, max_size=8))
def test_weighted_numbers(rows: list[list[int | float | Fraction]]) -> None:
    wanted = [[Fraction(value) for value in row] for row in rows]
    columns = [list(column) for column in zip(*rows, strict=True)]
    Z, w = Slices.of_columns(columns[:3], len(rows)), Slices.of_columns(columns[3:], len(rows))
    weighted = Z.weighted(w)
    assert values(weighted) == [[row[3], *(row[3] * value for value in row[:3])] for row in wanted]
    assert values(Z.times(w)) == [[row[3] * value for value in row[:3]] for row in wanted]
    assert values(Z.first(2)) == [row[:2] for row in wanted]
    assert values(Z.first(2).weighted(w)) == [[row[3], row[0] * row[3], row[1] * row[3]] for row in wanted]
    for slices in (weighted, Z.times(w)):
        assert np.abs(slices.matrix).max() <= HALF  # or a product of them could round
    assert [Z.signs(j).tolist() for j in range(3)] == [[(v > 0) - (v < 0) for v in c] for c in columns[:3]]


@pytest.mark.parametrize("rows", [1, 1023, 1024, 5000])
def test_many_rows(rows: int) -> None:
    random = np.random.default_rng(rows)
    x, w = random.integers(-(2**50), 2**50, (rows, 3)), random.integers(0, 2**30, rows)
    found = Slices.of(x).weighted(Slices.of(w)).integers()
    assert (found[:, 0] == w.astype(object)).all()
    assert (found[:, 1:] == x.astype(object) * w.astype(object)[:, None]).all()

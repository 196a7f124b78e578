"""Are sums by key exact, on both paths? The reference is Python's integers and fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mapreduce.kernels import GroupSums, available, group_sums

relaxed = settings(deadline=None, max_examples=100)  # a process's first call loads object code
if not available("groups", "words", compile=True):
    pytest.skip("no compiled kernels here", allow_module_level=True)

STRINGS = st.one_of(st.sampled_from(["", "\0", "a", "a\0", "é" * 9, "x" * 16, "x" * 17, "y" * 40]), st.text(max_size=3))
KEYS = st.one_of(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)), st.lists(STRINGS))
FLOATS = st.one_of(
    st.sampled_from([0.1, 0.2, -0.3, 1e16, -1e16, 1e308, -1e308, 1.7976931348623157e308, 5e-324, 1e-300, -0.0]),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.floats(allow_nan=False, allow_infinity=False),
)


def compiled() -> GroupSums:
    return GroupSums()


def library() -> GroupSums:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAPREDUCE_KERNELS", "off")
        return GroupSums()


def plain(keys: list[Any], values: list[Any]) -> list[tuple[Any, Any, int]]:
    sums: dict[Any, Any] = {}
    counts: dict[Any, int] = {}
    for key, value in zip(keys, values, strict=True):
        sums[key] = sums.get(key, 0) + Fraction(value)
        counts[key] = counts.get(key, 0) + 1
    return [(key, sums[key], counts[key]) for key in sums]


def taken(sums: GroupSums) -> list[tuple[Any, Any, int]]:
    """(key, exact sum, count): rows of one key added up."""
    t = sums.take()
    columns = (column.to_pylist() for column in (t.keys, *t.sums, t.counts))
    exact: dict[Any, Any] = {}
    counts: dict[Any, int] = {}
    for key, *parts, count in zip(*columns, strict=True):
        exact[key] = exact.get(key, 0) + sum(map(Fraction, parts))
        counts[key] = counts.get(key, 0) + count
    return [(key, exact[key], counts[key]) for key in exact]


@relaxed
@given(st.data())
def test_floats_by_key(data: st.DataObject) -> None:
    keys = data.draw(KEYS)
    values = data.draw(st.lists(FLOATS, min_size=len(keys), max_size=len(keys)))
    cut = data.draw(st.integers(0, len(keys)))
    kind = pa.string() if keys and isinstance(keys[0], str) else pa.int64()
    for sums in (compiled(), library()):
        for _ in range(2):  # a second use after take
            column = pa.array(keys, kind)
            assert sums.add(column[:cut], pa.array(values[:cut], pa.float64())) == cut
            assert sums.add(column[cut:], pa.array(values, pa.float64())[cut:]) == len(keys) - cut
            assert taken(sums) == plain(keys, values)


@relaxed
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9))))
@example([(1, 2**63 - 1), (0, 1), (1, 1), (1, -1)])
@example([(0, -(2**63)), (0, -1)])
def test_integers_stop_before_they_overflow(rows: list[tuple[int, int]]) -> None:
    keys, values = [key for key, _ in rows], [value for _, value in rows]
    fit = 0
    while fit < len(rows) and all(-(2**63) <= s < 2**63 for _, s, _ in plain(keys[: fit + 1], values[: fit + 1])):
        fit += 1
    for sums in (compiled(), library()):
        assert sums.add(np.array(keys, np.int64), np.array(values, np.int64)) == fit
        assert taken(sums) == plain(keys[:fit], values[:fit])


@pytest.mark.parametrize("text", [False, True])
def test_tables_grow(text: bool) -> None:
    rng = np.random.default_rng(3)
    keys = rng.integers(0, 200_000, 300_000)
    values = rng.normal(size=300_000)
    column = pa.array([f"{k:x}" * (1 + k % 6) for k in keys.tolist()]) if text else pa.array(keys)
    results = []
    for sums in (compiled(), library()):
        for at in range(0, len(keys), 70_000):
            sums.add(column[at : at + 70_000], pa.array(values[at : at + 70_000]))
        results.append(sums.take())
    assert results[0].keys.equals(results[1].keys)
    assert [a.equals(b) for a, b in zip(results[0].sums, results[1].sums, strict=True)] == [True, True]
    assert results[0].counts.equals(results[1].counts)


@pytest.mark.parametrize("make", [compiled, library])
def test_a_sum_has_one_form(make: Any) -> None:
    """Equal sums are equal rows, whatever was added in which order."""
    values = [1e300, 0.1, -1e300, 0.2, 3e-310, 1e16, 1.0, 1e308, 1e308, -1e308]
    rng = np.random.default_rng(1)
    found = set()
    for _ in range(20):
        sums = make()
        shuffled = rng.permutation(values)
        cut = int(rng.integers(0, 10))
        for part in (shuffled[:cut], shuffled[cut:]):
            sums.add(np.zeros(len(part), np.int64), part)
        found.add(tuple(map(str, sums.take().sums)))
    assert len(found) == 1


@pytest.mark.parametrize("make", [compiled, library])
def test_infinity_and_nan(make: Any) -> None:
    inf, nan = np.inf, np.nan
    for _ in range(2):
        sums = make()
        sums.add(np.array([0, 0, 1, 1, 2, 2, 3, 3, 4]), np.array([inf, 1.0, 1e308, -inf, inf, -inf, nan, inf, -0.0]))
        high, low = sums.take().sums
        assert str(high.to_pylist()) == str([inf, -inf, nan, nan, 0.0])
        assert low.to_pylist() == [0.0] * 5


def test_what_is_refused() -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        group_sums([1, 1], [2**63 - 1, 1])
    with pytest.raises(ValueError, match="nulls"):
        group_sums([1, None], [1, 2])
    with pytest.raises(ValueError, match="give int64 or string"):
        group_sums([1.5], [1])
    with pytest.raises(ValueError, match="2 keys, 1 values"):
        group_sums([1, 2], [1])

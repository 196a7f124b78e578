"""Are sums by key those of a sequential loop, to the last bit, on both paths?"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mapreduce.kernels import GroupSums, group_sums
from mapreduce.kernels.load import kernels_of

relaxed = settings(deadline=None, max_examples=100)  # a process's first call loads object code
if kernels_of("groups", compile=True) is None:
    pytest.skip("no compiled kernels here", allow_module_level=True)

STRINGS = st.one_of(st.sampled_from(["", "\0", "a", "a\0", "é" * 9, "x" * 16, "x" * 17, "y" * 40]), st.text(max_size=3))
KEYS = st.one_of(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)), st.lists(STRINGS))
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


def compiled() -> GroupSums:
    return GroupSums()


def library() -> GroupSums:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAPREDUCE_KERNELS", "off")
        return GroupSums()


def plain(keys: list[Any], values: list[Any], zero: Any) -> list[tuple[Any, Any, int]]:
    sums: dict[Any, Any] = {}
    counts: dict[Any, int] = {}
    for key, value in zip(keys, values, strict=True):
        sums[key] = sums.get(key, zero) + value
        counts[key] = counts.get(key, 0) + 1
    return [(key, bits(sums[key]), counts[key]) for key in sums]


def bits(value: Any) -> Any:
    return struct.pack("<d", value) if isinstance(value, float) else value


def taken(sums: GroupSums) -> list[tuple[Any, Any, int]]:
    t = sums.take()
    return [
        (k, bits(s), c) for k, s, c in zip(t.keys.to_pylist(), t.sums.to_pylist(), t.counts.to_pylist(), strict=True)
    ]


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
            assert taken(sums) == plain(keys, values, 0.0)


@relaxed
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9))))
@example([(1, 2**63 - 1), (0, 1), (1, 1), (1, -1)])
@example([(0, -(2**63)), (0, -1)])
def test_integers_stop_before_they_overflow(rows: list[tuple[int, int]]) -> None:
    keys, values = [key for key, _ in rows], [value for _, value in rows]
    fit = 0
    while fit < len(rows) and all(-(2**63) <= s < 2**63 for _, s, _ in plain(keys[: fit + 1], values[: fit + 1], 0)):
        fit += 1
    for sums in (compiled(), library()):
        assert sums.add(np.array(keys, np.int64), np.array(values, np.int64)) == fit
        assert taken(sums) == plain(keys[:fit], values[:fit], 0)


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
    assert results[0].sums.equals(results[1].sums)
    assert results[0].counts.equals(results[1].counts)


def test_what_is_refused() -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        group_sums([1, 1], [2**63 - 1, 1])
    with pytest.raises(ValueError, match="nulls"):
        group_sums([1, None], [1, 2])
    with pytest.raises(ValueError, match="give int64 or string"):
        group_sums([1.5], [1])
    with pytest.raises(ValueError, match="2 keys, 1 values"):
        group_sums([1, 2], [1])

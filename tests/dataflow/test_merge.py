"""However pairs are cut into runs and batches, merging gives the sorted, stable whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.dataflow import merge, merge_columns
from mapreduce.dataflow.batches import Batch, ColumnBatch, RowBatch, to_rows
from mapreduce.dataflow.merge import group_pairs, merge_pairs, merge_rows
from mapreduce.dataflow.merge_columns import merge_batches, merge_partials
from mapreduce.dataflow.order import order_key
from mapreduce.reducers.named import Max
from mapreduce.reducers.sums import Mean, Sum
from tests.dataflow.columnar import columns_from_rows
from tests.dataflow.key_strategies import NAN, keys

Pair = tuple[Any, Any]


@pytest.fixture(autouse=True, params=["tiny windows", "real windows"])
def windows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of a few pairs meet every boundary that large data meets."""
    if request.param == "tiny windows":
        for module in (merge, merge_columns):
            monkeypatch.setattr(module, "WINDOW_PAIRS", 4)
            monkeypatch.setattr(module, "MIN_STRETCH", 1)
        monkeypatch.setattr(merge, "CHUNK_PAIRS", 3)


def cut(data: st.DataObject, pairs: Sequence[Pair], value_order: Any = None) -> list[list[RowBatch]]:
    """Runs in order, each sorted, each cut into batches (some empty)."""
    runs = []
    places = sorted(data.draw(st.lists(st.integers(0, len(pairs)), max_size=5)))
    for start, end in zip([0, *places], [*places, len(pairs)], strict=True):
        run = sorted(pairs[start:end], key=lambda pair: sort_key(pair, value_order))
        ends = sorted(data.draw(st.lists(st.integers(0, len(run)), max_size=4)))
        cuts = zip([0, *ends], [*ends, len(run)], strict=True)
        runs.append([RowBatch([k for k, _ in run[a:b]], [v for _, v in run[a:b]]) for a, b in cuts])
    return runs


def sort_key(pair: Pair, value_order: Any) -> Any:
    return (order_key(pair[0]), order_key(value_order(*pair)) if value_order else 0)


def pairs_of(batches: Iterator[Batch]) -> list[Pair]:
    rows = [to_rows(batch) for batch in batches]
    return [pair for row in rows for pair in zip(row.keys, row.values, strict=True)]


def same(a: list[Pair], b: list[Pair]) -> bool:
    return [(order_key(key), value) for key, value in a] == [(order_key(key), value) for key, value in b]


small = st.one_of(
    st.lists(st.sampled_from("abcde"), max_size=30),
    st.lists(st.integers(0, 5), max_size=30),
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.5, NAN, -NAN, -1.0]), max_size=30),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab")), max_size=30),
    st.lists(st.sampled_from(["a", "b", 1, 2.0, None, NAN, b"x", (1, NAN)]), max_size=30),
    st.lists(keys, max_size=8),
)


@given(st.data(), small)
def test_any_cut_gives_the_stable_whole(data: st.DataObject, some: list[Any]) -> None:
    pairs = list(zip(some, range(len(some)), strict=True))
    runs = cut(data, pairs)
    expected = sorted(pairs, key=lambda pair: order_key(pair[0]))
    assert same(list(merge_pairs([iter(run) for run in runs])), expected)
    assert same(pairs_of(merge_batches([iter(run) for run in runs])), expected)


@given(
    st.data(), st.lists(st.tuples(st.sampled_from(["a", "b", 1]), st.sampled_from([1, 2.5, None, "x"])), max_size=20)
)
def test_secondary_sort(data: st.DataObject, pairs: list[Pair]) -> None:
    def value_order(key: Any, value: Any) -> Any:
        return value

    runs = cut(data, pairs, value_order)
    expected = sorted(pairs, key=lambda pair: sort_key(pair, value_order))
    assert list(merge_pairs([iter(run) for run in runs], value_order)) == expected


@given(st.data(), small, st.lists(st.integers(0, 9)))
def test_groups_hold_equal_keys_once(data: st.DataObject, some: list[Any], reads: list[int]) -> None:
    pairs = list(zip(some, range(len(some)), strict=True))
    expected = [
        (key, [value for _, value in group])
        for key, group in groupby(sorted(pairs, key=lambda p: order_key(p[0])), key=lambda p: order_key(p[0]))
    ]
    groups = []
    for number, (key, values) in enumerate(group_pairs(merge_pairs([iter(run) for run in cut(data, pairs)]))):
        limit = reads[number % len(reads)] if reads else 99  # values left unread are skipped
        read = [value for value, _ in zip(values, range(limit), strict=False)]
        groups.append((order_key(key), read))
        assert read == expected[number][1][:limit]
    assert [key for key, _ in groups] == [key for key, _ in expected]


def columnar(batch: RowBatch) -> Batch:
    return columns_from_rows(batch.keys, batch.values) or batch


@given(st.data(), small, st.sampled_from(["columns", "some rows"]))
def test_columns_merge_as_rows_do(data: st.DataObject, some: list[Any], lane: str) -> None:
    pairs = list(zip(some, range(len(some)), strict=True))
    runs = [
        [columnar(batch) if lane == "columns" or data.draw(st.booleans()) else batch for batch in run]
        for run in cut(data, pairs)
    ]
    expected = sorted(pairs, key=lambda pair: order_key(pair[0]))
    assert same(pairs_of(merge_batches([iter(run) for run in runs])), expected)
    assert same(list(merge_pairs([iter(run) for run in runs])), expected)


@settings(max_examples=60)
@given(st.data(), small, st.sampled_from(["columns", "some rows", "rows"]), st.sampled_from([0, 2**62]))
def test_partials_merge_to_one_a_key(data: st.DataObject, some: list[Any], lane: str, base: int) -> None:
    """With large integers columns can't hold the sum, and the rows take over."""
    pairs = [(key, base + number) for number, key in enumerate(some)]
    runs: list[list[Batch]] = [
        [columnar(b) if lane == "columns" or (lane != "rows" and data.draw(st.booleans())) else b for b in run]
        for run in cut(data, pairs)
    ]
    expected: dict[Any, list[Any]] = {}
    for key, value in pairs:
        expected.setdefault(order_key(key), []).append(value)
    for reducer, of in ((Sum(), sum), (Max(), max)):
        merged = pairs_of(merge_partials([iter(run) for run in runs], reducer))
        assert [(order_key(key), value) for key, value in merged] == [(k, of(expected[k])) for k in sorted(expected)]


def partial_of(value: Any) -> Any:
    """A mean's partial, whether it came by column or by row."""
    return Mean().join_partials([[part] for part in value])[0] if len(value) == 3 else value


def test_partials_of_several_columns_meet_rows() -> None:
    table = pa.RecordBatch.from_arrays(
        [pa.array(["a", "b"]), pa.array([1.5, 2.5]), pa.array([0.0, 2.0**-60]), pa.array([1, 2])],
        names=["key", "high", "low", "count"],
    )
    runs: list[list[Batch]] = [[ColumnBatch(table)], [ColumnBatch(table)], [RowBatch(["b", "c"], [(1, 1), (2, 1)])]]
    merged = [(key, partial_of(value)) for key, value in pairs_of(merge_partials([iter(run) for run in runs], Mean()))]
    assert merged == [("a", ((3.0,), 2)), ("b", ((6.0, 2.0**-59), 5)), ("c", (2, 1))]


def test_one_key_with_many_values_streams_without_piling_up() -> None:
    taken = [0, 0]

    def run(number: int) -> Iterator[Batch]:
        for _ in range(50):
            taken[number] += 1
            yield RowBatch(["k"] * 100, [number] * 100)

    values = (value for _, group in group_pairs(merge_pairs([run(0), run(1)])) for value in group)
    for position, value in enumerate(values):
        assert value == position // 5000
        ahead = merge.WINDOW_PAIRS // 100 + 2
        assert taken[0] <= position // 100 + ahead
    assert taken == [50, 50]


def test_one_key_with_many_values_streams_as_columns() -> None:
    taken = 0

    def run() -> Iterator[Batch]:
        nonlocal taken
        for number in range(2000):
            taken += 1
            yield columnar(RowBatch(["k"] * 100, list(range(number * 100, number * 100 + 100))))

    seen = 0
    for batch in merge_batches([run(), run()]):
        seen += len(batch)
        assert taken * 100 - seen <= 2 * merge_columns.WINDOW_PAIRS + 400
    assert seen == 400_000


def test_no_runs_and_empty_runs() -> None:
    assert list(merge_rows([])) == []
    assert list(merge_batches([])) == []
    assert list(merge_partials([iter([]), iter([RowBatch([], [])])], Sum())) == []
    assert list(merge_pairs([iter([]), iter([RowBatch([], [])])])) == []
    assert list(group_pairs([])) == []

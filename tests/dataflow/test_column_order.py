"""Columns sort and search in the order of keys, stably."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.dataflow import column_order
from mapreduce.dataflow.batches import ColumnBatch, to_rows
from mapreduce.dataflow.column_order import count_at_or_below, sort_columns, sort_indices
from mapreduce.dataflow.order import order_key
from tests.dataflow.key_strategies import NAN

letters = st.text(st.sampled_from(["a", "b", "\0", "é", "\U0001f600"]), max_size=30)
words = st.one_of(letters, letters.map(lambda tail: "the same beginning " + tail), letters.map(lambda word: word * 20))
floats = st.one_of(st.sampled_from([0.0, -0.0, NAN, -NAN, 1.5, float("inf"), -float("inf")]), st.floats())
columns = st.one_of(
    st.lists(words).map(lambda some: pa.array(some, pa.string())),
    st.lists(words).map(lambda some: pa.array(some, pa.large_string())),
    st.lists(words).map(lambda some: pa.array([word.encode() for word in some], pa.binary())),
    st.lists(st.binary(min_size=10, max_size=10)).map(lambda some: pa.array(some, pa.binary(10))),
    st.lists(st.none() | words).map(lambda some: pa.array(some, pa.string())),
    st.lists(words).map(lambda some: pa.array(some, pa.string()).dictionary_encode()),
    st.lists(st.integers(-3, 3)).map(lambda some: pa.array(some, pa.int64())),
    st.lists(st.integers(-(2**63), 2**63 - 1)).map(lambda some: pa.array(some, pa.int64())),
    st.lists(st.integers(2**63 - 2, 2**63 + 2)).map(lambda some: pa.array(some, pa.uint64())),
    st.lists(floats).map(lambda some: pa.array(some, pa.float64())),
    st.lists(st.booleans()).map(lambda some: pa.array(some, pa.bool_())),
    st.lists(st.dates()).map(lambda some: pa.array(some, pa.date32())),
)


def stable_order(keys: list[Any]) -> list[int]:
    order = list(map(order_key, keys))
    return sorted(range(len(keys)), key=order.__getitem__)


@given(columns, st.integers(0, 2))
def test_sorts_stably_in_the_order_of_keys(keys: pa.Array, skip: int) -> None:
    keys = keys[skip:]
    order = sort_indices(keys)
    assert (list(range(len(keys))) if order is None else order.tolist()) == stable_order(keys.to_pylist())
    batch = ColumnBatch(pa.RecordBatch.from_arrays([keys, pa.array(range(len(keys)), pa.int64())], names=["key", "n"]))
    assert to_rows(sort_columns(batch)).values == stable_order(keys.to_pylist())


@pytest.mark.parametrize("words_read", [0, 1, 6])
def test_long_ties_are_left_to_arrow(words_read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_order, "MAX_WORDS", words_read)
    keys = ["x" * 100 + str(number % 7) for number in range(50)] + ["y", "x" * 100, "x"]
    order = sort_indices(pa.array(keys))
    assert order is not None
    assert order.tolist() == stable_order(keys)


@given(columns, columns)
def test_counts_cuts_at_or_below(keys: pa.Array, other: pa.Array) -> None:
    cuts = sorted(other.drop_null().to_pylist(), key=order_key)
    order = list(map(order_key, cuts))
    found = count_at_or_below(keys, cuts)
    if found is not None:
        assert found.tolist() == [bisect_right(order, order_key(key)) for key in keys.to_pylist()]


def test_cuts_of_the_same_type_are_counted_as_columns() -> None:
    for keys in (pa.array(["a", "b"]), pa.array([1, 2]), pa.array([1.0, 2.0]), pa.array([b"a", b"b"])):
        found = count_at_or_below(keys, keys[1:].to_pylist())
        assert found is not None
        assert found.tolist() == [0, 1]

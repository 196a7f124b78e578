"""Equal keys meet, in every process; a key, a list and a column give the same answer."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.dataflow.order import order_key
from mapreduce.dataflow.partition import (
    Cuts,
    choose_cuts,
    partition_columns,
    partition_columns_by_range,
    partition_rows,
    partition_rows_by_range,
    stable_hash,
)
from mapreduce.errors import UsageError
from tests.dataflow.key_strategies import NAN, Point, Version, keys

int64s = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
columns = st.one_of(
    st.lists(st.none() | int64s).map(lambda some: pa.array(some, pa.int64())),
    st.lists(int64s | st.sampled_from([2**61 - 1, -(2**61) + 1, -1, -(2**63)])).map(
        lambda some: pa.array(some, pa.int64())
    ),
    st.lists(st.integers(0, 2**64 - 1)).map(lambda some: pa.array(some, pa.uint64())),
    st.lists(st.none() | st.floats()).map(lambda some: pa.array(some, pa.float64())),
    st.lists(st.floats(width=32)).map(lambda some: pa.array(some, pa.float32())),
    st.lists(st.none() | st.booleans()).map(lambda some: pa.array(some, pa.bool_())),
    st.lists(st.none() | texts).map(lambda some: pa.array(some, pa.string())),
    st.lists(texts).map(lambda some: pa.array(some, pa.large_string())),
    st.lists(texts).map(lambda some: pa.array(some, pa.string()).dictionary_encode()),
    st.lists(st.none() | st.binary(max_size=12)).map(lambda some: pa.array(some, pa.binary())),
    st.lists(st.binary(min_size=5, max_size=5)).map(lambda some: pa.array(some, pa.binary(5))),
    st.lists(st.dates()).map(lambda some: pa.array(some, pa.date32())),
    st.integers(0, 5).map(pa.nulls),
)
counts = st.sampled_from([1, 2, 3, 7, 256])


def partition_of(key: Any, partitions: int) -> int:
    """Without the shortcuts for keys of one type."""
    return partition_rows([key, None], partitions)[0]


def partition_by_range(key: Any, cuts: Cuts) -> int:
    return bisect_right(cuts.order, order_key(key))


@given(keys, keys)
def test_equal_keys_hash_equal(a: Any, b: Any) -> None:
    if order_key(a) == order_key(b):
        assert stable_hash(a) == stable_hash(b)


@given(st.lists(keys, max_size=5), counts)
def test_rows_as_keys(some: list[Any], partitions: int) -> None:
    expected = [partition_of(key, partitions) for key in some]
    assert partition_rows(some, partitions) == expected
    assert all(0 <= partition < partitions for partition in expected)


@pytest.mark.parametrize("odd", ["", "\ud800"])
@pytest.mark.parametrize("numpy", ["loaded", "not loaded"])
def test_rows_of_text_as_keys(odd: str, numpy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if numpy == "not loaded":
        monkeypatch.delitem(sys.modules, "numpy")
    words = [f"é{number}" for number in range(500)] + [odd]
    assert partition_rows(words, 7) == [partition_of(word, 7) for word in words]


@given(columns, counts, st.integers(0, 3))
def test_columns_as_keys(column: pa.Array, partitions: int, skip: int) -> None:
    column = column[skip:]
    expected = [partition_of(key, partitions) for key in column.to_pylist()]
    assert partition_columns(column, partitions).tolist() == expected
    assert partition_columns(column, partitions).dtype == np.int64


def test_one_two_and_true_are_one_key() -> None:
    same = [1, 1.0, True, Decimal(1), np.int64(1), np.float32(1)]
    assert len({stable_hash(key) for key in same}) == 1
    assert len({stable_hash((key, "a")) for key in same}) == 1
    assert len({stable_hash(key) for key in (NAN, math.nan, Decimal("NaN"), np.float64("nan"))}) == 1
    assert stable_hash(Point(1, 2)) == stable_hash((1, 2))


HASHES = {"": 0, "the": 1011183078, b"the": 1011183078, 5: 5, -1: -2, 0.5: 2**60, None: 1852796517}


def test_hashes_are_what_they_were() -> None:
    """A journal outlives its process: a change here sends keys of resumed jobs astray."""
    assert {key: stable_hash(key) for key in HASHES} == HASHES
    assert partition_rows(["a", "b", 1, 2, 2.5, ("a", 1), None], 16) == GOLDEN


GOLDEN = [11, 14, 9, 3, 2, 14, 11]


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_another_process_agrees(seed: str) -> None:
    code = (
        "from mapreduce.dataflow.partition import stable_hash; from tests.dataflow.key_strategies import *;"
        "print([stable_hash(k) for k in ('a', ('b', 2.5), frozenset('xyz'), Version(1, 'q'), Size.SMALL, NOON)])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in {seed, "7"}
    ]
    assert len(set(runs)) == 1


@pytest.mark.parametrize("partitions", [2, 7, 64])
def test_partitions_are_about_even(partitions: int) -> None:
    families: list[list[Any]] = [
        list(range(10_000)),
        list(range(0, 10_000 * 64, 64)),
        [i / 2 for i in range(10_000)],
        [f"user{i:06d}" for i in range(10_000)],
        [(i % 100, f"w{i // 100}") for i in range(10_000)],
    ]
    for family in families:
        sizes = Counter(partition_rows(family, partitions))
        assert len(sizes) == partitions
        assert max(sizes.values()) < 1.6 * 10_000 / partitions


def test_a_class_without_a_stable_hash_is_refused_with_a_remedy() -> None:
    class Name(str):
        pass

    class Own:
        def __lt__(self, other: object) -> bool:
            return True

    assert stable_hash(Name("a")) == stable_hash("a")
    with pytest.raises(UsageError, match=r"define partition\(self, key, partitions\)"):
        stable_hash(Own())
    assert stable_hash(Version(1, "a")) != stable_hash(Version(1, "b"))


# ranges


@given(st.lists(keys, max_size=12), counts, st.lists(keys, max_size=6))
def test_ranges_ascend_and_equal_keys_meet(samples: list[Any], partitions: int, some: list[Any]) -> None:
    cuts = choose_cuts(samples, partitions)
    assert len(cuts.keys) < partitions or not cuts.keys
    ordered = sorted([*some, *samples], key=order_key)
    parts = [partition_by_range(key, cuts) for key in ordered]
    assert parts == sorted(parts)
    assert all(0 <= part < partitions for part in parts)
    assert partition_rows_by_range(ordered, cuts) == parts
    assert choose_cuts(samples[::-1], partitions).order == cuts.order


@given(columns, columns, st.integers(1, 5), st.booleans())
def test_ranges_of_columns_as_of_keys(column: pa.Array, other: pa.Array, partitions: int, own: bool) -> None:
    cuts = choose_cuts((column if own else other).to_pylist(), partitions)
    expected = [partition_by_range(key, cuts) for key in column.to_pylist()]
    assert partition_columns_by_range(column, cuts).tolist() == expected


def test_ranges_hold_about_equally_many_samples() -> None:
    cuts = choose_cuts([f"{i:05d}" for i in range(10_000)], 8)
    assert Counter(partition_by_range(f"{i:05d}", cuts) for i in range(10_000)) == Counter(
        dict.fromkeys(range(8), 1250)
    )


def test_no_samples_make_one_range() -> None:
    cuts = choose_cuts([], 4)
    assert partition_by_range("x", cuts) == 0
    assert partition_columns_by_range(pa.array(["x", "y"]), cuts).tolist() == [0, 0]

"""The order of keys is total, and consistent with equality."""

from __future__ import annotations

import datetime
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mapreduce.dataflow.order import natural_type, one_nan, order_key, order_keys, sorted_keys
from mapreduce.errors import UsageError
from tests.dataflow.key_strategies import NAN, NOON, Point, Version, keys


@given(keys, keys, keys)
def test_total(a: Any, b: Any, c: Any) -> None:
    x, y, z = order_key(a), order_key(b), order_key(c)
    assert (x < y) + (x == y) + (y < x) == 1
    assert not (x < y and y < z) or x < z
    assert not (x == y and y == z) or x == z


@given(keys, keys)
def test_equal_keys_have_equal_order_keys(a: Any, b: Any) -> None:
    if a == b:
        assert order_key(a) == order_key(b)


@given(keys, keys)
@example((1, float("nan")), Point(1, float("nan")))
@example((Point(b"", float("nan")), 2), ((b"", -float("nan")), 2))
def test_equal_order_keys_are_equal_keys_with_nan_as_one(a: Any, b: Any) -> None:
    if order_key(a) == order_key(b):
        assert one_nan(a) == one_nan(b) or one_nan(a) is one_nan(b)


@given(st.lists(keys, max_size=8))
def test_sorted_whichever_way(some: list[Any]) -> None:
    expected = sorted(some, key=order_key)
    assert list(map(order_key, sorted_keys(some))) == list(map(order_key, expected))
    order = order_keys(some)
    by_order = [some[i] for i in sorted(range(len(some)), key=order.__getitem__)]
    assert all(x is y for x, y in zip(by_order, expected, strict=True))


def test_kinds_follow_each_other() -> None:
    day = datetime.date(2024, 1, 1)
    ordered = [
        None,
        -1,
        0.5,
        1,
        float("inf"),
        NAN,
        "",
        "a",
        "b",
        b"",
        b"a",
        day,
        NOON,
        (),
        (1,),
        ("a",),
        frozenset([1]),
    ]
    assert sorted_keys(ordered[::-1]) == ordered


def test_text_sorts_as_its_utf8_bytes() -> None:
    words = ["z", "é", "\uffff", "\U0001f600", "", "a\0", "a", "ab"]
    assert sorted_keys(words) == sorted(words, key=lambda word: word.encode())


def test_classes_group_by_name_and_sort_by_their_own_lt() -> None:
    assert sorted_keys([Version(2, "a"), datetime.timedelta(1), Version(1, "b")]) == [
        datetime.timedelta(1),
        Version(1, "b"),
        Version(2, "a"),
    ]


@pytest.mark.parametrize(
    ("some", "expected"),
    [
        (["a", "b"], str),
        ([b"a"], bytes),
        ([1, 2.5, True], float),
        ([1.0, NAN], None),
        ([("a", 1), ("b", 2.0)], (str, float)),
        ([("a", 1), ("b",)], None),
        ([("a", NAN)], None),
        (["a", 1], None),
        ([None], None),
        ([], None),
    ],
)
def test_natural_types(some: list[Any], expected: Any) -> None:
    assert natural_type(some) == expected


def test_numpy_scalars_are_numbers_and_text() -> None:
    assert order_key(np.int64(3)) == order_key(3)
    assert order_key(np.float32(0.5)) == order_key(0.5)
    assert order_key(np.float64("nan")) == order_key(NAN)
    assert order_key(np.str_("a")) == order_key("a")
    assert order_key(np.bool_(True)) == order_key(1)


@pytest.mark.parametrize("key", [[1], {}, object(), 1j, np.arange(2), ("a", [1])])
def test_what_has_no_place_is_refused_with_a_remedy(key: Any) -> None:
    with pytest.raises(UsageError, match="use a str, a number or a tuple"):
        order_key(key)


def test_a_class_that_cannot_compare_with_itself_is_refused_when_sorted() -> None:
    class Odd:
        def __lt__(self, other: object) -> bool:
            return NotImplemented

    with pytest.raises(UsageError, match="can't be compared"):
        sorted_keys([Odd(), Odd()])


def test_the_order_needs_no_heavy_import() -> None:
    script = "import mapreduce.dataflow.order as o, sys; o.order_key((1, 'a')); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

"""Does the kernel take just the pairs that it says, and leave every other, and Python's objects, as they were?

The reference is the same rule in Python.
"""

from __future__ import annotations

import enum
import gc
import os
import signal
import sys
import weakref
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mapreduce.kernels import PairReader, available, pair_reader, python_calls
from mapreduce.kernels.pairs import ANY, FLOATS, INTEGERS, ONES, STRINGS, UNREAD

if not available("pairs", compile=True):
    pytest.skip("no compiled kernels here", allow_module_level=True)

relaxed = settings(deadline=None, max_examples=300)
MOST, TEXT_BYTES = 5, 200


class Text(str):
    """Text, and more than that."""

    __slots__ = ()


class Number(enum.IntEnum):
    ONE = 1


class Named(NamedTuple):
    key: str
    value: int


PLAIN_KEYS = st.sampled_from(["", "a", "a\nb", "\0", "é" * 9, "😀", "x" * 15, "x" * 16, "x" * 17, "y" * 199, "y" * 900])
KEYS = PLAIN_KEYS | st.sampled_from(
    [Text("a"), "\udc80", b"a", None, 1, -1, -(2**63), 2**63 - 1, 2**63, True, Number.ONE]
)
VALUES = st.sampled_from([1, 1, 1, -1, 0, 2**63 - 1, 2**63, True, Number.ONE, 1.0, -0.0, float("inf"), None])
ODD = st.sampled_from([None, "ab", ("a",), ("a", 1, 1), ["a", 1], Named("a", 1)])


def reader(most: int = MOST, text_bytes: int = TEXT_BYTES) -> PairReader:
    made = pair_reader(most, text_bytes)
    assert made is not None
    return made


def kind_of(thing: Any) -> int | None:
    if type(thing) is str:
        return STRINGS if all(not 0xD800 <= ord(letter) < 0xE000 for letter in thing) else None
    if type(thing) is int:
        return INTEGERS if -(2**63) <= thing < 2**63 else None
    return FLOATS if type(thing) is float else None


def plain_start(pairs: list[Any], keys: int, values: int) -> int:
    """How many pairs of a list are plain and alike before the first that isn't."""
    for row, pair in enumerate(pairs):
        if type(pair) is not tuple or len(pair) != 2:
            return row
        key, value = pair
        if keys == ANY:
            keys = STRINGS if type(key) is str else INTEGERS
        if values == ANY:
            values = INTEGERS if type(value) is int else FLOATS
        fits = {ONES: type(value) is int and value == 1, UNREAD: True}.get(values, kind_of(value) == values)
        if not fits or kind_of(key) != keys:
            return row
    return len(pairs)


@relaxed
@given(
    pairs=st.lists(st.tuples(KEYS, VALUES) | st.tuples(PLAIN_KEYS, st.just(1)) | ODD, max_size=12),
    keys=st.sampled_from([ANY, STRINGS, INTEGERS]),
    values=st.sampled_from([ANY, INTEGERS, FLOATS, ONES, UNREAD]),
)
@example(pairs=[("y" * 900, 1)] * 3, keys=STRINGS, values=ONES)
@example(pairs=[(-1, -1)] * 6, keys=ANY, values=ANY)
@example(pairs=[("a", 1.5)] * 6 + [(1, 1.5)], keys=ANY, values=ANY)
def test_takes_what_is_plain_and_leaves_the_rest(pairs: list[Any], keys: int, values: int) -> None:
    source, found, left = iter(pairs), list[Any](), list[Any]()
    reading = reader()
    while True:
        taken = reading.take(iter(left) if left else source, keys, values)
        assert taken.rows <= MOST and len(taken.left) <= 1
        left = taken.left
        if not taken.rows:
            break
        keys, values = reading.kinds
        column = taken.values.to_pylist()
        if values in (ONES, UNREAD):
            column = [pair[1] for pair in pairs[len(found) : len(found) + taken.rows]]
        found += zip(taken.keys.to_pylist(), column, strict=True)
    count = plain_start(pairs, keys, values)
    assert list(map(repr, found)) == list(map(repr, pairs[:count]))
    assert [*left, *source] == pairs[count:]
    assert all(given is one for given, one in zip(left, pairs[count:], strict=False))


@pytest.mark.parametrize("text_bytes", [64, 1 << 20])
def test_text_of_every_length(text_bytes: int) -> None:
    """Short texts are copied 16 bytes at a time, up to the end of their memory page: so texts lie all over."""
    words = [letter * length for length in range(60) for letter in ("a", "é", "漢")] * 40
    reading, source, found = reader(1000, text_bytes), zip(words, repeat(1), strict=False), list[str]()
    left: list[Any] = []
    while (taken := reading.take(iter(left) if left else source, STRINGS, ONES)).rows:
        found += taken.keys.to_pylist()
        left = taken.left
    assert found == words


class Thing:
    """An object whose end can be seen."""


@pytest.mark.parametrize("values", [ANY, ONES, UNREAD])
def test_nothing_is_kept_or_lost(values: int) -> None:
    thing, key, number = Thing(), " ".join(["a key", "of its own"]), int("12345678901")
    odd = ("odd", thing)
    pairs = [(key, 1), (key, number), odd, (number, 0.5), (2**70, 1), ("\udc80", 1)]
    counted = [key, number, odd, *pairs]
    gc.collect()
    before = list(map(sys.getrefcount, counted))
    for row in range(len(pairs)):
        reader().take(iter(pairs[row:]), ANY, values)
        reader().take(iter([pairs[row], odd]), STRINGS, values)
    gc.collect()
    assert list(map(sys.getrefcount, counted)) == before
    seen = weakref.ref(thing)
    del thing, odd, pairs, counted
    assert seen() is None


def test_objects_end_at_once() -> None:
    ended = list[int]()

    class Ends:
        def __init__(self, number: int) -> None:
            self.number = number

        def __del__(self) -> None:
            ended.append(self.number)

    def pairs() -> Iterator[tuple[str, Ends]]:
        for number in range(MOST):
            yield "a", Ends(number)
            assert ended == list(range(number + 1))

    assert reader().take(pairs(), STRINGS, UNREAD).rows == MOST
    assert ended == list(range(MOST))


def test_what_the_iterator_raises_is_raised() -> None:
    def pairs() -> Iterator[tuple[str, int]]:
        yield "a", 1
        raise LookupError("of the job's own")

    with pytest.raises(LookupError, match="of the job's own") as caught:
        reader().take(pairs(), STRINGS, ONES)
    assert [entry.name for entry in caught.traceback][-1] == "pairs"
    assert reader().take(iter([("b", 1)]), STRINGS, ONES).rows == 1


def test_an_interrupt_is_raised() -> None:
    def pairs() -> Iterator[tuple[str, int]]:
        for number in range(1 << 30):
            if number == 1000:
                os.kill(os.getpid(), signal.SIGINT)
            yield "a", 1

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            reader(1 << 20, 1 << 20).take(pairs(), STRINGS, ONES)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_iterator_that_reads_pairs_itself() -> None:
    inner = reader()

    def pairs() -> Iterator[tuple[str, int]]:
        for word in ("a", "b"):
            yield word * inner.take(iter([("x", 1)] * 3), STRINGS, ONES).rows, 1

    assert reader().take(pairs(), STRINGS, ONES).keys.to_pylist() == ["aaa", "bbb"]


def test_no_more_than_asked_is_fetched() -> None:
    source = iter([("a", 1)] * 9)
    assert reader().take(source, STRINGS, ONES).rows == MOST
    assert len(list(source)) == 9 - MOST


def test_keys_longer_than_the_room() -> None:
    pairs = [("z" * 150, 1), ("y" * 100, 1), ("w" * 5000, 1), ("v", 1)]
    reading, source, rows = reader(), iter(pairs), list[int]()
    left: list[Any] = []
    while (taken := reading.take(chain(left, source), STRINGS, ONES)).rows:
        rows.append(taken.rows)
        left = taken.left
    assert rows == [1, 1, 1, 1]


@pytest.mark.parametrize("thing", [None, [("a", 1)]])
def test_only_iterators_are_read(thing: Any) -> None:
    with pytest.raises(TypeError, match="is no iterator"):
        reader().take(thing)


def test_without_kernels_there_is_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_KERNELS", "off")
    assert pair_reader(1, 1) is None


def test_another_interpreter_has_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_calls, "_place_of_type", lambda: None)
    assert python_calls.python_calls.__wrapped__() is None
    monkeypatch.undo()
    assert python_calls.python_calls() is not None

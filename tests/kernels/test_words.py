"""Do both paths count the words of str.split(), whatever the bytes?"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mapreduce.errors import InputError
from mapreduce.kernels import WordCounter, count_words
from mapreduce.kernels.load import kernels_of
from mapreduce.kernels.words import _Dictionary, _Table

relaxed = settings(deadline=None, max_examples=150)  # a process's first call loads object code
SPACES = [chr(i) for i in range(0x110000) if chr(i).isspace()]
WORDS = [
    "a",
    "the",
    "naïve",
    "漢字",
    "😀",
    "x" * 16,
    "y" * 17,
    "z" * 300,
    "\x00",
    "a\x00",
    "a\x00\x00",
    "é" * 8,
    "\u200b",
]
TEXTS = st.lists(st.sampled_from(SPACES + WORDS + [" "] * 40) | st.text(max_size=9), max_size=60).map("".join)


@pytest.fixture(params=["compiled", "library"])
def counter(request: pytest.FixtureRequest) -> WordCounter:
    return make(request.param)


def make(path: str) -> WordCounter:
    counter = WordCounter(compile=True)
    if path == "library":
        counter._table = _Dictionary()
    else:
        kernels = kernels_of("words", compile=True)
        if kernels is None:
            pytest.skip("no compiled kernels here")
        counter._table = _Table(kernels)
    return counter


def counted(counter: WordCounter, *blocks: bytes) -> list[tuple[str, int]]:
    for block in blocks:
        assert counter.add(block) is None
    result = counter.take()
    return list(zip(result.keys.to_pylist(), result.counts.to_pylist(), strict=True))


@relaxed
@given(TEXTS, TEXTS)
@example("\u3000" * 50, "a" * 62 + "\u2028b")
@example("a" * 63 + "\u00a0" + "b" * 64, " " * 64)
def test_both_paths_count_as_str_split(first: str, second: str) -> None:
    expected = list(Counter(first.split() + second.split()).items())
    for path in ("compiled", "library"):
        assert counted(make(path), first.encode(), second.encode()) == expected


@relaxed
@given(
    st.binary(max_size=200)
    | st.tuples(TEXTS, st.binary(max_size=4), TEXTS).map(lambda parts: parts[0].encode() + parts[1] + parts[2].encode())
)
@example(b"\xed\xa0\x80")
@example(b"a \xc0\x80")
@example(b"\xf4\x90\x80\x80")
@example(b"x" * 62 + b"\xe3\x80")
def test_first_byte_that_is_not_utf8(data: bytes) -> None:
    try:
        data.decode()
        expected = None
    except UnicodeDecodeError as error:
        expected = error.start
    assert make("compiled").add(data) == expected
    assert make("library").add(data) == expected


def test_table_and_arena_grow(counter: WordCounter) -> None:
    words = [f"{i:x}" * (1 + i % 7) for i in range(60_000)]
    data = " ".join(words).encode()
    expected = list(Counter(words).items())
    assert counted(counter, data) == expected
    assert counter.distinct == 0
    assert counted(counter, data) == expected


def test_numbers_for_the_memory_bound(counter: WordCounter) -> None:
    empty = counter.bytes
    counter.add(b"one two three two")
    assert counter.distinct == 3
    assert counter.bytes >= empty


@pytest.mark.parametrize("data", [b"", b" \n\t", bytearray(b"a b a"), memoryview(b"a b a")])
def test_any_buffer(counter: WordCounter, data: bytes) -> None:
    assert counted(counter, data) == list(Counter(bytes(data).decode().split()).items())


def test_count_words_names_the_bad_byte() -> None:
    assert count_words(b"b a b").keys.to_pylist() == ["b", "a"]
    with pytest.raises(InputError, match="byte 3 is not UTF-8"):
        count_words(b"ab \xff")


@relaxed
@given(
    st.lists(st.sampled_from(["", "\n", "a b", "x" * 16, "x" * 17, "é" * 9]) | st.text(max_size=3)), st.integers(0, 3)
)
def test_strings_of_an_array(strings: list[str], first: int) -> None:
    expected = list(Counter(strings[first:] * 2).items())
    for path in ("compiled", "library"):
        counter = make(path)
        array = pa.array(strings, pa.string())[first:]
        counter.add_strings(array)
        counter.add_strings(array)
        keys, counts = counter.take()
        assert list(zip(keys.to_pylist(), counts.to_pylist(), strict=True)) == expected

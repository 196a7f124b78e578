"""How often does each word occur? Words are what `str.split()` yields, in order of first occurrence.

The compiled table is ten times faster than the library path, a dictionary, and more. Both give the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.errors import InputError
from mapreduce.kernels.load import Kernels, kernels_of
from mapreduce.kernels.memory import Area, seen
from mapreduce.kernels.string_table import BAD_BYTE, StringTable, text_of

if TYPE_CHECKING:
    import pyarrow as pa

_EDGES = 4096 + 128  # as in source_words.py
_LARGEST_BLOCK = (1 << 32) - 2  # the table holds a word's length in 32 bits
_LARGEST_STRINGS = (1 << 31) - 1  # bytes that 32-bit offsets of pa.StringArray reach


class WordCounts(NamedTuple):
    """Distinct words in order of first occurrence (pa.StringArray, LargeStringArray above 2 GB), and their counts."""

    keys: pa.Array
    counts: pa.Array


def count_words(data: Any) -> WordCounts:
    """Count the words of UTF-8 bytes. Raises InputError that names the first byte that is not UTF-8."""
    counter = WordCounter()
    bad = counter.add(data)
    if bad is not None:
        raise InputError(f"byte {bad} is not UTF-8; convert the input to UTF-8")
    return counter.take()


class WordCounter:
    """Counts words over many blocks, in a table that grows with the vocabulary and is kept until `take`.

    A word never spans two blocks: cut blocks at white space. Blocks of about 1 MiB are best.
    """

    def __init__(self, *, compile: bool = False) -> None:
        kernels = kernels_of("words", compile=compile)
        self._table: _Table | _Dictionary = _Dictionary() if kernels is None else _Table(kernels)

    def add(self, data: Any) -> int | None:
        """Count the words of a block. Returns None, or the offset of the first byte that is not UTF-8.

        After a bad byte, the words before it may or may not be counted: the input is wrong, give up.
        """
        return self._table.add(data)

    def add_strings(self, strings: pa.StringArray) -> None:
        """Count strings that are words already, whatever they hold; none is null."""
        self._table.add_strings(strings)

    @property
    def distinct(self) -> int:
        """How many different words were seen since the last take."""
        return self._table.distinct

    @property
    def bytes(self) -> int:
        """Memory that the words need: what a caller holds against its bound. It depends on the words alone."""
        return self._table.bytes

    @property
    def held_bytes(self) -> int:
        """Memory that is held, used or not: it is kept from one `take` to the next."""
        return self._table.held_bytes

    def take(self) -> WordCounts:
        """All words and counts; the counter is empty afterwards and keeps its memory for the next blocks."""
        return self._table.take()


class _Dictionary:
    """The library path."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._word_bytes = 0

    def add(self, data: Any) -> int | None:
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError as error:
            return error.start
        counts = self._counts
        before = len(counts)
        for word in text.split():
            counts[word] = counts.get(word, 0) + 1
        if len(counts) > before:
            self._word_bytes += min(len(text), (len(counts) - before) * 64)
        return None

    def add_strings(self, strings: pa.StringArray) -> None:
        for string in strings.to_pylist():
            self._counts[string] = self._counts.get(string, 0) + 1
        self._word_bytes += strings.nbytes

    @property
    def distinct(self) -> int:
        return len(self._counts)

    @property
    def bytes(self) -> int:
        return self._word_bytes + len(self._counts) * 160  # a str object, an int object and a dictionary entry

    held_bytes = bytes

    def take(self) -> WordCounts:
        import pyarrow as pa

        counts, self._counts, self._word_bytes = self._counts, {}, 0
        small = sum(len(word) for word in counts) * 4 <= _LARGEST_STRINGS
        keys = pa.array(counts.keys(), pa.string() if small else pa.large_string(), size=len(counts))
        return WordCounts(keys, pa.array(counts.values(), pa.int64(), size=len(counts)))


class _Table:
    """The compiled path."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._strings = StringTable(kernels)
        self._edges, self._marks, self._progress, self._tail = Area(_EDGES * 8), Area(64), Area(64), Area(64)

    def add(self, data: Any) -> int | None:
        strings = self._strings
        work = self._edges.address, self._marks.address, self._progress.address, self._tail.address
        with seen(data) as span:
            if span.size > _LARGEST_BLOCK:
                raise ValueError(f"a block of {span.size} bytes; give blocks under 4 GiB")
            done = 0
            while True:
                done = self._kernels["add_words"](span.address, done, span.size, *strings.addresses, *work)
                if done == span.size:
                    break
                strings.grow(span.size)
        bad, strings.state[BAD_BYTE] = strings.state[BAD_BYTE], -1
        return None if bad < 0 else bad

    def add_strings(self, strings: pa.StringArray) -> None:
        text, size, offsets = text_of(strings)
        done = 0
        while True:
            done = self._kernels["count_strings"](text, size, offsets, done, len(strings), *self._strings.addresses)
            if done == len(strings):
                return
            self._strings.grow(size)

    @property
    def distinct(self) -> int:
        return self._strings.distinct

    @property
    def bytes(self) -> int:
        return self._strings.bytes

    @property
    def held_bytes(self) -> int:
        return self._strings.held_bytes + self._edges.size

    def take(self) -> WordCounts:
        import pyarrow as pa

        keys, counts = self._strings.take()
        return WordCounts(keys, pa.array(counts))

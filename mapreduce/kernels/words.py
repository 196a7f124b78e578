"""How often does each word occur? Words are what `str.split()` yields, in order of first occurrence.

The compiled table counts a few hundred MB/s and more a core; the library path is a dictionary. Both give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mapreduce.errors import InputError
from mapreduce.kernels.load import Kernels, kernels_of
from mapreduce.kernels.memory import Area, Int64s, seen

if TYPE_CHECKING:
    import pyarrow as pa

# places in the kernels' state, as in source_words.py
_SLOT_MASK, _DISTINCT, _LIMIT, _ARENA_USED, _ARENA_SIZE, _BAD_BYTE = range(6)
_SLOT_BYTES = 32
_FIRST_SLOTS = 1 << 16  # 2 MiB: stays in the second-level cache while the vocabulary is small
_EDGES = 4096 + 128
_LARGEST_BLOCK = (1 << 32) - 1  # the table holds a word's length in 32 bits
_LARGEST_STRINGS = (1 << 31) - 1  # bytes that 32-bit offsets of pa.StringArray reach


@dataclass(frozen=True, slots=True)
class WordCounts:
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

    @property
    def distinct(self) -> int:
        """How many different words were seen since the last take."""
        return self._table.distinct

    @property
    def bytes(self) -> int:
        """Memory that the table takes: what a caller holds against its bound."""
        return self._table.bytes

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

    @property
    def distinct(self) -> int:
        return len(self._counts)

    @property
    def bytes(self) -> int:
        return self._word_bytes + len(self._counts) * 160  # a str object, an int object and a dictionary entry

    def take(self) -> WordCounts:
        import pyarrow as pa

        counts, self._counts, self._word_bytes = self._counts, {}, 0
        small = sum(len(word) for word in counts) * 4 <= _LARGEST_STRINGS
        keys = pa.array(counts.keys(), pa.string() if small else pa.large_string(), size=len(counts))
        return WordCounts(keys, pa.array(counts.values(), pa.int64(), size=len(counts)))


class _Table:
    """The compiled path: owns the memory that source_words.py works in."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._slots = _FIRST_SLOTS
        self._table = Area(self._slots * _SLOT_BYTES)
        self._arena = Area(1 << 16)
        self._state = Int64s(self._slots - 1, 0, self._limit, 0, self._arena.size, -1)
        self._edges, self._marks, self._progress, self._tail = Area(_EDGES * 8), Area(64), Area(64), Area(64)

    @property
    def _limit(self) -> int:
        return self._slots * 5 // 8  # fuller tables probe long

    def add(self, data: Any) -> int | None:
        with seen(data) as span:
            if span.size > _LARGEST_BLOCK:
                raise ValueError(f"a block of {span.size} bytes; give blocks under 4 GiB")
            done = 0
            while True:
                done = self._kernels["add_words"](
                    span.address, done, span.size, self._table.address, self._state.address, self._arena.address,
                    self._edges.address, self._marks.address, self._progress.address, self._tail.address,
                )  # fmt: skip
                if done == span.size:
                    break
                self._grow(span.size)
        bad, self._state[_BAD_BYTE] = self._state[_BAD_BYTE], -1
        return None if bad < 0 else bad

    def _grow(self, block_bytes: int) -> None:
        state = self._state
        if state[_DISTINCT] >= self._limit:
            old, old_slots = self._table, self._slots
            self._slots *= 2
            self._table = Area(self._slots * _SLOT_BYTES)
            state[_SLOT_MASK], state[_LIMIT] = self._slots - 1, self._limit
            self._kernels["move_words"](old.address, old_slots, self._table.address, self._slots - 1)
        else:
            used, old = state[_ARENA_USED], self._arena
            self._arena = Area(2 * self._arena.size + block_bytes)
            self._arena.copy_from(old, used)
            state[_ARENA_SIZE] = self._arena.size

    @property
    def distinct(self) -> int:
        return self._state[_DISTINCT]

    @property
    def bytes(self) -> int:
        return self._table.size + self._state[_ARENA_USED]

    def take(self) -> WordCounts:
        import numpy as np
        import pyarrow as pa

        distinct, kernels, table = self.distinct, self._kernels, self._table.address
        offsets, counts = np.empty(distinct + 1, np.int64), np.empty(distinct, np.int64)
        size = kernels["list_words"](table, self._slots, distinct, offsets.ctypes.data, counts.ctypes.data)
        out = np.empty(size, np.uint8)
        kernels["copy_words"](table, self._slots, self._arena.address, offsets.ctypes.data, out.ctypes.data)
        self._table.clear()
        self._state[_DISTINCT] = self._state[_ARENA_USED] = 0
        small = size <= _LARGEST_STRINGS
        reach = pa.py_buffer(offsets.astype(np.int32) if small else offsets)
        kind = pa.StringArray if small else pa.LargeStringArray
        return WordCounts(kind.from_buffers(distinct, reach, pa.py_buffer(out)), pa.array(counts))

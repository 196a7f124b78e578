"""How do pairs of Python objects become columns? A kernel fetches them from their iterator (source_pairs.py).

There is no library path: without kernels pairs stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass
from mapreduce.kernels.load import Kernels, kernels_of
from mapreduce.kernels.memory import Area, Int64s
from mapreduce.kernels.python_calls import python_calls

if TYPE_CHECKING:
    import pyarrow as pa

# as in source_pairs.py
ANY, STRINGS, INTEGERS, FLOATS, ONES, UNREAD = range(6)
_KEYS, _VALUES, _WHY, _SIZE = range(4)
_NO_ROOM, _NOT_PLAIN = 2, 3
_PADDING = 16

_LARGEST_TEXT = (1 << 31) - 1  # bytes that 32-bit offsets reach


@dataclass(frozen=True, slots=True)
class PairColumns:
    """Pairs taken, in the reader's memory: valid until it takes the next.

    `left`: one that was fetched and not taken, because it was `refused` or because the room was full.
    """

    rows: int
    keys: pa.Array
    values: pa.Array
    left: list[Any]
    refused: bool


class PairReader:
    """Takes pairs from iterators, a chunk at a time.

    A pair is plain if it is a `tuple` of a `str` or `int` and an `int` or `float`, of exactly these types; integers are
    of 64 bits. Only plain pairs of one kind are taken.
    """

    def __init__(self, kernels: Kernels, calls: Int64s, most_pairs: int, text_bytes: int) -> None:
        """At most so many pairs are taken at a time, and so many bytes of text (but one pair always, unless its text
        takes 2 GiB)."""
        self._kernel, self._calls = kernels["take_pairs"], calls
        self._most = most_pairs
        self._text = Area(min(text_bytes + _PADDING, _LARGEST_TEXT))
        self._offsets, self._keys, self._values = Area(4 * (most_pairs + 1)), Area(8 * most_pairs), Area(8 * most_pairs)
        self._state = Int64s(0, 0, 0, 0)

    @property
    def kinds(self) -> tuple[int, int]:
        """Of the keys and values last taken."""
        return self._state[_KEYS], self._state[_VALUES]

    def take(self, pairs: Iterator[Any], keys: int = ANY, values: int = ANY) -> PairColumns:
        """Take pairs up to the first that isn't plain or is of another kind than those before it.

        `keys`: STRINGS, INTEGERS, or ANY, as the first pair's. `values`: INTEGERS, FLOATS, or ANY; or ONES, which are
        all the object 1, or UNREAD, which may be anything: then `values` says nothing. Raises what `pairs` raises.
        """
        if not isinstance(pairs, Iterator):  # the kernel would ask it for the next all the same
            raise TypeError(f"{type(pairs).__name__} is no iterator")
        taken = self._take(pairs, self._text, keys, values)
        size = self._state[_SIZE] + _PADDING
        if not taken.rows and self._state[_WHY] == _NO_ROOM and size <= _LARGEST_TEXT:
            taken = self._take(iter(taken.left), Area(size), keys, values)
        return taken

    def _take(self, pairs: Iterator[Any], text: Area, keys: int, values: int) -> PairColumns:
        import pyarrow as pa

        state, column = self._state, self._values.address
        state[_KEYS], state[_VALUES] = keys, values
        left: list[Any] = []
        rows = self._kernel(
            pairs, self._most, left, self._calls.address, state.address, text.address, text.size, self._offsets.address,
            self._keys.address, column, column,
        )  # fmt: skip
        keys, values = self.kinds
        if keys == STRINGS:
            reach = self._offsets.buffer(4 * (rows + 1))
            key_column = pa.StringArray.from_buffers(rows, reach, text.buffer(text.size))
        else:
            key_column = pa.Array.from_buffers(pa.int64(), rows, [None, self._keys.buffer(8 * rows)])
        kind = pa.float64() if values == FLOATS else pa.int64()
        value_column = pa.Array.from_buffers(kind, rows, [None, self._values.buffer(8 * rows)])
        return PairColumns(rows, key_column, value_column, left, state[_WHY] == _NOT_PLAIN)


def pair_reader(most_pairs: int, text_bytes: int) -> PairReader | None:
    """None where pairs can't be read so: without kernels, or in an interpreter that is not CPython as we know it."""
    kernels = kernels_of("pairs")
    calls = None if kernels is None else python_calls()
    return None if kernels is None or calls is None else PairReader(kernels, calls, most_pairs, text_bytes)

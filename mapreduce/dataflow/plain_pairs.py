"""How are pairs of the row lane added up without a dictionary? A chunk at a time, in the compiled tables.

Finding a key in a dictionary of many costs more than making the pair: its slot, the key there and the partial are each
waited for. The tables of the columnar lane have short keys and their sums in one place. A task's pairs are added up in
three stages. The first chunk that a stage can't take goes to the next one, and so does all that follows in the task.

    ones       keys are text, values are 1 (for Count: anything), as in a word count
    numbers    keys are all text or all integers, values all integers or all floats, and no sum leaves 64 bits
    rows       a dictionary, which takes anything
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from operator import length_hint
from typing import TYPE_CHECKING, Any, Protocol

from mapreduce.dataflow.batches import PartitionBatch, plain_column
from mapreduce.dataflow.combine import FIRST_PAIRS, SAMPLE, PartialsBuffer, RefusedPair, next_chunk
from mapreduce.dataflow.combine_columns import TotalsBuffer, WordsBuffer
from mapreduce.dataflow.partitioner import Partitioner
from mapreduce.dataflow.sizes import mean_size
from mapreduce.kernels import StringJoiner
from mapreduce.reducers.base import Monoid

if TYPE_CHECKING:
    import pyarrow as pa

    from mapreduce.kernels import JoinedStrings

Pair = tuple[Any, Any]

CHUNK_PAIRS = 8192
"""At most: a chunk's keys stay in the second-level cache."""

STRING_BYTES = 50
"""Of a Python string, besides its text."""

ONE = 1
"""The one object that a literal 1 is."""


class PlainPairsBuffer:
    """Sums and counts by key, of pairs that come one by one: for `Sum`, `Count` and `Mean`."""

    def __init__(self, reducer: Monoid, partitioner: Partitioner, buffer_bytes: int) -> None:
        self.buffer_bytes = buffer_bytes
        self.chunk = FIRST_PAIRS
        self.must_spill = False
        any_value = reducer.totals == ("count",)
        self.stages: list[_Stage] = [_Numbers(TotalsBuffer(reducer, partitioner, buffer_bytes), any_value)]
        if len(reducer.totals) == 1:  # the count of ones is all there is to them
            self.stages.insert(0, _Ones(WordsBuffer(partitioner, buffer_bytes), any_value))
        self.rows = PartialsBuffer(reducer, partitioner, buffer_bytes, columns_pay=True)

    def add_pairs(self, pairs: Iterator[Pair]) -> Iterator[None]:
        """Raises RefusedPair."""
        left: list[Pair] = []
        while self.stages:
            size, left = self.stages[0].take(iter(left) if left else islice(pairs, self.chunk))
            if left:
                if not self.empty:
                    self.must_spill = True
                    yield
                del self.stages[0]
            elif size:
                self.chunk = next_chunk(self.chunk, size, self.buffer_bytes, CHUNK_PAIRS)
                yield
            else:
                return
        given = iter(left)
        try:
            yield from self.rows.add_pairs(given)
        except Exception as error:
            raise RefusedPair(error, left[-1 - length_hint(given)]) from error
        yield from self.rows.add_pairs(pairs)

    @property
    def _held(self) -> WordsBuffer | TotalsBuffer | PartialsBuffer:
        return self.stages[0].buffer if self.stages else self.rows

    @property
    def full(self) -> bool:
        return self.must_spill or self._held.full

    @property
    def empty(self) -> bool:
        return self._held.empty

    def drain(self) -> Iterator[PartitionBatch]:
        self.must_spill = False
        return self._held.drain()


class _Stage(Protocol):
    @property
    def buffer(self) -> WordsBuffer | TotalsBuffer: ...

    def take(self, pairs: Iterator[Pair]) -> tuple[int, list[Pair]]:
        """Take a chunk. Returns about how many bytes a pair has, 0 if there was none, and the pairs not taken."""


class _Ones:
    def __init__(self, buffer: WordsBuffer, any_value: bool) -> None:
        self.buffer = buffer
        self.any_value = any_value
        self.joiner = StringJoiner()

    def take(self, pairs: Iterator[Pair]) -> tuple[int, list[Pair]]:
        others: list[Pair] = []
        one, put_aside = ONE, others.append
        if self.any_value:
            keys = [key for key, _ in pairs]
        else:
            keys = [key for key, value in pairs if value is one or put_aside((key, value))]
        if not keys and not others:
            return 0, []
        strings = None if others else joined(keys, self.joiner)
        if strings is None:
            return 0, [*((key, ONE) for key in keys), *others]
        self.buffer.add_strings(strings)
        return STRING_BYTES + len(strings.data) // len(keys), []


class _Numbers:
    def __init__(self, buffer: TotalsBuffer, any_value: bool) -> None:
        self.buffer = buffer
        self.any_value = any_value
        self.joiner = StringJoiner()

    def take(self, pairs: Iterator[Pair]) -> tuple[int, list[Pair]]:
        values: list[Any] = []
        add_value = values.append
        keys = [key for key, value in pairs if add_value(value) is None]
        if not keys:
            return 0, []
        columns = self._columns(keys, [ONE] * len(keys) if self.any_value else values)
        added = 0 if columns is None else self.buffer.add_columns(*columns)
        left = list(zip(keys[added:], values[added:], strict=True))
        return mean_size(keys, SAMPLE) + mean_size(values, SAMPLE), left

    def _columns(self, keys: list[Any], values: list[Any]) -> tuple[pa.Array | JoinedStrings, pa.Array] | None:
        if type(keys[0]) not in (str, int) or type(values[0]) not in (int, float):
            return None
        numbers = plain_column(values)
        column = plain_column(keys) if (strings := joined(keys, self.joiner)) is None else strings
        if column is None or numbers is None or not self.buffer.takes(column, numbers):
            return None
        return column, numbers


def joined(keys: list[Any], joiner: StringJoiner) -> JoinedStrings | None:
    """None where not all are text, and of no class of their own, or they can't be joined."""
    return joiner.join(keys) if list(map(type, keys)).count(str) == len(keys) else None

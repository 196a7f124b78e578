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
from itertools import repeat
from operator import length_hint
from typing import TYPE_CHECKING, Any, Protocol

from mapreduce.dataflow.batches import PartitionBatch
from mapreduce.dataflow.combine import CHUNK_SHARE, PartialsBuffer, RefusedPair
from mapreduce.dataflow.combine_columns import TotalsBuffer, WordsBuffer
from mapreduce.dataflow.partitioner import Partitioner
from mapreduce.kernels import PairReader, available, pair_reader
from mapreduce.kernels.pairs import ANY, ONES, STRINGS, UNREAD
from mapreduce.reducers.base import Monoid

if TYPE_CHECKING:
    import pyarrow as pa

Pair = tuple[Any, Any]

CHUNK_PAIRS, CHUNK_BYTES = 8192, 1 << 20
"""At most: a chunk's columns stay in the second-level cache."""


class PlainPairsBuffer:
    """Sums and counts by key, of pairs that come one by one: for `Sum`, `Count` and `Mean`."""

    def __init__(self, reducer: Monoid, partitioner: Partitioner, buffer_bytes: int) -> None:
        self.must_spill = False
        self.stages: list[_Stage] = []
        ready = available("words", "groups")
        reader = pair_reader(CHUNK_PAIRS, min(CHUNK_BYTES, buffer_bytes // CHUNK_SHARE)) if ready else None
        if reader is not None:
            any_value = reducer.totals == ("count",)
            if len(reducer.totals) == 1:  # the count of ones is all there is to them
                self.stages.append(_Ones(WordsBuffer(partitioner, buffer_bytes), reader, any_value))
            self.stages.append(_Numbers(TotalsBuffer(reducer, partitioner, buffer_bytes), reader, any_value))
        self.rows = PartialsBuffer(reducer, partitioner, buffer_bytes, columns_pay=True)

    def add_pairs(self, pairs: Iterator[Pair]) -> Iterator[None]:
        """Raises RefusedPair."""
        left: list[Pair] = []  # of one reader, which can take all but the last of them at once
        while self.stages:
            added, left = self.stages[0].take(iter(left) if left else pairs)
            if added:
                yield
            elif left:
                if not self.empty:
                    self.must_spill = True
                    yield
                del self.stages[0]
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
        """Take a chunk. Returns how many pairs were added, and those that were fetched and not added."""


class _Ones:
    def __init__(self, buffer: WordsBuffer, reader: PairReader, any_value: bool) -> None:
        self.buffer = buffer
        self.reader = reader
        self.values = UNREAD if any_value else ONES

    def take(self, pairs: Iterator[Pair]) -> tuple[int, list[Pair]]:
        taken = self.reader.take(pairs, STRINGS, self.values)
        if taken.refused:
            return 0, [*zip(taken.keys.to_pylist(), repeat(1)), *taken.left]
        if taken.rows:
            self.buffer.add_strings(taken.keys)
        return taken.rows, taken.left


class _Numbers:
    def __init__(self, buffer: TotalsBuffer, reader: PairReader, any_value: bool) -> None:
        self.buffer = buffer
        self.reader = reader
        self.first_kinds = ANY, (UNREAD if any_value else ANY)
        self.kinds = self.first_kinds
        self.ones = _ones() if any_value else None

    def take(self, pairs: Iterator[Pair]) -> tuple[int, list[Pair]]:
        taken = self.reader.take(pairs, *(self.first_kinds if self.buffer.empty else self.kinds))
        values = taken.values if self.ones is None else self.ones[: taken.rows]
        self.kinds = self.reader.kinds
        added = 0
        if taken.rows and not taken.refused:
            added = self.buffer.add_columns(taken.keys, values)
        rest = zip(taken.keys[added:].to_pylist(), values[added:].to_pylist(), strict=True)
        return added, [*rest, *taken.left]


def _ones() -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(np.ones(CHUNK_PAIRS, np.int64))

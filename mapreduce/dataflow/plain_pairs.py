"""How are pairs of the row lane added up without a dictionary? A chunk at a time, in the compiled table.

Finding a key in a dictionary of many costs more than making the pair: its slot, the key there and the partial are each
waited for. The table of the columnar lane has short keys and their sums in one place. So as long as all keys are text
(or all integers) and all values integers (or all floats), chunks of pairs become two columns for that table. The first
chunk that does not ends this: its pairs, and all that follow in the task, go to a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from operator import countOf, length_hint
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.batches import PartitionBatch, plain_column
from mapreduce.dataflow.combine import FIRST_PAIRS, SAMPLE, PartialsBuffer, RefusedPair, next_chunk
from mapreduce.dataflow.combine_columns import TotalsBuffer
from mapreduce.dataflow.partitioner import Partitioner
from mapreduce.dataflow.sizes import mean_size
from mapreduce.kernels import StringJoiner
from mapreduce.reducers.base import Monoid

if TYPE_CHECKING:
    import pyarrow as pa

    from mapreduce.kernels import JoinedStrings

CHUNK_PAIRS = 8192
"""At most: a chunk's keys stay in the second-level cache."""


class PlainPairsBuffer:
    """Sums and counts by key, of pairs that come one by one: for `Sum`, `Count` and `Mean`."""

    def __init__(self, reducer: Monoid, partitioner: Partitioner, buffer_bytes: int) -> None:
        self.totals = TotalsBuffer(reducer, partitioner, buffer_bytes)
        self.rows = PartialsBuffer(reducer, partitioner, buffer_bytes, columns_pay=True)
        self.counts_only = reducer.totals == ("count",)
        self.repeated = _Repeated()
        self.joiner = StringJoiner()
        self.buffer_bytes = buffer_bytes
        self.chunk = FIRST_PAIRS
        self.plain = True
        self.must_spill = False

    def add_pairs(self, pairs: Iterator[tuple[Any, Any]]) -> Iterator[None]:
        taken = 0
        while self.plain:
            keys, values = unzipped(islice(pairs, self.chunk))
            if not keys:
                return
            columns = self._columns_of(keys, values)
            if columns is None:
                yield from self._turn_to_rows(keys, values, taken)
            else:
                yield from self._add(*columns)
                taken += len(keys)
                size = mean_size(keys, SAMPLE) + mean_size(values, SAMPLE)
                self.chunk = next_chunk(self.chunk, size, self.buffer_bytes, CHUNK_PAIRS)
        yield from self.rows.add_pairs(pairs)

    def _columns_of(self, keys: list[Any], values: list[Any]) -> tuple[pa.Array | JoinedStrings, pa.Array] | None:
        """Two columns that the table takes; None if it does not."""
        if self.counts_only:
            values = [1]
        numbers = self.repeated.column(values[0], len(keys)) if len(values) < len(keys) else plain_column(values)
        if numbers is None or str(numbers.type) == "string":
            return None
        column = self.joiner.join(keys) if countOf(map(type, keys), str) == len(keys) else None
        column = plain_column(keys) if column is None else column
        if column is None or str(column.type) == "double" or not self.totals.takes(column, numbers):
            return None
        return column, numbers

    def _add(self, keys: pa.Array | JoinedStrings, values: pa.Array) -> Iterator[None]:
        while True:
            added = self.totals.add_columns(keys, values)
            self.must_spill = added < len(values)
            yield
            if added == len(values):
                return
            keys, values = keys.slice(added), values.slice(added)

    def _turn_to_rows(self, keys: list[Any], values: list[Any], taken: int) -> Iterator[None]:
        """Give `rows` a chunk, the first that the table does not take. Raises RefusedPair."""
        if not self.totals.empty:
            self.must_spill = True
            yield
        self.plain = False
        left = iter(keys)
        pairs = zip(left, values * (len(keys) // len(values)), strict=True)
        try:
            yield from self.rows.add_pairs(pairs)
        except Exception as error:
            raise RefusedPair(error, taken + len(keys) - length_hint(left)) from error

    @property
    def full(self) -> bool:
        return self.must_spill or self.totals.full if self.plain else self.rows.full

    @property
    def empty(self) -> bool:
        return self.totals.empty if self.plain else self.rows.empty

    def drain(self) -> Iterator[PartitionBatch]:
        self.must_spill = False
        return self.totals.drain() if self.plain else self.rows.drain()


class _Repeated:
    """A value as a column, kept for the next chunk, whose values are often the same."""

    def __init__(self) -> None:
        self.made: tuple[Any, pa.Array] | None = None

    def column(self, value: Any, rows: int) -> pa.Array | None:
        if self.made is None or self.made[0] is not value or len(self.made[1]) < rows:
            column = plain_column([value] * max(rows, CHUNK_PAIRS))
            if column is None:
                return None
            self.made = value, column
        return self.made[1].slice(0, rows)


def unzipped(pairs: Iterator[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    """Keys and values; where all values are one and the same object, it alone."""
    for begin in pairs:
        first, same = begin
        break
    else:
        return [], []
    keys = [first]
    add_key = keys.append
    for key, value in pairs:
        add_key(key)
        if value is not same:
            values = [same] * (len(keys) - 1) + [value]
            break
    else:
        return keys, [same]
    add_value = values.append
    for key, value in pairs:
        add_key(key)
        add_value(value)
    return keys, values

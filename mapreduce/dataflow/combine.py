"""How are mapped pairs held in memory until they are written, and what is combined on the way?

Four buffers, one for each way in which pairs can shrink. All promise the same: `full` depends on the pairs and the
settings alone (sizes are reckoned, not measured, so that spills fall at the same places in every run), and `drain`
gives what is held as batches, by partition and within it by key, and forgets it.

    PartialsBuffer   a dictionary from key to partial, for named reducers in the row lane
    PlainPairsBuffer a table of sums and counts, for the same where keys and values are plain (plain_pairs.py)
    PairsBuffer      all pairs, for everything else in the row lane; combines when drained
    ColumnsBuffer    Arrow columns, for the columnar lane; grouped whenever enough has piled up (combine_columns.py)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, groupby, islice
from typing import Any, Protocol

from mapreduce.dataflow.batches import PartitionBatch, RowBatch
from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.order import order_key, order_keys
from mapreduce.dataflow.partitioner import Partitioner
from mapreduce.dataflow.reduction import Reduction
from mapreduce.dataflow.sizes import PLAIN, mean_size, size_of
from mapreduce.reducers.base import Monoid

FIRST_PAIRS, CHUNK_PAIRS, GROWTH = 4, 16_384, 8
"""Pairs between two looks at the size: when it isn't known yet; at most; and how much the next chunk may be longer."""

MOST_PAIRS = 256
"""The same at most where all pairs are kept: should they suddenly be large, a chunk of them must fit."""

CHUNK_SHARE = 16
"""A chunk takes about this fraction of the buffer at most: what it may be overfilled by."""

SAMPLE = 32
ENTRY_BYTES = 104
"""A dictionary slot with its hash and index at two thirds load, and the slots of the lists that drain it."""

ORDERED_ENTRY_BYTES = 2 * ENTRY_BYTES
"""The same for pairs sorted by value too, whose order keys are tuples that live until the buffer is drained."""

KEPT_SHARE = 0.75
"""Partials that grow are weighed one by one when the buffer seems full; below this share of it they stay."""


class RefusedPair(Exception):
    """The reducer raised `error` for `pair` when others that came after it had been fetched, too."""

    def __init__(self, error: Exception, pair: tuple[Any, Any]) -> None:
        super().__init__(error, pair)
        self.error = error
        self.pair = pair


class Buffer(Protocol):
    """What all buffers of pairs can do."""

    def add_pairs(self, pairs: Iterator[tuple[Any, Any]]) -> Iterator[None]:
        """Take pairs chunk by chunk; after each chunk the caller may spill if `full`."""

    @property
    def full(self) -> bool: ...

    @property
    def empty(self) -> bool: ...

    def drain(self) -> Iterator[PartitionBatch]: ...


def next_chunk(pairs: int, pair_bytes: int, buffer_bytes: int, most: int) -> int:
    """How many pairs to take at once after `pairs` that took about `pair_bytes` each."""
    return max(1, min(most, pairs * GROWTH, buffer_bytes // CHUNK_SHARE // max(1, pair_bytes)))


class PartialsBuffer:
    """Partials of a named reducer by key."""

    def __init__(
        self, reducer: Monoid, partitioner: Partitioner, buffer_bytes: int, *, columns_pay: bool = False
    ) -> None:
        """`columns_pay`: the job is large enough to load Arrow, so drained partials are columns where they can be."""
        self.reducer = reducer
        self.columns_pay = columns_pay and bool(reducer.aggregates)
        self.partitioner = partitioner
        self.buffer_bytes = buffer_bytes
        self.partials: dict[Any, Any] = {}
        self.bytes = 0
        self.chunk = FIRST_PAIRS
        self.grows = False  # partials are collections, which more values may make larger

    def add_pairs(self, pairs: Iterator[tuple[Any, Any]]) -> Iterator[None]:
        for first in pairs:
            rest = islice(pairs, self.chunk - 1)
            if self.grows:
                self._add_to_collections([first, *rest])
            else:
                self._add(first, rest)
            yield

    def _add(self, first: tuple[Any, Any], rest: Iterator[tuple[Any, Any]]) -> None:
        partials = self.partials
        before = len(partials)
        self.reducer.add_pairs(partials, (first,))  # by itself: one iterator less between `map` and the dictionary
        self.reducer.add_pairs(partials, rest)
        new = len(partials) - before
        if not new:
            self.chunk = min(CHUNK_PAIRS, self.chunk * GROWTH)
            return
        newest = list(islice(reversed(partials.items()), min(new, SAMPLE)))
        self.grows = any(not _is_plain(partial) for _, partial in newest)
        size = sum(size_of(key) + size_of(partial) for key, partial in newest) // len(newest) + ENTRY_BYTES
        self.bytes += new * size
        self.chunk = next_chunk(self.chunk, size, self.buffer_bytes, CHUNK_PAIRS)

    def _add_to_collections(self, chunk: list[tuple[Any, Any]]) -> None:
        """Reckon what each value may add to its partial; weigh the partials before the buffer counts as full."""
        before = len(self.partials)
        self.reducer.add_pairs(self.partials, chunk)
        size = mean_size(chunk, SAMPLE)
        self.bytes += len(chunk) * size + (len(self.partials) - before) * ENTRY_BYTES
        self.chunk = next_chunk(self.chunk, size, self.buffer_bytes, CHUNK_PAIRS)
        if self.bytes >= self.buffer_bytes:
            weight = sum(size_of(key) + size_of(partial) + ENTRY_BYTES for key, partial in self.partials.items())
            if weight < self.buffer_bytes * KEPT_SHARE:
                self.bytes = weight

    @property
    def full(self) -> bool:
        return self.bytes >= self.buffer_bytes

    @property
    def empty(self) -> bool:
        return not self.partials

    def drain(self) -> Iterator[PartitionBatch]:
        table = None
        if self.columns_pay:
            from mapreduce.dataflow.combine_columns import partitioned, table_of_partials

            table = table_of_partials(self.partials, self.reducer)
        if table is None:
            yield from self._drain_rows()
        self.partials.clear()
        self.bytes = 0
        if table is not None:
            yield from partitioned(table, self.partitioner)

    def _drain_rows(self) -> Iterator[PartitionBatch]:
        partials = self.partials
        keys = list(partials)
        buckets: list[list[Any]] = [[] for _ in range(self.partitioner.partitions)]
        for key, partition in zip(keys, self.partitioner.rows(keys), strict=True):
            buckets[partition].append(key)
        del keys
        for partition, bucket in enumerate(buckets):
            if bucket:
                yield PartitionBatch(partition, self._sorted(bucket))
                buckets[partition] = []

    def _sorted(self, keys: list[Any]) -> RowBatch:
        order = order_keys(keys)
        if order is keys:
            keys.sort()
            return RowBatch(keys, list(map(self.partials.__getitem__, keys)))
        keys.sort(key=order_key)
        values = [self.partials[key] for key in keys]
        # Different objects may be one key: NaN is unequal to itself, but one key all the same.
        merged_keys: list[Any] = []
        merged: list[Any] = []
        for key, value in zip(keys, values, strict=True):
            if merged_keys and key != key and order_key(merged_keys[-1]) == order_key(key):
                merged[-1] = self.reducer.merge(merged[-1], value)
            else:
                merged_keys.append(key)
                merged.append(value)
        return RowBatch(merged_keys, merged)


def _is_plain(partial: Any) -> bool:
    """Does it keep its size, whatever is added? Numbers do, and pairs of them; text and collections don't."""
    if type(partial) is tuple:
        return all(map(_is_plain, partial))
    return type(partial) in PLAIN and not isinstance(partial, str | bytes)


class PairsBuffer:
    """All pairs as they come; sorted, and combined where the job has a combiner, when drained."""

    def __init__(
        self, reduction: Reduction, partitioner: Partitioner, buffer_bytes: int, monitor: Monitor | None = None
    ) -> None:
        self.reduction = reduction
        self.monitor = monitor or Monitor()
        self.partitioner = partitioner
        self.buffer_bytes = buffer_bytes
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self.bytes = 0
        self.chunk = FIRST_PAIRS
        self.entry_bytes = ENTRY_BYTES if reduction.value_order is None else ORDERED_ENTRY_BYTES

    def add_pairs(self, pairs: Iterator[tuple[Any, Any]]) -> Iterator[None]:
        while chunk := list(islice(pairs, self.chunk)):
            self.add_chunk([key for key, _ in chunk], [value for _, value in chunk])
            yield

    def add_chunk(self, keys: list[Any], values: list[Any]) -> None:
        self.keys += keys
        self.values += values
        size = mean_size(keys) + mean_size(values) + self.entry_bytes
        self.bytes += len(keys) * size
        self.chunk = next_chunk(self.chunk, size, self.buffer_bytes, MOST_PAIRS)

    @property
    def full(self) -> bool:
        return self.bytes >= self.buffer_bytes

    @property
    def empty(self) -> bool:
        return not self.keys

    def drain(self) -> Iterator[PartitionBatch]:
        keys, values = self.keys, self.values
        partitions = self.partitioner.rows(keys)
        buckets: list[list[int]] = [[] for _ in range(self.partitioner.partitions)]
        for index in self._order(keys, values):
            buckets[partitions[index]].append(index)
        for partition, bucket in enumerate(buckets):
            if bucket:
                batch = RowBatch([keys[i] for i in bucket], [values[i] for i in bucket])
                yield PartitionBatch(partition, self._combined(batch))
                buckets[partition] = []
        self.keys, self.values, self.bytes = [], [], 0

    def _order(self, keys: list[Any], values: list[Any]) -> list[int]:
        """Indices in stable order of key and, with a secondary sort, of value."""
        order = order_keys(keys)
        value_order = self.reduction.value_order
        if value_order is None:
            return sorted(range(len(keys)), key=order.__getitem__)
        second = [order_key(value_order(key, value)) for key, value in zip(keys, values, strict=True)]
        return sorted(range(len(keys)), key=lambda index: (order[index], second[index]))

    def _combined(self, batch: RowBatch) -> RowBatch:
        if self.reduction.drops_repeats:
            return _without_repeats(batch)
        if self.reduction.combine_stream is not None:
            combined = list(self.reduction.combine_stream(zip(batch.keys, batch.values, strict=True)))
            combined.sort(key=lambda pair: order_key(pair[0]))
            return RowBatch([key for key, _ in combined], [value for _, value in combined])
        combine = self.reduction.combine
        if combine is None:
            return batch
        keys: list[Any] = []
        values: list[Any] = []
        pairs = zip(batch.keys, batch.values, strict=True)
        for _, group in groupby(pairs, key=lambda pair: order_key(pair[0])):
            first = next(group)
            for combined in combine(first[0], chain((first[1],), (value for _, value in group))):
                keys.append(first[0])
                values.append(combined)
            self.monitor.steps += 1  # a combiner may take long
        return RowBatch(keys, values)


def _without_repeats(batch: RowBatch) -> RowBatch:
    keys: list[Any] = []
    values: list[Any] = []
    last: Any = None
    for key, value in zip(batch.keys, batch.values, strict=True):
        now = (order_key(key), order_key(value))
        if now != last:
            keys.append(key)
            values.append(value)
            last = now
    return RowBatch(keys, values)

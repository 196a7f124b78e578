"""How are pairs of the columnar lane held and combined in memory?

Blocks' columns pile up; when enough has, equal keys are grouped and their partials merged, all in Arrow. A buffer holds
columns of one schema. A block of another type (a key that was an integer and is now a float, say) must go to a new run:
`accepts` tells, and the merge brings runs of different types together by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.batches import KEY, ColumnBatch, PartitionBatch, plain_column
from mapreduce.dataflow.column_order import sort_by_partition, sort_indices
from mapreduce.dataflow.group_columns import group_columns
from mapreduce.dataflow.partitioner import Partitioner
from mapreduce.errors import JobError
from mapreduce.reducers.base import Monoid
from mapreduce.reducers.sums import numbers_of

if TYPE_CHECKING:
    import pyarrow as pa

    from mapreduce.columns import Words
    from mapreduce.kernels import GroupSums, WordCounter

PILE_BYTES = 8 << 20
"""Columns grouped at a time: most blocks repeat each other's keys, so little is left, and buffers stay in cache."""


def as_array(column: Any, what: str) -> pa.Array:
    """A column as one Arrow array: from Arrow arrays, numpy arrays and lists. Raises JobError."""
    import pyarrow as pa

    if isinstance(column, pa.Array):
        return column
    try:
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
            return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
        return pa.array(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise JobError(f"map_block returned {what} that are no column: {error}") from error


def plain_keys(keys: pa.Array) -> pa.Array | None:
    """Keys in the type that stands for all of their kind, with -0.0 and NaN as one value each; None if it has none."""
    import numpy as np
    import pyarrow as pa

    kind = keys.type
    if keys.null_count:
        return None
    if pa.types.is_dictionary(kind):
        return plain_keys(keys.dictionary_decode())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return keys.cast(pa.string())
    if pa.types.is_string(kind) or pa.types.is_fixed_size_binary(kind) or kind in (pa.int64(), pa.binary()):
        return keys
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return keys.cast(pa.int64())
    if pa.types.is_floating(kind):
        numbers = keys.cast(pa.float64()).to_numpy() + 0.0
        numbers[np.isnan(numbers)] = np.nan
        return pa.array(numbers)
    return None


class ColumnsBuffer:
    """Columns `key` and partials (with a named reducer) or `key` and `value` (where pairs only pass)."""

    def __init__(self, reducer: Monoid | None, partitioner: Partitioner, buffer_bytes: int) -> None:
        self.reducer = reducer
        self.partitioner = partitioner
        self.buffer_bytes = buffer_bytes
        self.pile_bytes = min(PILE_BYTES, max(1, buffer_bytes // 4))
        self.piled: list[pa.RecordBatch] = []
        self.piled_bytes = 0
        self.grouped_bytes = 0

    def columns_for(self, keys: pa.Array, values: pa.Array) -> pa.RecordBatch | None:
        """The batch to `add`; None if these types have no columnar form and must go by row."""
        import pyarrow as pa

        plain = plain_keys(keys)
        columns = [values] if self.reducer is None else self.reducer.partial_columns(values)
        if plain is None or columns is None:
            return None
        names = [KEY, *(f"value{number}" for number in range(len(columns)))]
        return pa.RecordBatch.from_arrays([plain, *columns], names=names)

    def accepts(self, batch: pa.RecordBatch) -> bool:
        return not self.piled or self.piled[0].schema.types == batch.schema.types

    def add(self, batch: pa.RecordBatch) -> int:
        """Add rows; returns how many: all."""
        self.piled.append(batch)
        self.piled_bytes += batch.nbytes
        if self.reducer is not None and self.piled_bytes - self.grouped_bytes >= self.pile_bytes:
            self._group()
        return len(batch)

    def _group(self) -> None:
        assert self.reducer is not None
        grouped = group_columns(concat(self.piled), self.reducer.aggregates)
        if grouped is not None:
            self.piled = [grouped]
            self.piled_bytes = grouped.nbytes
        # Where little was saved, the next look is later: grouping the same rows again and again is quadratic.
        self.grouped_bytes = max(self.piled_bytes, 0)
        self.pile_bytes = min(max(self.pile_bytes, self.piled_bytes), max(1, self.buffer_bytes // 2))

    @property
    def full(self) -> bool:
        return self.piled_bytes >= self.buffer_bytes // 2

    @property
    def empty(self) -> bool:
        return not self.piled

    def drain(self) -> Iterator[PartitionBatch]:
        if self.reducer is not None and len(self.piled) > 1:
            self._group()
        table = concat(self.piled)
        self.piled, self.piled_bytes, self.grouped_bytes = [], 0, 0
        return partitioned(table, self.partitioner)


class WordsBuffer:
    """Words, or other strings, and their counts, in one compiled table."""

    def __init__(self, partitioner: Partitioner, buffer_bytes: int) -> None:
        self.partitioner = partitioner
        self.buffer_bytes = buffer_bytes
        self.counter = _process_tables.words(buffer_bytes)

    def add(self, words: Words) -> None:
        words.add_to(self.counter)

    def add_strings(self, strings: pa.StringArray) -> None:
        self.counter.add_strings(strings)

    @property
    def full(self) -> bool:
        return self.counter.bytes >= self.buffer_bytes // 2

    @property
    def empty(self) -> bool:
        return not self.counter.distinct

    def drain(self) -> Iterator[PartitionBatch]:
        import pyarrow as pa

        keys, counts = self.counter.take()
        table = pa.RecordBatch.from_arrays([keys, counts], names=[KEY, "value0"])
        return partitioned(table, self.partitioner, unique=True)


class _ProcessTables:
    """This process's compiled table, made once, so that no task waits for fresh memory. One task at a time has it.

    Of several kinds only the last one used is kept, and none that holds more than the task at hand may use: a worker
    runs jobs that are told different bounds.
    """

    def __init__(self) -> None:
        self._kind: Any = None
        self._table: Any = None

    def words(self, most_bytes: int) -> WordCounter:
        """An empty counter of words."""
        from mapreduce.kernels import WordCounter

        counter: WordCounter = self._empty("words", WordCounter, most_bytes)
        return counter

    def groups(self, types: list[pa.DataType], most_bytes: int) -> GroupSums:
        """An empty table of sums and counts, for keys and values of these types."""
        from mapreduce.kernels import GroupSums

        totals: GroupSums = self._empty(types, GroupSums, most_bytes)
        return totals

    def _empty(self, kind: Any, make: Callable[[], Any], most_bytes: int) -> Any:
        if self._kind != kind or self._table.held_bytes > most_bytes:
            self._kind, self._table = kind, None  # the old one's memory is free before the new one's is taken
            self._table = make()
        self._table.take()  # what an attempt that failed left in it
        return self._table


_process_tables = _ProcessTables()


class TotalsBuffer:
    """Sums and counts by key, in one compiled table that lives for the whole task: for Sum, Count and Mean."""

    def __init__(self, reducer: Monoid, partitioner: Partitioner, buffer_bytes: int) -> None:
        self.reducer = reducer
        self.partitioner = partitioner
        self.buffer_bytes = buffer_bytes
        self.totals: GroupSums | None = None
        self.types: list[pa.DataType] = []

    def columns_for(self, keys: pa.Array, values: pa.Array) -> pa.RecordBatch | None:
        """The batch to `add`; None if the table cannot hold these types."""
        import pyarrow as pa

        plain, numbers = plain_keys(keys), numbers_of(values)
        if plain is None or numbers is None or numbers[0].null_count or plain.type not in (pa.int64(), pa.string()):
            return None
        return pa.RecordBatch.from_arrays([plain, numbers[0]], names=[KEY, "value"])

    def accepts(self, batch: pa.RecordBatch) -> bool:
        return self.empty or self.types == batch.schema.types

    def add(self, batch: pa.RecordBatch) -> int:
        """Add rows; returns how many. Where it is fewer than given, the next would leave 64 bits: drain, then go on."""
        return self.add_columns(batch.column(0), batch.column(1))

    def add_columns(self, keys: pa.Array, values: pa.Array) -> int:
        """The same for columns that are no batch."""
        types = [keys.type, values.type]
        if self.totals is None or self.types != types:
            self.types = types
            self.totals = _process_tables.groups(types, self.buffer_bytes)
        return self.totals.add(keys, values)

    @property
    def full(self) -> bool:
        return self.totals is not None and self.totals.bytes >= self.buffer_bytes // 2

    @property
    def empty(self) -> bool:
        return self.totals is None or not self.totals.distinct

    def drain(self) -> Iterator[PartitionBatch]:
        import pyarrow as pa

        assert self.totals is not None
        distinct, ends = self.totals.distinct, []

        def order_of(keys: pa.Array) -> Any:
            order, found = _order_of(keys, self.partitioner, unique=True)
            ends.extend(found)
            return order

        totals = self.totals.take(order_of)
        sums, counts = totals.sums, totals.counts
        columns = [column for total in self.reducer.totals for column in (sums if total == "sum" else [counts])]
        names = [KEY, *(f"value{number}" for number in range(len(columns)))]
        table = pa.RecordBatch.from_arrays([totals.keys, *columns], names=names)
        if totals.arranged:
            return _cut(table, ends)
        return partitioned(table, self.partitioner, unique=len(table) == distinct)


def partitioned(table: pa.RecordBatch, partitioner: Partitioner, *, unique: bool = False) -> Iterator[PartitionBatch]:
    """The rows of a batch by partition, and within it stably in order of key. `unique`: no two keys are equal."""
    order, ends = _order_of(table.column(0), partitioner, unique=unique)
    return _cut(table if order is None else table.take(order), ends)


def _order_of(keys: pa.Array, partitioner: Partitioner, *, unique: bool) -> tuple[Any, list[int]]:
    """Row numbers by partition and key, None if rows are so already; and where each partition ends."""
    import numpy as np

    count = partitioner.partitions
    partitions = partitioner.columns(keys).astype(np.uint16)
    order = sort_indices(keys, unique=unique) if count == 1 else sort_by_partition(keys, partitions, unique=unique)
    return order, np.cumsum(np.bincount(partitions, minlength=count)).tolist()


def _cut(table: pa.RecordBatch, ends: list[int]) -> Iterator[PartitionBatch]:
    """A batch whose rows are by partition as a batch a partition."""
    start = 0
    for partition, end in enumerate(ends):
        if end > start:
            yield PartitionBatch(partition, ColumnBatch(table.slice(start, end - start)))
        start = end


def table_of_partials(partials: dict[Any, Any], reducer: Monoid) -> pa.RecordBatch | None:
    """A dictionary of partials as columns; None where their types allow none."""
    import pyarrow as pa

    split = reducer.split_partials(list(partials.values()))
    columns = [None] if split is None else [plain_column(list(partials)), *map(plain_column, split)]
    if None in columns:
        return None
    names = [KEY, *(f"value{number}" for number in range(len(columns) - 1))]
    keys = plain_keys(columns[0])
    return None if keys is None else pa.RecordBatch.from_arrays([keys, *columns[1:]], names=names)


def concat(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of one schema as one."""
    import pyarrow as pa

    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)

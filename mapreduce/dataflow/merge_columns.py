"""How do sorted runs become one where they are columns, or partials of a named reducer?

By windows, as in `merge.py`, but whole columns at a time: from each run all rows up to a bound are cut off (a binary
search), laid one behind the other in order of run, and sorted stably; with a named reducer, equal keys are grouped and
their partials merged. No Python step a pair.

Each window picks its lane. Where runs differ in type, or a sum of integers would leave 64 bits, that window is done
by row, with the same result.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.batches import Batch, ColumnBatch, RowBatch, to_rows
from mapreduce.dataflow.merge import SAMPLE, WINDOW_BYTES, Run, merge_rows
from mapreduce.dataflow.order import NUMBER, OrderKey, natural_type, one_nan, order_key, order_keys
from mapreduce.dataflow.sizes import mean_size
from mapreduce.reducers.base import Monoid

if TYPE_CHECKING:
    import pyarrow as pa

    from mapreduce.dataflow.group_columns import TextSums

WINDOW_PAIRS = 65_536
"""Pairs merged at a time, over all runs: a window costs some 0.1 ms and 20 us a run, whatever is in it."""

MIN_STRETCH = 1024
ROWS_SHARE = 4
"""Windows of rows are smaller by this: their dictionary should stay in the cache."""


def merge_batches(runs: Sequence[Run]) -> Iterator[Batch]:
    """All pairs of the runs in order of key, equal keys by run then as in the run; by column where runs have any."""
    cursors = [_Cursor(run, to_rows) for run in runs]
    if not any(cursor.fill(1) and isinstance(cursor.batch, ColumnBatch) for cursor in cursors):
        yield from merge_rows([cursor.unread() for cursor in cursors])
        return
    for window in _windows(cursors):
        yield from window.streamed() if window.equals else [_sorted(window.pieces)]


def merge_partials(runs: Sequence[Run], reducer: Monoid) -> Iterator[Batch]:
    """Each key once, in order, with its partials of all runs merged in order of run. A sum of floats that two columns
    can't hold has further rows, behind its key's first and in the same batch."""
    lane = _Partials(reducer)
    for window in _windows([_Cursor(run, lane.rows_of) for run in runs]):
        yield lane.merged_window(window)


class _Cursor:
    """One run: the batch in sight, and how far it has been taken."""

    __slots__ = ("at", "batch", "ended", "pair_bytes", "rows_of", "run")

    def __init__(self, run: Run, rows_of: Callable[[Batch], RowBatch]) -> None:
        self.run = run
        self.rows_of = rows_of
        self.batch: Batch = RowBatch([], [])
        self.at = 0
        self.pair_bytes = 1  # about, of the pairs that came last
        self.ended = False  # nothing comes after what is in sight

    def fill(self, stretch: int, share: int = 0) -> bool:
        """Bring at least `stretch` pairs in sight, or as many as take `share` bytes, or all that are left; False if
        none are."""
        while not self.ended and len(self.batch) - self.at < max(1, min(stretch, share // self.pair_bytes)):
            batch = next(self.run, None)
            if batch is None:
                self.ended = True
                continue
            self.pair_bytes = _pair_bytes(batch)
            if self.at < len(self.batch):
                self.batch, self.at = self._joined(_cut(self.batch, self.at, len(self.batch)), batch), 0
            else:
                self.batch, self.at = batch, 0
        return self.at < len(self.batch)

    def _joined(self, left: Batch, right: Batch) -> Batch:
        if isinstance(left, ColumnBatch) and isinstance(right, ColumnBatch) and _same_types([left, right]):
            return _concat_columns([left, right])
        return _concat_rows([self.rows_of(left), self.rows_of(right)])

    def key(self, row: int) -> OrderKey:
        keys = self.batch.keys
        return order_key(keys[row].as_py() if isinstance(self.batch, ColumnBatch) else keys[row])

    def end_of_stretch(self, stretch: int) -> list[OrderKey]:
        """[the order key up to which this run's pairs are in sight], or [] if all of them are."""
        last = self.at + stretch - 1
        if last < len(self.batch):
            return [self.key(last)]
        return [] if self.ended else [self.key(len(self.batch) - 1)]

    def below(self, bound: OrderKey) -> int:
        """The first row whose key isn't below the bound."""
        if (integers := self._integers(bound)) is not None:
            return self.at + int(integers.searchsorted(bound[1], "left"))
        return bisect_left(range(len(self.batch)), bound, self.at, key=self.key)

    def up_to(self, bound: OrderKey) -> int:
        """The first row whose key is above the bound."""
        if (integers := self._integers(bound)) is not None:
            return self.at + int(integers.searchsorted(bound[1], "right"))
        return bisect_right(range(len(self.batch)), bound, self.at, key=self.key)

    def _integers(self, bound: OrderKey) -> Any:
        """The keys in sight, if they and the bound are integers: numpy searches them without a Python step a key."""
        if not isinstance(self.batch, ColumnBatch) or bound[0] != NUMBER or type(bound[1]) is not int:
            return None
        keys = self.batch.keys
        if keys.type != "int64" or keys.null_count or not -(1 << 63) <= bound[1] < 1 << 63:
            return None
        return keys.to_numpy()[self.at :]

    def take(self, end: int) -> Batch:
        start, self.at = self.at, end
        return _cut(self.batch, start, end)

    def take_equal(self, bound: OrderKey) -> Iterator[Batch]:
        """What equals the bound, through as many batches as it fills."""
        while self.fill(1):
            end = self.up_to(bound)
            if end > self.at:
                yield self.take(end)
            if self.at < len(self.batch):
                return

    def unread(self) -> Run:
        return chain([_cut(self.batch, self.at, len(self.batch))], self.run)


class _Window:
    """Rows of each run, in order of run, below all that come later; then batches of a key that goes on out of sight."""

    __slots__ = ("equals", "pieces")

    def __init__(self, pieces: list[Batch], equals: Iterator[Batch] | None = None) -> None:
        self.pieces = [piece for piece in pieces if len(piece)]
        self.equals = equals or iter(())

    def streamed(self) -> Iterator[Batch]:
        if self.pieces:
            yield _sorted(self.pieces)
        yield from self.equals


def _windows(cursors: list[_Cursor]) -> Iterator[_Window]:
    while True:
        stretch = max(MIN_STRETCH, WINDOW_PAIRS // max(1, len(cursors)))
        if all(isinstance(cursor.batch, RowBatch) for cursor in cursors):
            stretch = max(1, stretch // ROWS_SHARE)
        share = WINDOW_BYTES // max(1, len(cursors))
        cursors = [cursor for cursor in cursors if cursor.fill(stretch, share)]
        if not cursors:
            return
        ends = [end for cursor in cursors for end in cursor.end_of_stretch(stretch)]
        if not ends:  # all that is left is in sight
            yield _Window([cursor.take(len(cursor.batch)) for cursor in cursors])
            continue
        bound = min(ends)
        rows = [cursor.up_to(bound) for cursor in cursors]
        if all(cursor.ended or row < len(cursor.batch) for cursor, row in zip(cursors, rows, strict=True)):
            yield _Window([cursor.take(row) for cursor, row in zip(cursors, rows, strict=True)])
        else:  # more pairs with the bound's key may follow
            pieces = [cursor.take(cursor.below(bound)) for cursor in cursors]
            yield _Window(pieces, chain.from_iterable(cursor.take_equal(bound) for cursor in cursors))


class _Partials:
    """How a named reducer merges the rows of a window."""

    def __init__(self, reducer: Monoid) -> None:
        self.reducer = reducer
        self.text_sums: TextSums | None = None  # once there are columns: Arrow is loaded only then

    def rows_of(self, batch: Batch) -> RowBatch:
        if isinstance(batch, RowBatch):
            return batch
        keys, *columns = (column.to_pylist() for column in batch.table.columns)
        return RowBatch(keys, self.reducer.join_partials(columns))

    def merged_window(self, window: _Window) -> Batch:
        """The window's rows merged; those of a key that goes on and on are merged as they come."""
        pieces, more = window.pieces, 0
        for batch in window.equals:
            pieces.append(batch)
            more += len(batch)
            if more > WINDOW_PAIRS:
                pieces, more = [self.merged(pieces)], 0
        return self.merged(pieces)

    def merged(self, pieces: list[Batch]) -> Batch:
        columns = [piece for piece in pieces if isinstance(piece, ColumnBatch)]
        if columns and len(columns) == len(pieces) and _same_types(columns):
            from mapreduce.dataflow.group_columns import TextSums, group_columns

            self.text_sums = self.text_sums or TextSums()
            table, aggregates = _concat_columns(columns).table, self.reducer.aggregates
            grouped = self.text_sums.grouped(table, aggregates)
            if grouped is None:
                grouped = group_columns(table, aggregates)
            if grouped is not None:
                return ColumnBatch(grouped)
        return self._merged_rows([self.rows_of(piece) for piece in pieces])

    def _merged_rows(self, pieces: list[RowBatch]) -> RowBatch:
        merge = self.reducer.merge
        partials: dict[Any, Any] = {}
        for piece in pieces:
            natural = natural_type(piece.keys)
            keys = piece.keys if natural is not None else map(one_nan, piece.keys)
            for key, partial in zip(keys, piece.values, strict=True):
                if key in partials:
                    partials[key] = merge(partials[key], partial)
                else:
                    partials[key] = partial
        keys = list(partials)
        order = order_keys(keys)
        keys = sorted(keys) if order is keys else [keys[i] for i in sorted(range(len(keys)), key=order.__getitem__)]
        return RowBatch(keys, [partials[key] for key in keys])


def _sorted(pieces: list[Batch]) -> Batch:
    """The pieces as one, sorted stably."""
    if len(pieces) == 1:
        return pieces[0]
    columns = [piece for piece in pieces if isinstance(piece, ColumnBatch)]
    if len(columns) == len(pieces) and _same_types(columns):
        from mapreduce.dataflow.column_order import sort_columns

        return sort_columns(_concat_columns(columns))
    rows = _concat_rows([to_rows(piece) for piece in pieces])
    order = order_keys(rows.keys)
    picked = sorted(range(len(rows)), key=order.__getitem__)
    return RowBatch([rows.keys[i] for i in picked], [rows.values[i] for i in picked])


def _pair_bytes(batch: Batch) -> int:
    if isinstance(batch, RowBatch):
        return max(1, mean_size(batch.keys, SAMPLE) + mean_size(batch.values, SAMPLE))
    return max(1, int(batch.table.nbytes) // max(1, len(batch)))


def _cut(batch: Batch, start: int, end: int) -> Batch:
    if start == 0 and end == len(batch):
        return batch
    if isinstance(batch, RowBatch):
        return RowBatch(batch.keys[start:end], batch.values[start:end])
    return ColumnBatch(batch.table.slice(start, end - start))


def _same_types(batches: Sequence[ColumnBatch]) -> bool:
    types = batches[0].table.schema.types
    return all(batch.table.schema.types == types for batch in batches[1:])


def _concat_columns(batches: Sequence[ColumnBatch]) -> ColumnBatch:
    """Batches of the same types as one; names are those of the first."""
    import pyarrow as pa

    if len(batches) == 1:
        return batches[0]
    names = batches[0].table.schema.names
    tables: list[pa.RecordBatch] = [
        batch.table if batch.table.schema.names == names else batch.table.rename_columns(names) for batch in batches
    ]
    return ColumnBatch(pa.concat_batches(tables))


def _concat_rows(batches: Sequence[RowBatch]) -> RowBatch:
    keys, values = (
        list(chain.from_iterable(lists)) for lists in zip(*((b.keys, b.values) for b in batches), strict=True)
    )
    return RowBatch(keys, values)

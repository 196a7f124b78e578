"""How do partials of equal keys, as columns, become one?

Rows are sorted by key, and those of a key, which then stand side by side, are merged column by column: integers and
extremes by numpy, sums of floats exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.dataflow.column_order import sort_indices
from mapreduce.kernels import GroupSums, available
from mapreduce.reducers.sums import sums_fit

REPEATED = 0.6
"""A table of keys is worth its time if no more than this share of a batch's rows are different ones."""

if TYPE_CHECKING:
    import pyarrow as pa


def group_columns(batch: pa.RecordBatch, aggregates: tuple[str, ...]) -> pa.RecordBatch | None:
    """Equal keys grouped, their partial columns merged by `aggregates`; sorted by key. Each key has one row, and where
    two floats can't hold its sum, more behind it.

    None if a sum of integers would leave int64: the caller keeps the rows as they are, and the reduce goes by row.
    """
    import pyarrow as pa

    partials = _partials_of(batch, aggregates)
    for how, columns in partials:
        if how == "sum" and pa.types.is_integer(columns[0].type) and not sums_fit(columns[0], len(batch)):
            return None
    if (summed := _summed(batch, aggregates)) is not None:
        return summed
    order = sort_indices(batch.column(0))
    if order is not None:
        batch = batch.take(order)
    starts = starts_of_keys(batch.column(0))
    if len(starts) == len(batch):
        return batch
    return _merged_runs(batch, starts, aggregates)


def _summed(batch: pa.RecordBatch, aggregates: tuple[str, ...]) -> pa.RecordBatch | None:
    """The same in one compiled pass: of sums of floats, and counts beside them, by integers. None for anything else."""
    import pyarrow as pa

    keys, *columns = batch.columns
    is_float = len(columns) > len(aggregates) and set(aggregates) == {"sum"} and len(aggregates) <= 2
    if not is_float or keys.type != "int64" or any(column.null_count for column in batch.columns):
        return None
    from mapreduce.kernels.sorted_sums import sorted_sums

    high, low, *counts = (column.to_numpy() for column in columns)
    sums = sorted_sums(keys.to_numpy(), high, low, counts[0] if counts else None)
    if sums is None:
        return None
    return pa.RecordBatch.from_arrays([pa.array(column) for column in sums[: 1 + len(columns)]], batch.schema.names)


class TextSums:
    """Groups batches of text keys and integers to add, one after the other. Where keys repeat, finding equal ones in a
    table and sorting those that are different takes a third of the time of sorting all."""

    def __init__(self) -> None:
        self._table: GroupSums | None = None
        self._pays = True

    def grouped(self, batch: pa.RecordBatch, aggregates: tuple[str, ...]) -> pa.RecordBatch | None:
        """As `group_columns` does. None for other batches, and where it would not pay or a sum leaves int64."""
        import pyarrow as pa

        keys, *columns = batch.columns
        if not self._pays or aggregates != ("sum",) or [keys.type, *(c.type for c in columns)] != ["string", "int64"]:
            return None
        if keys.null_count or columns[0].null_count or not available("groups"):
            return None
        self._table = self._table or GroupSums()
        added = self._table.add(keys, columns[0])
        found, sums, _, _ = self._table.take()
        self._pays = len(found) <= REPEATED * len(batch)
        if added < len(batch):
            return None
        order = sort_indices(found, unique=True)
        table = pa.RecordBatch.from_arrays([found, *sums], names=batch.schema.names)
        return table if order is None else table.take(pa.array(order))


class _Partial(NamedTuple):
    how: str
    columns: list[pa.Array]


def _partials_of(batch: pa.RecordBatch, aggregates: tuple[str, ...]) -> list[_Partial]:
    """The columns behind the key, by what merges them: a sum of floats, always the first, has two."""
    columns = batch.columns[1:]
    if len(columns) == len(aggregates):
        return [_Partial(how, [column]) for how, column in zip(aggregates, columns, strict=True)]
    rest = [_Partial(how, [column]) for how, column in zip(aggregates[1:], columns[2:], strict=True)]
    return [_Partial(aggregates[0], columns[:2]), *rest]


def starts_of_keys(keys: pa.Array) -> Any:
    """Of sorted keys, the rows at which another key begins."""
    import numpy as np
    import pyarrow.compute as pc

    if len(keys) < 2:
        return np.zeros(len(keys), np.int64)
    changes = pc.not_equal(keys.slice(1), keys.slice(0, len(keys) - 1)).to_numpy(zero_copy_only=False)
    if keys.type == "double":
        changes &= ~np.isnan(keys.to_numpy()[1:])  # NaN is one key, and stands last
        last = np.isnan(keys.to_numpy())
        changes |= np.concatenate([last[1:] & ~last[:-1]])
    return np.concatenate([[0], np.flatnonzero(changes) + 1])


_REDUCEAT = {"sum": "add", "min": "fmin", "max": "fmax"}


def _merged_runs(batch: pa.RecordBatch, starts: Any, aggregates: tuple[str, ...]) -> pa.RecordBatch:
    """Rows of equal keys, which stand side by side, merged."""
    import numpy as np
    import pyarrow as pa

    merged, rows = [], starts
    for how, columns in _partials_of(batch, aggregates):
        if len(columns) == 2:
            sums = _exact_sums(columns, starts)
            merged += sums.columns
            rows = np.append(starts, starts[sums.more_of])
            continue
        column = _reduced(columns[0], starts, how)
        if len(rows) > len(starts):
            column = pa.concat_arrays([column, pa.array(np.zeros(len(rows) - len(starts)), column.type)])
        merged.append(column)
    table = pa.RecordBatch.from_arrays([batch.column(0).take(pa.array(rows)), *merged], names=batch.schema.names)
    return table if len(rows) == len(starts) else table.take(pa.array(np.argsort(rows, kind="stable")))


def _reduced(column: pa.Array, starts: Any, how: str) -> pa.Array:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        table = pa.table({"group": _groups(starts, len(column)), "value": column}).group_by("group", use_threads=False)
        return _one(pc.cast(table.aggregate([("value", how)]).column(f"value_{how}"), column.type))
    reduce = getattr(np, _REDUCEAT[how])
    return pa.array(reduce.reduceat(column.to_numpy(), starts), column.type)


def _groups(starts: Any, rows: int) -> Any:
    """For each row the number of its group."""
    import numpy as np

    return np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(np.append(starts, rows)))


class _ExactSums(NamedTuple):
    columns: list[pa.Array]  # high and low: of each group, then the further rows
    more_of: Any  # the groups of those


def _exact_sums(columns: list[pa.Array], starts: Any) -> _ExactSums:
    """Sums of floats by group; null where all of a group's are."""
    import numpy as np
    import pyarrow as pa

    from mapreduce.kernels.exact_totals import ExactTotals
    from mapreduce.kernels.load import kernels_of

    groups = _groups(starts, len(columns[0]))
    high, low = (column.to_numpy(zero_copy_only=False) for column in columns)
    known = None
    if columns[0].null_count:
        valid = columns[0].is_valid().to_numpy(zero_copy_only=False)
        known = np.logical_or.reduceat(valid, starts)
        groups, high, low = groups[valid], high[valid], low[valid]
    totals = ExactTotals(kernels_of("groups"))
    totals.add(groups, high, len(starts))
    totals.add(groups, low, len(starts))
    sums = totals.take(len(starts))
    more = len(sums.more_of)
    mask = None if known is None else np.append(~known, np.zeros(more, bool))
    columns = [
        pa.array(np.append(sums.high, sums.more_high) if more else sums.high, mask=mask),
        pa.array(np.append(sums.low, sums.more_low) if more else sums.low),
    ]
    return _ExactSums(columns, sums.more_of)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

"""What does a reduce task do? Merge one partition of all segments, reduce it key by key, write it as a part.

```text
segment of map 0 --\\
segment of map 1 ---+--> merge by key --> reduce(key, values) --> part file
segment of map 2 --/
```

Nothing here holds a partition, or the values of a key: pairs stream from the segments through `reduce` to the part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mapreduce.dataflow.attempt import Attempt, ReduceSpec
from mapreduce.dataflow.batches import ColumnBatch
from mapreduce.dataflow.mapped import own_words, shorten
from mapreduce.dataflow.merge import Run, group_pairs, merge_pairs, merge_rows
from mapreduce.dataflow.merge_columns import merge_batches, merge_partials
from mapreduce.dataflow.monitor import InHand
from mapreduce.dataflow.output import PartWriter
from mapreduce.dataflow.reduction import Reduction, reduction_of
from mapreduce.dataflow.results import Output
from mapreduce.dataflow.spill import open_runs
from mapreduce.errors import OutputLostError
from mapreduce.reducers.base import Monoid


def run(attempt: Attempt, spec: ReduceSpec) -> Output:
    """Merge, reduce and write one partition; the output is a folder of part files."""
    reduction = reduction_of(attempt.job)
    writer = PartWriter(attempt)
    try:
        try:
            runs = open_runs(attempt, spec, reduction)
            _write(attempt, reduction, runs, writer)
        except OutputLostError as error:
            error.tasks = tuple(
                task for task, path in zip(spec.tasks, spec.segments, strict=True) if error.path in (None, path)
            )
            raise
        return writer.close()
    except BaseException:
        writer.abort()
        raise


def _write(attempt: Attempt, reduction: Reduction, runs: Sequence[Run], writer: PartWriter) -> None:
    if hasattr(attempt.job, "reduce_stream"):
        writer.write_pairs(attempt.job.reduce_stream(_counted(attempt, merge_pairs(runs, reduction.value_order))))
    elif reduction.monoid is not None:
        _write_partials(attempt, reduction.monoid, runs, writer)
    elif reduction.passes_pairs:
        _write_passed(attempt, reduction, runs, writer)
    else:
        assert reduction.reduce_group is not None
        pairs = _counted(attempt, merge_pairs(runs, reduction.value_order))
        writer.write_pairs(_reduced(attempt, pairs, reduction.reduce_group))


def _counted(attempt: Attempt, pairs: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """The same pairs; now and then the attempt shows progress and sees whether it was cancelled."""
    monitor = attempt.monitor
    number = 0
    monitor.within = lambda: number
    while True:
        number = 0
        for pair in pairs:
            yield pair
            number += 1
            if number == 10_000:
                break
        monitor.records_in += number
        monitor.check()
        if number < 10_000:
            return


def _reduced(
    attempt: Attempt, pairs: Iterator[tuple[Any, Any]], reduce: Callable[[Any, Iterator[Any]], Any]
) -> Iterator[Any]:
    key: Any = None
    monitor = attempt.monitor
    monitor.in_hand = lambda: InHand(f"key {shorten(key)}")
    try:
        for key, values in group_pairs(pairs):
            yield from reduce(key, values)
            monitor.steps += 1
        monitor.in_hand = None
    except OutputLostError:
        raise
    except Exception as error:
        attempt.monitor.record = f"key {shorten(key)}"
        raised = own_words(error, f"{type(attempt.job).__name__}.reduce")
        raise raised from raised.__cause__


def _write_partials(attempt: Attempt, monoid: Monoid, runs: Sequence[Run], writer: PartWriter) -> None:
    """Merge the partials of a named reducer, and show what each key's partial means."""
    for batch in merge_partials(runs, monoid):
        attempt.monitor.check()
        attempt.monitor.records_in += len(batch)
        if isinstance(batch, ColumnBatch):
            writer.write_columns(*finished(batch, monoid))
        else:
            writer.write_pairs(zip(batch.keys, map(monoid.finish, batch.values), strict=True))


def finished(batch: ColumnBatch, monoid: Monoid) -> tuple[Any, Any]:
    """Keys and what their partials mean. Rows of one key stand side by side."""
    keys, *columns = batch.table.columns
    if len(columns) == len(monoid.aggregates):
        return keys, monoid.finish_columns(columns)
    from mapreduce.dataflow.group_columns import starts_of_keys

    starts = starts_of_keys(keys)
    return keys if len(starts) == len(keys) else keys.take(starts), monoid.finish_sums(columns, starts)


def _write_passed(attempt: Attempt, reduction: Reduction, runs: Sequence[Run], writer: PartWriter) -> None:
    """Pairs that are only sorted."""
    by_value = reduction.value_order is not None
    for batch in merge_rows(runs, reduction.value_order) if by_value else merge_batches(runs):
        attempt.monitor.check()
        attempt.monitor.records_in += len(batch)
        if isinstance(batch, ColumnBatch):
            writer.write_columns(*batch.table.columns)
        else:
            writer.write_pairs(zip(batch.keys, batch.values, strict=True))

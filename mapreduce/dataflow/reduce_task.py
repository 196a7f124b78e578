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
from itertools import chain, groupby
from typing import Any

from mapreduce.dataflow.attempt import Attempt, ReduceSpec
from mapreduce.dataflow.batches import Batch, ColumnBatch
from mapreduce.dataflow.mapped import own_words, shorten
from mapreduce.dataflow.merge import Run, group_pairs, merge_pairs
from mapreduce.dataflow.output import PartWriter
from mapreduce.dataflow.reduction import Reduction, reduction_of
from mapreduce.dataflow.results import Output
from mapreduce.dataflow.spill import open_runs
from mapreduce.errors import OutputLostError
from mapreduce.reducers import Monoid

COLUMNS_FROM_BYTES = 32 << 20
"""Input of a job from which partials made by row are merged as columns: below, loading Arrow costs more than it saves."""


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
    try:
        for key, values in group_pairs(pairs):
            yield from reduce(key, values)
    except OutputLostError:
        raise
    except Exception as error:
        attempt.monitor.record = f"key {shorten(key)}"
        raised = own_words(error, f"{type(attempt.job).__name__}.reduce")
        raise raised from raised.__cause__


def _write_partials(attempt: Attempt, monoid: Monoid, runs: Sequence[Run], writer: PartWriter) -> None:
    """Merge the partials of a named reducer: as columns where they have such a form and it pays, else by row."""
    heads = [_peeked(run) for run in runs]
    present = [(first, run) for first, run in heads if first is not None]
    if not present:
        return
    already = any(isinstance(first, ColumnBatch) for first, _ in present)
    if monoid.aggregates and (already or attempt.context.input_bytes >= COLUMNS_FROM_BYTES):
        from mapreduce.dataflow.reduce_columns import write_columns

        if write_columns(attempt, monoid, [run for _, run in present], writer):
            return
    pairs = _counted(attempt, merge_pairs([run for _, run in present]))
    writer.write_pairs(_merged(pairs, monoid))


def _peeked(run: Run) -> tuple[Batch | None, Run]:
    """A run's first batch, and the run with that batch still in it."""
    first = next(run, None)
    return first, run if first is None else chain((first,), run)


def _merged(pairs: Iterator[tuple[Any, Any]], monoid: Monoid) -> Iterator[tuple[Any, Any]]:
    merge, finish = monoid.merge, monoid.finish
    for key, group in groupby(pairs, key=lambda pair: pair[0]):
        partial = next(group)[1]
        for _, other in group:
            partial = merge(partial, other)
        yield key, finish(partial)


def _write_passed(attempt: Attempt, reduction: Reduction, runs: Sequence[Run], writer: PartWriter) -> None:
    """Pairs that are only sorted."""
    from mapreduce.dataflow.merge import merge_rows

    for batch in merge_rows(runs, reduction.value_order):
        writer.write_pairs(zip(batch.keys, batch.values, strict=True))
        attempt.monitor.records_in += len(batch)
        attempt.monitor.check()

"""What is one attempt asked to do? A spec, and the function that carries it out.

Specs are plain values that the tracker's side makes and a worker of any engine runs. An attempt reads its inputs,
writes files that nobody else sees until they are committed, and returns an AttemptResult.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mapreduce.counters import Counters
from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.package import JobContext
from mapreduce.dataflow.results import AttemptResult, Output, TaskStats
from mapreduce.formats.base import Split
from mapreduce.ids import AttemptId, TaskId
from mapreduce.storage.traffic import take_noted, with_moved

if TYPE_CHECKING:
    from mapreduce.dataflow.partition import Cuts


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """Map the first blocks of a split and return a sample of its keys."""

    split: Split


@dataclass(frozen=True, slots=True)
class MapSpec:
    """Map a split into a segment file (or, in a map-only job, into a part). `cuts` range-partition sorted output."""

    split: Split
    cuts: Cuts | None = None


@dataclass(frozen=True, slots=True)
class ReduceSpec:
    """Merge one partition of all segments and reduce it into a part. `checksums` are those that were reported."""

    partition: int
    tasks: tuple[TaskId, ...]
    segments: tuple[str, ...]
    checksums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FoldMapSpec:
    """Map a split's blocks and reduce their partials in the block tree."""

    split: Split


@dataclass(frozen=True, slots=True)
class FoldReduceSpec:
    """Reduce consecutive partials in the fixed tree; the last one also finishes."""

    tasks: tuple[TaskId, ...]
    partials: tuple[Output, ...]
    last: bool


Spec = SampleSpec | MapSpec | ReduceSpec | FoldMapSpec | FoldReduceSpec


@dataclass(slots=True)
class Attempt:
    """All that a task body is given."""

    context: JobContext
    id: AttemptId
    job: Any  # this attempt's own copy
    monitor: Monitor


def run_attempt(context: JobContext, attempt_id: AttemptId, spec: Spec, monitor: Monitor) -> AttemptResult:
    """Run one attempt to its end. Raises what the task raises; `monitor` then tells the record and its place."""
    started, cpu_started = time.perf_counter(), time.process_time()
    job = context.fresh_job()
    attempt = Attempt(context, attempt_id, job, monitor)
    body = body_of(spec)
    job.setup()
    try:
        output = body(attempt, spec)
    finally:
        job.teardown()
    stats = TaskStats(
        bytes_in=monitor.bytes_in,
        records_in=monitor.records_in,
        records_out=monitor.records_out,
        bytes_out=output.bytes,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        peak_memory_bytes=peak_memory_bytes(),
        spills=monitor.spills,
    )
    counters = dict(job._counters or Counters())
    moved = take_noted()
    return AttemptResult(output, with_moved(counters, moved) if moved else counters, stats)


def peak_memory_bytes() -> int:
    """The most memory that this process ever held, as the system counts it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def body_of(spec: Any) -> Callable[[Attempt, Any], Output]:
    """The function that carries out a spec. One with a method `run` does so itself: engines wrap specs in such."""
    if hasattr(spec, "run"):
        return lambda attempt, spec: spec.run(attempt)
    # Imported when used: a fold needs nothing of the shuffle, a map nothing of the merge.
    if isinstance(spec, FoldMapSpec | FoldReduceSpec):
        from mapreduce.dataflow import fold_task

        return fold_task.run_map if isinstance(spec, FoldMapSpec) else fold_task.run_reduce
    if isinstance(spec, ReduceSpec):
        from mapreduce.dataflow import reduce_task

        return reduce_task.run
    from mapreduce.dataflow import map_task

    return map_task.run_sample if isinstance(spec, SampleSpec) else map_task.run

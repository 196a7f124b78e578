"""How is one attempt run? By the function that carries out its spec.

It reads its inputs, writes files that nobody else sees until they are committed, and returns an AttemptResult.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from mapreduce.counters import Counters
from mapreduce.dataflow.attempt import Attempt, FoldMapSpec, FoldReduceSpec, ReduceSpec, SampleSpec, Spec
from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.package import JobContext
from mapreduce.dataflow.results import AttemptResult, Output, TaskStats
from mapreduce.ids import AttemptId
from mapreduce.storage.traffic import take_noted, with_moved


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

"""How does an attempt make do with less memory, and still give the same answer?

After an attempt had too little memory the next one is frugal. It has its worker alone, and first gives back whatever
memory lies unused there. That never changes the answer.

Smaller buffers may: they cut the pairs into other runs, and where runs are combined, results may round differently. So
only a task whose pairs lie in one buffer, and are never combined or combined exactly, gets them: then smaller runs hold
the same pairs in the same order, and merges of fewer runs at a time give them in the same order. Sums are exact for
numbers, which is known only when the values are seen: at one that is none (a matrix, say) such an attempt begins anew,
with whole buffers. Blocks stay as they are: a fold's partials are sums of blocks, formats may infer types by block, and
1 MiB of input is not what fills a worker.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from mapreduce.dataclass import dataclass, replace
from mapreduce.dataflow.attempt import Attempt, ReduceSpec
from mapreduce.dataflow.package import RESERVED_BYTES
from mapreduce.dataflow.results import Output
from mapreduce.dataflow.run_attempt import body_of
from mapreduce.job import Fold
from mapreduce.reducers.base import InexactError, Monoid

SHARE = 4
"""A frugal attempt's buffers are so many times smaller: what grew by a quarter of the worker's memory beyond what was
reckoned then fits, and runs are still large enough to be merged at once."""

LINE_FORMATS = frozenset(("tsv", "csv", "jsonl", "text"))
"""Outputs whose bytes don't show how their pairs came in batches. The row groups of Parquet do."""


@dataclass(frozen=True, slots=True)
class Frugal:
    """A spec that is carried out with little memory."""

    spec: Any

    def run(self, attempt: Attempt) -> Output:
        """The other spec's body."""
        give_back_memory()
        if not may_shrink(attempt, self.spec):
            return body_of(self.spec)(attempt, self.spec)
        job, context = attempt.job, attempt.context
        if isinstance(job.reduce, Monoid):
            job.reduce = job.reduce.exactly()
        short = RESERVED_BYTES + max(0, context.settings.memory_bytes - RESERVED_BYTES) // SHARE
        settings = replace(context.settings, memory_bytes=max(LEAST_BYTES, short))
        attempt.context = replace(context, settings=settings)
        try:
            return body_of(self.spec)(attempt, self.spec)
        except InexactError:
            attempt.context = context
            return self._run_anew(attempt)

    def _run_anew(self, attempt: Attempt) -> Output:
        """With a job that has seen nothing yet. What it counts is the attempt's."""
        given, attempt.job = attempt.job, attempt.context.fresh_job()
        monitor = attempt.monitor
        monitor.bytes_in = monitor.records_in = monitor.records_out = monitor.spills = 0
        give_back_memory()
        attempt.job.setup()
        try:
            return body_of(self.spec)(attempt, self.spec)
        finally:
            attempt.job.teardown()
            given._counters = attempt.job._counters


LEAST_BYTES = 128 * 10**6  # what settings accept


def may_shrink(attempt: Attempt, spec: Any) -> bool:
    """Whether the attempt's result is the same bits however its pairs are cut into runs."""
    job = attempt.job
    if hasattr(job, "map_block") and not isinstance(spec, ReduceSpec):
        return False  # a buffer for each type of column: which of them is full first decides the order of their runs
    if isinstance(job, Fold) or attempt.context.output_format not in LINE_FORMATS:
        return False
    if hasattr(job, "reduce_stream"):
        return not hasattr(job, "combine_stream")
    if job.reduce is None:
        return False  # it has no buffers
    from mapreduce.dataflow.reduction import reduction_of

    reduction = reduction_of(job)
    if reduction.monoid is not None:
        return reduction.monoid.exactly() is not None
    return reduction.combine is None and not reduction.drops_repeats


def give_back_memory() -> None:
    """Return to the system what this process holds and does not use."""
    gc.collect()
    give_back_freed()


def give_back_freed() -> None:
    """The same without looking for garbage. Safe in any thread."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    if sys.platform.startswith("linux"):
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)

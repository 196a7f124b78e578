"""What is one attempt asked to do? A spec: a plain value, which the tracker's side makes and any worker runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.package import JobContext
from mapreduce.dataflow.results import Output
from mapreduce.formats.base import Split
from mapreduce.ids import AttemptId, TaskId

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

"""What is each task of a job asked to do, and what does it mean to commit it?

The tracker knows tasks by number only. Here the numbers meet the job: map 7 is split 7, reduce 2 is partition 2 of all
segments. `JobWork` is what the driver calls on the tracker's commands; it holds no state but the sampled cuts
and how many records were skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.attempt import FoldMapSpec, FoldReduceSpec, MapSpec, ReduceSpec, SampleSpec, Spec
from mapreduce.dataflow.output import commit_part, discard
from mapreduce.dataflow.package import JobContext, load_value
from mapreduce.dataflow.results import AttemptResult, Output
from mapreduce.formats.base import Split
from mapreduce.ids import AttemptId, TaskId
from mapreduce.job import Fold

if TYPE_CHECKING:
    from mapreduce.dataflow.skip_account import SkipAccount

MAX_SAMPLED_SPLITS = 32


def is_map_only(job: Any) -> bool:
    """True if the job's mapped pairs are its output."""
    return not isinstance(job, Fold) and job.reduce is None and not hasattr(job, "reduce_stream")


def choose_sampled(splits: Sequence[Split]) -> list[int]:
    """Numbers of the splits to sample: all of a few, else 32 evenly spaced ones."""
    step = max(1, -(-len(splits) // MAX_SAMPLED_SPLITS))
    return list(range(0, len(splits), step))


class JobWork:
    """Specs, commits and discards of one job's tasks."""

    def __init__(self, context: JobContext, splits: Sequence[Split], stages: Sequence[str]) -> None:
        self.context = context
        self.splits = splits
        self.sampled = choose_sampled(splits) if "sample" in stages else []
        self.map_stage = list(stages).index("map")
        self.last_stage = len(stages) - 1
        self.fold = isinstance(context.job, Fold)
        self.map_only = is_map_only(context.job)
        self.cuts: Any = None
        self.tell: Callable[[str], None] = lambda sentence: None  # what the summary is to say
        self.skips: SkipAccount | None = None
        if context.settings.skip_bad_records:
            from mapreduce.dataflow.skip_account import SkipAccount

            self.skips = SkipAccount(context, splits)

    def spec(self, attempt: AttemptId, outputs: Mapping[TaskId, Output]) -> Spec:
        """Describe the attempt. `outputs` are those of the tasks that it needs."""
        stage, index = attempt.task
        if stage < self.map_stage:
            return SampleSpec(self.splits[self.sampled[index]])
        if stage == self.map_stage:
            split = self.splits[index]
            return FoldMapSpec(split) if self.fold else MapSpec(split, self._cuts(outputs))
        tasks = tuple(sorted(outputs))
        if self.fold:
            return FoldReduceSpec(tasks, tuple(outputs[task] for task in tasks), stage == self.last_stage)
        segments = tuple(str(outputs[task].path) for task in tasks)
        return ReduceSpec(index, tasks, segments, tuple(outputs[task].checksum for task in tasks))

    def commit(self, attempt: AttemptId, output: Output) -> None:
        """Make the output of a last task final; outputs of earlier stages stay where they are. Harmless twice."""
        if self.skips is not None and attempt.task.stage == self.map_stage:
            self.skips.commit(attempt)
        if attempt.task.stage == self.last_stage and not self.fold:
            commit_part(self.context.root, output, attempt.task.index, self.context.suffix)

    def check(self, attempt: AttemptId, result: AttemptResult) -> None:
        """May the job go on, now that this attempt is committed? Raises JobError if too many records were skipped."""
        if self.skips is not None and attempt.task.stage == self.map_stage:
            note = self.skips.enter(attempt, result)
            if note:
                self.tell(note)

    def discard(self, attempt: AttemptId, output: Output) -> None:
        """Remove an output that nobody needs."""
        discard(self.context.root, output)
        if self.skips is not None:
            self.skips.discard(attempt)

    def sources(self) -> dict[int, list[tuple[str, ...]]]:
        """By stage that reads input: for each task, the hosts that have it. Empty where that is no matter."""
        hosts = [split.file.hosts for split in self.splits]
        if not any(hosts):
            return {}
        sampled = {0: [hosts[number] for number in self.sampled]} if self.map_stage else {}
        return {**sampled, self.map_stage: hosts}

    def _cuts(self, outputs: Mapping[TaskId, Output]) -> Any:
        if not self.sampled:
            return None
        if self.cuts is None:
            from mapreduce.dataflow.partition import choose_cuts

            self.cuts = choose_cuts(_sampled_keys(outputs), self.context.partitions)
        return self.cuts


def _sampled_keys(outputs: Mapping[TaskId, Output]) -> Iterator[Any]:
    for task in sorted(outputs):
        yield from load_value(outputs[task].inline or b"")

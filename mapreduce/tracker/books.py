"""What does the driver keep about a job while it runs? Committed outputs, counters, times and failures.

A task costs its committed output, some 300 bytes, and 4 bytes for its seconds; failures are bounded in number.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mapreduce.counters import Counters
from mapreduce.dataclass import dataclass, field, replace
from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output, TaskStats
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.storage.host_paths import split_path, with_host, without_host
from mapreduce.storage.traffic import Link, Links, Moved, add_links
from mapreduce.tracker.commands import Outcome, OutcomeKind
from mapreduce.tracker.outcome import FailureReport, JobOutcome, StageTimes
from mapreduce.tracker.plan import NeedsKind, Plan

MAX_FAILURES_KEPT = 100
_NOTHING: Mapping[TaskId, Output] = MappingProxyType({})


@dataclass(slots=True)
class _Totals:
    """Sums of TaskStats: what the first stages read of the input and the last one wrote; peak memory is a maximum."""

    bytes_in: int = 0
    records_in: int = 0
    records_out: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    spills: int = 0

    def add(self, stats: TaskStats, *, reads_input: bool, writes_output: bool) -> None:
        if reads_input:
            self.bytes_in += stats.bytes_in
            self.records_in += stats.records_in
        if writes_output:
            self.records_out += stats.records_out
            self.bytes_out += stats.bytes_out
        self.seconds += stats.seconds
        self.cpu_seconds += stats.cpu_seconds
        self.peak_memory_bytes = max(self.peak_memory_bytes, stats.peak_memory_bytes)
        self.spills += stats.spills

    def as_stats(self) -> TaskStats:
        return TaskStats(
            self.bytes_in,
            self.records_in,
            self.records_out,
            self.bytes_out,
            self.seconds,
            self.cpu_seconds,
            self.peak_memory_bytes,
            self.spills,
        )


@dataclass(slots=True)
class _Stage:
    """One stage's outputs and times."""

    name: str
    task_seconds: array[float]
    outputs: dict[TaskId, Output] = field(default_factory=dict)
    first_start: float = 0.0
    last_commit: float = 0.0


class Books:
    """Entries come from the driver in the order in which things happen."""

    def __init__(self, plan: Plan, started: float) -> None:
        self._plan = plan
        self._started = started
        self._stages = [_Stage(stage.name, array("f", bytes(4 * stage.tasks))) for stage in plan.stages]
        self._totals = _Totals()
        self._counters: dict[str, int] = {}
        self._counted: dict[TaskId, dict[str, int]] = {}  # counters of tasks that counted something
        self._failures: list[FailureReport] = []
        self._last_failure: FailureReport | None = None
        self._failed_attempts = 0
        self._lost_workers = 0
        self._backups: set[AttemptId] = set()
        self._backups_won = 0
        self._past_tasks = 0
        self._moved: dict[Link, Moved] = {}

    def needed(self, task: TaskId) -> Mapping[TaskId, Output]:
        """Committed outputs of the tasks that `task` needs, in their order where they are a group."""
        kind = self._plan.stages[task.stage].needs.kind
        if kind is NeedsKind.NONE:
            return _NOTHING
        outputs = self._stages[task.stage - 1].outputs
        if kind is NeedsKind.ALL:
            return MappingProxyType(outputs)
        return {needed: outputs[needed] for needed in self._plan.needs_of(task)}

    def outputs_at(self, host: str) -> dict[TaskId, str]:
        """Tasks whose committed output is on a host, and where it is besides; "" for nowhere."""
        return {
            task: without_host(output.path, host)
            for stage in self._stages
            for task, output in stage.outputs.items()
            if output.path is not None and host in output.path and host in split_path(output.path)[0]
        }

    def with_copy(self, task: TaskId, host: str) -> str:
        """Where the committed output of a task is if a copy is on this host, too; "" if there is none in a file."""
        output = self._stages[task.stage].outputs.get(task)
        return "" if output is None or output.path is None else with_host(output.path, host)

    def moved(self, task: TaskId, path: str) -> None:
        """The committed output of a task is there from now on."""
        outputs = self._stages[task.stage].outputs
        outputs[task] = replace(outputs[task], path=path)

    def attempt_started(self, attempt: AttemptId, time: float, *, backup: bool = False) -> None:
        if backup:
            self._backups.add(attempt)
        stage = self._stages[attempt.task.stage]
        if not stage.first_start:
            stage.first_start = time - self._started

    def committed(self, attempt: AttemptId, result: AttemptResult, time: float, *, past: bool = False) -> None:
        """An output counts. If it takes the place of one that was lost, so do its counters. What an output of the
        `past` cost was not spent by this run."""
        task = attempt.task
        if attempt in self._backups:
            self._backups_won += 1
        stage = self._stages[task.stage]
        again = task in stage.outputs  # the same input is read and the same output written, for more time
        stage.outputs[task] = result.output
        stats = result.stats
        if past:
            stats = replace(stats, seconds=0.0, cpu_seconds=0.0, peak_memory_bytes=0, spills=0)
        else:
            stage.last_commit = max(0.0, time - self._started)
        stage.task_seconds[task.index] = stats.seconds
        reads_input = stage.name == "map" and not again
        writes_output = task.stage == len(self._stages) - 1 and not again
        self._totals.add(stats, reads_input=reads_input, writes_output=writes_output)
        if task in self._counted:
            for name, amount in self._counted.pop(task).items():
                self._counters[name] -= amount
        if result.counters:
            self._counted[task] = result.counters
            for name, amount in result.counters.items():
                self._counters[name] = self._counters.get(name, 0) + amount

    def failed(self, attempt: AttemptId, worker: WorkerId, failure: Failure, time: float, verdict: str) -> None:
        name = self._plan.task_name(attempt.task)
        self._last_failure = FailureReport(name, attempt, worker, failure, time - self._started, verdict)
        self._failed_attempts += 1
        if len(self._failures) < MAX_FAILURES_KEPT:
            self._failures.append(self._last_failure)

    def worker_lost(self) -> None:
        self._lost_workers += 1

    def passed_on(self, links: Links) -> None:
        """What was passed on, besides what was told before."""
        self._moved = add_links(self._moved, links)

    def replayed(self, tasks: int) -> None:
        """So many tasks were done before this run began."""
        self._past_tasks = tasks

    def close(self, outcome: Outcome, time: float, notes: Sequence[str] = ()) -> JobOutcome:
        """The end of the job."""
        return JobOutcome(
            kind=outcome.kind,
            reason=outcome.reason,
            failure=self._decisive(outcome, time),
            failures=tuple(self._failures),
            failed_attempts=self._failed_attempts,
            lost_workers=self._lost_workers,
            counters=Counters({name: amount for name, amount in self._counters.items() if amount}),
            stats=self._totals.as_stats(),
            stages=tuple(
                StageTimes(stage.name, stage.first_start, stage.last_commit, stage.task_seconds)
                for stage in self._stages
            ),
            seconds=time - self._started,
            outputs=self._stages[-1].outputs,
            notes=tuple(notes),
            backups=len(self._backups),
            backups_won=self._backups_won,
            past_tasks=self._past_tasks,
            moved=self._moved,
        )

    def _decisive(self, outcome: Outcome, time: float) -> FailureReport | None:
        if outcome.kind is not OutcomeKind.FAILED:
            return None
        if outcome.failure is None:  # no worker is left
            failure = Failure(FailureKind.RESOURCE, "ResourceError", outcome.reason)
            return FailureReport("the job", AttemptId(TaskId(0, 0), 0), WorkerId(0), failure, time - self._started)
        last = self._last_failure
        if last is not None and last.attempt.task == outcome.task:  # it was noted a moment ago
            return last
        task = outcome.task or TaskId(0, 0)
        name = self._plan.task_name(task) if outcome.task else "the job"
        attempt = last.attempt if last is not None and last.attempt.task == task else AttemptId(task, 0)
        worker = last.worker if last is not None else WorkerId(0)
        return FailureReport(name, attempt, worker, outcome.failure, time - self._started)

"""How far is the job? What the driver tells its observers, added up into the figures that a person is shown.

`Progress` keeps the state and draws nothing; `lines.py` and `live.py` draw it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mapreduce.dataclass import dataclass, field
from mapreduce.dataflow.results import Failure
from mapreduce.errors import LostWorkerError, WorkerMemoryError
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.report.rates import Rate, seconds_left, share
from mapreduce.tracker.commands import Command, Commit, NoteFailure, StartAttempt
from mapreduce.tracker.events import (
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    Event,
    OutputLost,
    WorkerLost,
)
from mapreduce.tracker.executor import WorkerSample
from mapreduce.tracker.plan import Plan


@dataclass(slots=True)
class StageProgress:
    """One stage so far. `read_bytes` is all that its tasks will read, where that is known beforehand, else 0."""

    name: str
    tasks: int
    read_bytes: int = 0
    done: set[int] = field(default_factory=set)
    bytes_done: int = 0
    records_done: int = 0
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class StageFigures:
    """A stage at one moment, ready to be drawn."""

    name: str
    tasks: int
    done: int
    running: int
    fraction: float
    seconds: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The job at one moment, ready to be drawn. Rates are of input read by the stage at work."""

    seconds: float
    stages: tuple[StageFigures, ...]
    bytes_in: int
    records_in: int
    bytes_per_second: float
    records_per_second: float
    workers: tuple[WorkerSample, ...]
    failed_attempts: int
    lost_workers: int
    last_failure: str | None


class Progress:
    """Adds up events. Times are of the driver's clock; `figures` may be asked at any time not before the last event."""

    def __init__(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        self.plan = plan
        self.workers = workers
        self.started = time
        self.failed_attempts = 0
        self.lost_workers = 0
        self.last_failure: str | None = None
        self.failures: dict[TaskId, int] = {}  # of tasks that failed
        self.stages = [
            StageProgress(stage.name, stage.tasks, input_bytes if stage.name == "map" else 0) for stage in plan.stages
        ]
        self._running: dict[AttemptId, WorkerId] = {}
        self._samples: dict[WorkerId, WorkerSample] = {}
        self._byte_rate, self._record_rate = Rate(), Rate()
        self._rated_stage = 0

    def handle(self, event: Event, commands: Sequence[Command]) -> None:
        """What happened, then what the tracker wanted done about it."""
        match event:
            case AttemptFinished(attempt=attempt) | AttemptCancelled(attempt=attempt) | AttemptFailed(attempt=attempt):
                self._running.pop(attempt, None)
            case WorkerLost(worker=worker, reason=reason, withdrawn=withdrawn):
                self._samples.pop(worker, None)
                self._running = {attempt: at for attempt, at in self._running.items() if at != worker}
                if not withdrawn:
                    self.lost_workers += 1
                    self.last_failure = reason if reason.startswith("worker ") else f"worker {worker}: {reason}"
            case OutputLost(task=task):
                self.stages[task.stage].done.discard(task.index)
                self.stages[task.stage].ended = None
            case _:
                pass
        for command in commands:
            if isinstance(command, StartAttempt):
                self._start(command, event.time)
            elif isinstance(command, Commit):
                self._commit(command, event.time)
            elif isinstance(command, NoteFailure):
                self._fail(command, worker_lost=isinstance(event, WorkerLost))

    def sample(self, samples: Iterable[WorkerSample]) -> None:
        for sample in samples:
            self._samples[sample.worker] = sample

    @property
    def current_stage(self) -> int:
        """The first stage that is not done; the last one when all are."""
        for number, stage in enumerate(self.stages):
            if len(stage.done) < stage.tasks:
                return number
        return len(self.stages) - 1

    def task_name(self, task: TaskId) -> str:
        return self.plan.task_name(task)

    def figures(self, time: float) -> Figures:
        """The figures at `time`. Rates come from the times at which this is called: call it regularly."""
        number = self.current_stage
        bytes_in, records_in = self._read_by(number)
        if number != self._rated_stage:
            self._byte_rate, self._record_rate, self._rated_stage = Rate(), Rate(), number
        self._byte_rate.read(time, bytes_in)
        self._record_rate.read(time, records_in)
        return Figures(
            seconds=time - self.started,
            stages=tuple(self._stage_figures(index, time) for index in range(len(self.stages))),
            bytes_in=bytes_in,
            records_in=records_in,
            bytes_per_second=self._byte_rate.per_second,
            records_per_second=self._record_rate.per_second,
            workers=tuple(self._samples[worker] for worker in sorted(self._samples)),
            failed_attempts=self.failed_attempts,
            lost_workers=self.lost_workers,
            last_failure=self.last_failure,
        )

    def _start(self, command: StartAttempt, time: float) -> None:
        self._running[command.attempt] = command.worker
        stage = self.stages[command.attempt.task.stage]
        if stage.started is None:
            stage.started = time

    def _fail(self, command: NoteFailure, *, worker_lost: bool) -> None:
        task = command.attempt.task
        self.failed_attempts += 1
        self.failures[task] = self.failures.get(task, 0) + 1
        if not worker_lost:  # else how the worker was lost says more
            self.last_failure = f"{self.plan.task_name(task)}: {headline(command.failure)}"

    def _commit(self, command: Commit, time: float) -> None:
        task = command.attempt.task
        stage = self.stages[task.stage]
        stage.done.add(task.index)
        stage.bytes_done += command.result.stats.bytes_in
        stage.records_done += command.result.stats.records_in
        if len(stage.done) == stage.tasks:
            stage.ended = time

    def _read_by(self, number: int) -> tuple[int, int]:
        stage = self.stages[number]
        live = [sample for sample in self._samples.values() if self._is_at(sample, number)]
        return (
            stage.bytes_done + sum(sample.bytes_in for sample in live),
            stage.records_done + sum(sample.records_in for sample in live),
        )

    def _is_at(self, sample: WorkerSample, number: int) -> bool:
        """A sample of an attempt that has ended meanwhile must not be counted twice."""
        attempt = sample.attempt
        return attempt is not None and attempt in self._running and attempt.task.stage == number

    def _stage_figures(self, number: int, time: float) -> StageFigures:
        stage = self.stages[number]
        seconds = 0.0 if stage.started is None else (time if stage.ended is None else stage.ended) - stage.started
        fraction = share(len(stage.done), stage.tasks)
        if stage.read_bytes and fraction < 1.0:
            fraction = max(fraction, min(0.999, share(self._read_by(number)[0], stage.read_bytes)))
        return StageFigures(
            name=stage.name,
            tasks=stage.tasks,
            done=len(stage.done),
            running=sum(attempt.task.stage == number for attempt in self._running),
            fraction=fraction,
            seconds=seconds,
            seconds_left=seconds_left(fraction, seconds) if stage.started is not None else None,
        )


OUR_WORDS = (LostWorkerError.__name__, WorkerMemoryError.__name__)


def headline(failure: Failure) -> str:
    """A failure in one line: 'ValueError: not a number: x'; of a worker that died or stood still, what we say of it."""
    lines = failure.message.strip().splitlines()
    text = f"{failure.type_name}: {lines[0]}" if lines else failure.type_name
    if lines and failure.type_name in OUR_WORDS:
        text = lines[0]
    if len(lines) > 1 and text.endswith(":"):  # what a script said last
        text = f"{text} {lines[-1].strip()}"
    return text if len(text) <= 160 else text[:157] + "..."

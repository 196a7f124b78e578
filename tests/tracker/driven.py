"""A driver whose executor and clock are made up, so that nothing waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output, TaskStats
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.settings import Settings
from mapreduce.tracker.commands import Command
from mapreduce.tracker.driver import run_job
from mapreduce.tracker.events import Event
from mapreduce.tracker.executor import (
    Cancelled,
    Failed,
    Finished,
    Lost,
    Ready,
    Report,
    WorkerSample,
)
from mapreduce.tracker.observer import Observer
from mapreduce.tracker.outcome import JobOutcome
from mapreduce.tracker.plan import Plan

WRONG = Failure(FailureKind.USER, "ValueError", "wrong")


class Clock:
    """Moves when somebody waits."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


Behaviour = Callable[[AttemptId, WorkerId], Sequence[Report] | None]


class FakeExecutor:
    """Workers that do, at each wait, one attempt each; `behave` may say what happens instead of finishing."""

    runs_here = False

    def __init__(self, clock: Clock, workers: int = 2, behave: Behaviour = lambda attempt, worker: None) -> None:
        self.clock = clock
        self.queues: dict[WorkerId, deque[AttemptId]] = {WorkerId(number): deque() for number in range(workers)}
        self.behave = behave
        self.specs: dict[AttemptId, Any] = {}
        self.cancelled: list[AttemptId] = []
        self.reports: list[Report] = []
        self.waits: list[float] = []
        self.closed = 0

    def workers(self) -> list[WorkerId]:
        return list(self.queues)

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        self.specs[attempt] = spec
        self.queues[worker].append(attempt)

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        self.cancelled.append(attempt)
        if attempt in self.queues[worker]:  # else it is over
            self.queues[worker].remove(attempt)
            self.reports.append(Cancelled(worker, attempt))

    def wait(self, timeout_seconds: float) -> list[Report]:
        assert len(self.waits) < 1000, "the job does not end"
        self.waits.append(timeout_seconds)
        for worker, queue in list(self.queues.items()):
            if queue:
                self._run(queue[0], worker)
        self.clock.time += 0.01 if self.reports else timeout_seconds
        reports, self.reports = self.reports, []
        return reports

    def _run(self, attempt: AttemptId, worker: WorkerId) -> None:
        reports = self.behave(attempt, worker)
        reports = [Finished(worker, attempt, result_of(attempt))] if reports is None else reports
        for report in reports:
            if isinstance(report, Finished | Failed):
                self.queues[worker].popleft()
            elif isinstance(report, Lost):
                self.queues.pop(worker)
            elif isinstance(report, Ready):
                self.queues[report.worker] = deque()
        self.reports += reports

    def close(self) -> None:
        self.closed += 1


def result_of(attempt: AttemptId) -> AttemptResult:
    return AttemptResult(Output(path=str(attempt)), {"tasks": 1}, TaskStats(bytes_in=10, seconds=0.5))


class Work:
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.needed: dict[AttemptId, list[str | None]] = {}
        self.committed: list[TaskId] = []
        self.discarded: list[AttemptId] = []

    def spec(self, attempt: AttemptId, outputs: Mapping[TaskId, Output]) -> Any:
        self.needed[attempt] = [output.path for output in outputs.values()]
        return str(attempt)

    def commit(self, attempt: AttemptId, output: Output) -> None:
        self.committed.append(attempt.task)

    def discard(self, attempt: AttemptId, output: Output) -> None:
        self.discarded.append(attempt)


class Watcher(Observer):
    """Remembers everything."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.events: list[Event] = []
        self.samples: list[WorkerSample] = []
        self.text = ""

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        self.calls.append("started")

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        self.events.append(event)

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        self.samples += samples

    def logged(self, worker: WorkerId, attempt: AttemptId | None, text: str) -> None:
        self.text += text

    def finished(self, outcome: JobOutcome) -> None:
        self.calls.append(f"finished {outcome.kind.value}")


def once(behaviour: Behaviour) -> Behaviour:
    """The first attempt behaves so, all others finish."""
    first: list[AttemptId] = []

    def behave(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        if not first:
            first.append(attempt)
            return behaviour(attempt, worker)
        return None

    return behave


class Scene:
    """One job with made-up parts."""

    def __init__(self, behave: Behaviour = lambda attempt, worker: None, workers: int = 2) -> None:
        self.clock = Clock()
        self.executor = FakeExecutor(self.clock, workers, behave)
        self.work = Work()
        self.watcher = Watcher()
        self.journal: list[Event] = []
        self.synced = 0

    def run(self, plan: Plan, past: Sequence[Event] = (), settings: Settings | None = None) -> JobOutcome:
        return run_job(
            plan,
            self.work,
            self.executor,
            clock=self.clock,
            observer=self.watcher,
            journal=self,
            past=past,
            settings=settings,
        )

    def append(self, event: Event) -> None:
        self.journal.append(event)

    def sync(self) -> None:
        self.synced = len(self.journal)


def map_(index: int, number: int = 0) -> AttemptId:
    return AttemptId(TaskId(0, index), number)


class Memory:
    """A journal in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)

    def sync(self) -> None: ...

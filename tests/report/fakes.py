"""What do tests of reports need? A job's events, made by hand."""

from __future__ import annotations

from array import array

from mapreduce.counters import Counters
from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output, TaskStats
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.commands import Commit, NoteFailure, OutcomeKind, StartAttempt
from mapreduce.tracker.events import AttemptFailed, AttemptFinished, Tick
from mapreduce.tracker.executor import WorkerSample
from mapreduce.tracker.observer import Observer
from mapreduce.tracker.outcome import FailureReport, JobOutcome, StageTimes
from mapreduce.tracker.plan import Plan, plan_keyed

W0, W1 = WorkerId(0), WorkerId(1)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def attempt(stage: int, index: int, number: int = 0) -> AttemptId:
    return AttemptId(TaskId(stage, index), number)


def result(bytes_in: int = 50_000_000, records_in: int = 500_000) -> AttemptResult:
    return AttemptResult(Output(), {}, TaskStats(bytes_in=bytes_in, records_in=records_in))


def sample(worker: WorkerId, at: AttemptId | None, bytes_in: int = 0, task: str | None = None) -> WorkerSample:
    return WorkerSample(worker, 1, 120_000_000, 98.4, at, bytes_in, bytes_in // 100, task)


def plan() -> Plan:
    return plan_keyed(maps=2, reduces=1)


def start_maps(observer: Observer, time: float) -> None:
    observer.started(plan(), 100_000_000, 2, time)
    observer.handled(Tick(time), [StartAttempt(attempt(0, 0), W0), StartAttempt(attempt(0, 1), W1)])


def finish(observer: Observer, time: float, done: AttemptId, worker: WorkerId = W0) -> None:
    observer.handled(AttemptFinished(time, done, worker, result()), [Commit(done, result())])


def fail(observer: Observer, time: float, failed: AttemptId) -> None:
    observer.handled(AttemptFailed(time, failed, W0, user_failure()), [note(failed)])


def note(failed: AttemptId, failure: Failure | None = None) -> NoteFailure:
    return NoteFailure(failed, W0, failure or user_failure(), "run after a rest")


def user_failure() -> Failure:
    return Failure(FailureKind.USER, "ValueError", "not a number: x", place="a.txt, byte 10")


def outcome(kind: OutcomeKind = OutcomeKind.SUCCEEDED, seconds: float = 5.0) -> JobOutcome:
    """Two maps of 3 and 4 seconds side by side, then one reduce of half a second."""
    report = FailureReport("map 0", attempt(0, 0), W0, user_failure(), 0.7, "run after a rest")
    stats = TaskStats(100_000_000, 1_000_000, 20, 400, 7.5, 7.2, 150_000_000, 2)
    return JobOutcome(
        kind=kind,
        reason="",
        failure=None,
        failures=(report,),
        failed_attempts=1,
        lost_workers=0,
        counters=Counters({"bad lines": 1234}),
        stats=stats,
        stages=(
            StageTimes("map", 0.2, 4.2, array("d", [3.0, 4.0])),
            StageTimes("reduce", 4.3, 4.9, array("d", [0.5])),
        ),
        seconds=seconds,
    )

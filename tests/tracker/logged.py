"""A scene whose events go to an event log, as those of a real job do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mapreduce.counters import Counters
from mapreduce.dataflow.results import TaskStats
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.commands import OutcomeKind
from mapreduce.tracker.event_log import EventLog, InputPiece, JobDescription
from mapreduce.tracker.events import Event
from mapreduce.tracker.executor import WorkerSample
from mapreduce.tracker.outcome import JobOutcome
from mapreduce.tracker.plan import Plan
from tests.tracker.scene import Scene

START = 1_000.0  # of the driver's clock


def piece_of(task: TaskId) -> InputPiece | None:
    return InputPiece(f"in.txt, bytes {task.index}00 to {task.index + 1}00", 100) if task.stage == 0 else None


class LoggedScene(Scene):
    """Times in the log count from its beginning."""

    def __init__(self, plan: Plan, path: Path, **policy: Any) -> None:
        super().__init__(plan, **policy)
        self.time = START
        job = JobDescription("WordCount", "jobs", {"k": 5}, {"workers": 2}, 1, piece_of)
        self.log = EventLog(path, job, wall_clock=lambda: 1_700_000_000.25)
        self.log.started(plan, 200, 2, self.time)

    def tell(self, event: Event) -> list[str]:
        before = len(self.commands)
        said = super().tell(event)
        self.log.handled(event, self.commands[before:])
        return said

    def sample(self, worker: int, name: str | None = None, memory_bytes: int = 1_000) -> None:
        attempt: AttemptId | None = self.attempt(name) if name else None
        self.log.sampled([WorkerSample(WorkerId(worker), 40 + worker, memory_bytes, 99.6, attempt, 50, 5)])

    def end(self, kind: OutcomeKind = OutcomeKind.SUCCEEDED, reason: str = "") -> None:
        self.log.finished(
            JobOutcome(
                kind=kind,
                reason=reason,
                failure=None,
                failures=(),
                failed_attempts=len(self.notes),
                lost_workers=0,
                counters=Counters({"bad": 3}),
                stats=TaskStats(bytes_in=200, records_in=20, seconds=1.5, cpu_seconds=1.25),
                stages=(),
                seconds=self.time - START,
                notes=("reused nothing",),
            )
        )

"""A tracker, told what happens in words and answering in words, so that a test reads as a specification.

    scene = Scene(plan_keyed(2, 1))
    scene.joins(1)                == ["start map 0 on 1"]
    scene.finishes("map 0")       == ["commit map 0", "start map 1 on 1"]

An attempt is called by its task, and by its number if that is not 0: "map 0", "map 0#1".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.commands import (
    CancelAttempt,
    Command,
    Commit,
    Discard,
    FinishJob,
    NoteFailure,
    Relocate,
    StartAttempt,
)
from mapreduce.tracker.events import (
    AllWorkersGone,
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    AttemptProgressed,
    Event,
    OutputLost,
    OutputMoved,
    Stop,
    Tick,
    WorkerJoined,
    WorkerLost,
)
from mapreduce.tracker.plan import Plan
from mapreduce.tracker.policy import Policy
from mapreduce.tracker.tracker import Tracker


def result_of(attempt: AttemptId) -> AttemptResult:
    return AttemptResult(Output(path=str(attempt)))


class Scene:
    """One job on its way. `time` is in seconds; `now` lets some pass."""

    def __init__(self, plan: Plan, **policy: Any) -> None:
        self.plan = plan
        self.tracker = Tracker(plan, Policy(**policy))
        self.time = 0.0
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.notes: list[NoteFailure] = []  # told apart, so that other answers stay short
        self.where: dict[AttemptId, WorkerId] = {}

    def tell(self, event: Event) -> list[str]:
        self.events.append(event)
        commands = self.tracker.handle(event)
        self.commands += commands
        self.where.update({c.attempt: c.worker for c in commands if isinstance(c, StartAttempt)})
        self.notes += [command for command in commands if isinstance(command, NoteFailure)]
        return [self.words(command) for command in commands if not isinstance(command, NoteFailure)]

    def joins(self, *workers: int) -> list[str]:
        return [words for worker in workers for words in self.tell(WorkerJoined(self.time, WorkerId(worker)))]

    def finishes(self, *names: str) -> list[str]:
        said = []
        for attempt in map(self.attempt, names):
            said += self.tell(AttemptFinished(self.time, attempt, self.worker(attempt), result_of(attempt)))
        return said

    def fails(
        self,
        name: str,
        kind: FailureKind = FailureKind.USER,
        *,
        type_name: str = "ValueError",
        message: str = "seven",
        lost: tuple[str, ...] = (),
    ) -> list[str]:
        attempt = self.attempt(name)
        failure = Failure(kind, type_name, message, lost=tuple(map(self.task, lost)))
        return self.tell(AttemptFailed(self.time, attempt, self.worker(attempt), failure))

    def obeys(self, name: str) -> list[str]:
        attempt = self.attempt(name)
        return self.tell(AttemptCancelled(self.time, attempt, self.worker(attempt)))

    def progresses(self, name: str, work_done: int) -> list[str]:
        attempt = self.attempt(name)
        return self.tell(AttemptProgressed(self.time, attempt, self.worker(attempt), work_done))

    def loses(self, worker: int, reason: str = "killed by SIGKILL") -> list[str]:
        return self.tell(WorkerLost(self.time, WorkerId(worker), reason))

    def loses_output(self, name: str) -> list[str]:
        return self.tell(OutputLost(self.time, self.task(name)))

    def moves(self, name: str, path: str) -> list[str]:
        return self.tell(OutputMoved(self.time, self.attempt(name), path))

    def stops(self, reason: str = "interrupted") -> list[str]:
        return self.tell(Stop(self.time, reason))

    def runs_out_of_workers(self, reason: str) -> list[str]:
        return self.tell(AllWorkersGone(self.time, reason))

    def passes(self, seconds: float) -> list[str]:
        self.time += seconds
        return self.tell(Tick(self.time))

    def state(self, name: str) -> str:
        return self.tracker.task_state(self.task(name)).name

    def task(self, name: str) -> TaskId:
        stage_name, index = name.split("#")[0].rsplit(" ", 1)
        stage = [stage.name for stage in self.plan.stages].index(stage_name)
        return TaskId(stage, int(index))

    def attempt(self, name: str) -> AttemptId:
        return AttemptId(self.task(name), int(name.partition("#")[2] or 0))

    def worker(self, attempt: AttemptId) -> WorkerId:
        return self.where.get(attempt, WorkerId(0))

    def name(self, attempt: AttemptId) -> str:
        return self.plan.task_name(attempt.task) + (f"#{attempt.number}" if attempt.number else "")

    def words(self, command: Command) -> str:
        match command:
            case StartAttempt(attempt, worker):
                manner = " frugally" if command.frugal else ""
                return f"start {self.name(attempt)} on {worker}{manner}"
            case CancelAttempt(attempt, worker, reason):
                return f"cancel {self.name(attempt)} on {worker}: {reason}"
            case Commit(attempt, _):
                return f"commit {self.name(attempt)}"
            case Discard(attempt, _):
                return f"discard {self.name(attempt)}"
            case Relocate(attempt, path):
                return f"{self.name(attempt)} is at {path}"
            case NoteFailure(attempt, worker, failure, verdict):
                return f"{self.name(attempt)} failed on {worker}: {failure.kind.value}; {verdict}"
            case FinishJob(outcome):
                return f"{outcome.kind.value}: {outcome.reason}" if outcome.reason else outcome.kind.value


def replay(tracker: Tracker, events: Iterable[Event]) -> list[Command]:
    """Bring a new tracker to where the journal ends. Returns all its commands."""
    return [command for event in events for command in tracker.handle(event)]

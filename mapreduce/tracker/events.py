"""What can the tracker be told? Plain values, each with its time; the tracker has no other way to learn anything.

`time` is in seconds on any clock that does not run backwards. What an executor owes the tracker: every attempt that was
started ends in exactly one of AttemptFinished, AttemptFailed, AttemptCancelled, or WorkerLost of its worker. Reports
that come late, twice, or from a worker that was already given up are harmless.
"""

from __future__ import annotations

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.results import AttemptResult, Failure
from mapreduce.ids import AttemptId, TaskId, WorkerId


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker is ready for attempts: at the start, or in place of a lost one (with a new id). `pid` 0 is unknown;
    `host` has no name where there is only one."""

    time: float
    worker: WorkerId
    pid: int = 0
    host: str = ""


@dataclass(frozen=True, slots=True)
class AttemptProgressed:
    """A sign of life. `work_done` is any figure that grows with the work (bytes plus records); unchanged, it means
    that the attempt stands still, and the clock of its timeout goes on."""

    time: float
    attempt: AttemptId
    worker: WorkerId
    work_done: int


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """The attempt's output is complete, where `result.output` says, and not yet committed."""

    time: float
    attempt: AttemptId
    worker: WorkerId
    result: AttemptResult  # whole, not its output alone: after a crash the journal must give the counters back too


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The attempt ended without output; its worker lives and is free again."""

    time: float
    attempt: AttemptId
    worker: WorkerId
    failure: Failure


@dataclass(frozen=True, slots=True)
class AttemptCancelled:
    """The worker obeyed a CancelAttempt (or dropped the attempt from its queue) and has that slot free again."""

    time: float
    attempt: AttemptId
    worker: WorkerId


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The worker died or was given up; nothing more comes from it. `reason` names signal or exit code and memory,
    `place` the input that it was reading. `failure` is that of the attempt which it ran, if more is known of it. A
    worker that was `withdrawn` left by order: what it held runs elsewhere, and nobody is to blame."""

    time: float
    worker: WorkerId
    reason: str
    place: str | None = None
    failure: Failure | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class OutputLost:
    """The committed output of a task can no longer be read."""

    time: float
    task: TaskId


@dataclass(frozen=True, slots=True)
class OutputMoved:
    """The output of this attempt is at `path` from now on: on a further host, or on those that are left."""

    time: float
    attempt: AttemptId
    path: str


@dataclass(frozen=True, slots=True)
class AllWorkersGone:
    """No worker is left and none can be made any more."""

    time: float
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed. Rests after failures, timeouts and backups depend on ticks; `Tracker.wake_time` says by when."""

    time: float


@dataclass(frozen=True, slots=True)
class Stop:
    """The user wants the job to end: Ctrl-C, SIGTERM."""

    time: float
    reason: str


Event = (
    WorkerJoined
    | AttemptProgressed
    | AttemptFinished
    | AttemptFailed
    | AttemptCancelled
    | WorkerLost
    | OutputLost
    | OutputMoved
    | AllWorkersGone
    | Tick
    | Stop
)

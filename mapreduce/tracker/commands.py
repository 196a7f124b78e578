"""What can the tracker want done? Plain values, to be carried out in the order in which they are returned."""

from __future__ import annotations

from enum import Enum

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.results import AttemptResult, Failure, Output
from mapreduce.ids import AttemptId, TaskId, WorkerId


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Give the attempt to the worker; if the worker is busy it queues it. All that the task needs is committed.
    A `backup` runs beside another attempt of its task, which has fallen behind. A `frugal` one makes do with little
    memory: it has its worker alone, because an attempt before it had too little."""

    attempt: AttemptId
    worker: WorkerId
    backup: bool = False
    frugal: bool = False


@dataclass(frozen=True, slots=True)
class CancelAttempt:
    """Make the attempt end soon. It still owes a report, and a worker that does not obey within the executor's grace is
    killed and reported as WorkerLost: only so does a task that is stuck for good ever let go of its slot."""

    attempt: AttemptId
    worker: WorkerId
    reason: str


@dataclass(frozen=True, slots=True)
class Commit:
    """The attempt is the one whose output counts: make it final and add its counters. Twice must be harmless, because
    after a crash the journal gives the command again."""

    attempt: AttemptId
    result: AttemptResult


@dataclass(frozen=True, slots=True)
class Discard:
    """Another attempt of the task was first, or nobody needs the task any more: remove the output."""

    attempt: AttemptId
    output: Output


@dataclass(frozen=True, slots=True)
class Relocate:
    """The committed output is at `path` from now on: tasks that start later read it there."""

    attempt: AttemptId
    path: str


@dataclass(frozen=True, slots=True)
class NoteFailure:
    """For the books and the log: a wanted attempt ended without output, why, and what follows. Asks for no deed."""

    attempt: AttemptId
    worker: WorkerId
    failure: Failure
    verdict: str  # a value of recovery.Verdict


class OutcomeKind(Enum):
    """How a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the job ended and why. `reason` is a sentence for people, empty on success; `task` and `failure` say which
    attempt decided it, if one did."""

    kind: OutcomeKind
    reason: str = ""
    task: TaskId | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class FinishJob:
    """The job has ended. Comes exactly once; afterwards only Discard may follow, for reports that come late."""

    outcome: Outcome


Command = StartAttempt | CancelAttempt | Commit | Discard | Relocate | NoteFailure | FinishJob

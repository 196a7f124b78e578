"""How did a job go? What the driver hands back once the job has ended: figures and failures, no decisions."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from mapreduce.counters import Counters
from mapreduce.dataclass import dataclass, field
from mapreduce.dataflow.results import Failure, Output, TaskStats
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.storage.traffic import Links
from mapreduce.tracker.commands import OutcomeKind


@dataclass(frozen=True, slots=True)
class FailureReport:
    """One failed attempt. `seconds` is when, since the job's start; `verdict` what was done: 'run again', 'run after a
    rest' or 'give up'."""

    task_name: str
    attempt: AttemptId
    worker: WorkerId
    failure: Failure
    seconds: float
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class StageTimes:
    """When a stage ran, in seconds since the job's start, and how long each of its tasks took.

    `first_start` and `last_commit` are 0 for a stage that ran nothing. `task_seconds[i]` is the wall time of the
    committed attempt of task i as its worker measured it; 0 for one that an earlier run had finished.
    """

    name: str
    first_start: float
    last_commit: float
    task_seconds: array[float]


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """The end of a job: how and why, what it counted, and where the time went.

    `failures` holds the first failed attempts (at most 100 of `failed_attempts`); `failure` is the one that decided.
    `outputs` are the committed outputs of the last stage, by task. `notes` are further sentences for the summary: work
    that was reused, records that were skipped, faults that were inflicted. `backups_won` were faster than the attempt
    that they backed up. `moved` is what was passed on between processes, and by which ways.
    """

    kind: OutcomeKind
    reason: str
    failure: FailureReport | None
    failures: tuple[FailureReport, ...]
    failed_attempts: int
    lost_workers: int
    counters: Counters
    stats: TaskStats
    stages: tuple[StageTimes, ...]
    seconds: float
    outputs: Mapping[TaskId, Output] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    backups: int = 0
    backups_won: int = 0
    past_tasks: int = 0  # done before this run began, and not run again
    moved: Links = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return self.kind is OutcomeKind.SUCCEEDED

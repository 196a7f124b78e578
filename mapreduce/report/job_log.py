"""What is known of a job that ran? The values of an event log: runs, attempts, workers, samples, and the end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass

if TYPE_CHECKING:
    from mapreduce.report.passing import Passed


class AttemptState(Enum):
    """How an attempt ended, as far as the log tells."""

    FINISHED = "finished"  # its output counts
    DISCARDED = "discarded"  # finished, after another attempt of its task
    FAILED = "failed"
    CANCELLED = "cancelled"
    DROPPED = "dropped"  # never began: its worker was lost before
    RUNNING = "running"  # when the log ends
    PAST = "past"  # finished by an earlier run, or its output was reused


@dataclass(frozen=True, slots=True)
class AttemptFigures:
    """What an attempt, or all of them, read, wrote and cost. Zeros for what did not finish."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    bytes_in: int = 0
    records_in: int = 0
    bytes_out: int = 0
    records_out: int = 0
    memory_bytes: int = 0  # of its process, at the peak
    spills: int = 0


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """Why an attempt failed, and what was done: `then` is 'run again', 'run after a rest' or 'give up'."""

    kind: str
    type_name: str
    message: str
    then: str
    place: str = ""
    record: str = ""
    exit_code: int | None = None  # below 0: the signal that ended its process
    memory_bytes: int = 0
    limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt. Times in seconds since the run began: `given` to its worker, `start` and `end` of its work.

    When it began is not told, it is reckoned: an attempt begins when it has been given and its worker is free, and what
    finished took the seconds that its worker measured. One that never began has `start == end`.
    """

    task: str
    stage: int
    index: int
    number: int
    worker: int
    given: float
    start: float
    end: float
    state: AttemptState = AttemptState.RUNNING
    backup: bool = False
    input: str = ""
    input_bytes: int = 0
    figures: AttemptFigures = AttemptFigures()
    failure: FailureRecord | None = None
    why: str = ""  # it was cancelled

    @property
    def began(self) -> bool:
        return self.end > self.start or self.state is AttemptState.FINISHED


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One worker. `lost` is when it died or was given up, None if it did not; `pid` 0 is unknown."""

    worker: int
    joined: float
    pid: int = 0
    lost: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """A look at a worker, at so many seconds: memory in bytes, CPU in percent of a core, and what it had read."""

    seconds: float
    worker: int
    memory_bytes: int
    cpu_percent: float
    task: str = ""
    bytes_in: int = 0
    records_in: int = 0


@dataclass(frozen=True, slots=True)
class LostOutput:
    """A task's output was gone, and it ran again."""

    seconds: float
    task: str


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A stage of the plan: `needs` is 'none', 'all' or 'groups' (of `fan_in`), as in `tracker.plan.NeedsKind`."""

    name: str
    tasks: int
    needs: str = "none"
    fan_in: int = 0


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended."""

    seconds: float
    outcome: str  # succeeded, failed, stopped
    reason: str
    failed_attempts: int
    lost_workers: int
    backups: int
    backups_won: int
    past_tasks: int
    counters: Mapping[str, int]
    totals: AttemptFigures
    notes: tuple[str, ...]
    passed: tuple[Passed, ...] = ()


@dataclass(frozen=True, slots=True)
class RunHead:
    """What a run says of itself at its begin. `at` is in seconds since 1970."""

    number: int
    at: float
    version: str
    job: str
    module: str
    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    stages: tuple[StageRecord, ...]
    workers: int
    cpus: int
    host: str
    pid: int
    input_bytes: int
    input_files: int


@dataclass(frozen=True, slots=True)
class RunLog:
    """One run: a section of the log. `attempts` in the order in which they were given to workers, those of earlier runs
    first; `end` is None if the run was killed. `seconds` is how long it lasted, or until its last line."""

    head: RunHead
    attempts: tuple[AttemptRecord, ...]
    workers: tuple[WorkerRecord, ...]
    samples: tuple[SampleRecord, ...]
    lost_outputs: tuple[LostOutput, ...]
    end: RunEnd | None
    seconds: float

    @property
    def outcome(self) -> str:
        """'succeeded', 'failed', 'stopped', or 'unfinished' where the log has no end."""
        return self.end.outcome if self.end is not None else "unfinished"

    @property
    def failed(self) -> tuple[AttemptRecord, ...]:
        """Attempts that failed."""
        return tuple(attempt for attempt in self.attempts if attempt.state is AttemptState.FAILED)

    def of_stage(self, stage: int) -> tuple[AttemptRecord, ...]:
        return tuple(attempt for attempt in self.attempts if attempt.stage == stage)


@dataclass(frozen=True, slots=True)
class JobLog:
    """All runs in a log, in order; at least one. `unreadable_lines` were damaged and are left out."""

    path: Path
    runs: tuple[RunLog, ...]
    unreadable_lines: int = 0

    @property
    def last(self) -> RunLog:
        return self.runs[-1]

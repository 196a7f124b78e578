"""What does the tracker's side need of whoever runs attempts, and what does it hear back?

This is the seam between deciding and doing: inline, local and later remote engines are each an `Executor`. An executor
owes one ending for every attempt that it was given: Finished, Failed, Cancelled, or Lost of its worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.results import AttemptResult, Failure
from mapreduce.ids import AttemptId, WorkerId


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker is ready for attempts; it never was before."""

    worker: WorkerId
    pid: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The attempt's output is complete, and not yet committed."""

    worker: WorkerId
    attempt: AttemptId
    result: AttemptResult


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt ended without output; the worker lives."""

    worker: WorkerId
    attempt: AttemptId
    failure: Failure


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The worker obeyed a cancel."""

    worker: WorkerId
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class WorkerSample:
    """A look at one worker: its memory, the share of a core that it used since the last look, and what it is at.

    `task` is the name of the running task, such as 'map 7'; an executor leaves it None and the driver fills it in.
    """

    worker: WorkerId
    pid: int
    memory_bytes: int
    cpu_percent: float
    attempt: AttemptId | None = None
    bytes_in: int = 0
    records_in: int = 0
    task: str | None = None
    steps: int = 0  # other signs of progress: batches merged, keys reduced


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign of life from a worker that is busy."""

    sample: WorkerSample


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker died or was given up. `running` is the attempt that it was at, if any, and `failure` how that
    ended, where more is known than the reason; those queued went with it. `withdrawn`: nothing went wrong, the worker
    is needed elsewhere."""

    worker: WorkerId
    reason: str
    running: AttemptId | None = None
    failure: Failure | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class LogLines:
    """Whole lines that a worker printed or logged, while `attempt` ran (None: between attempts)."""

    worker: WorkerId
    attempt: AttemptId | None
    text: str


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy of the attempt's output is on this host now."""

    attempt: AttemptId
    host: str


@dataclass(frozen=True, slots=True)
class OutputsGone:
    """A host is gone, and with it the outputs that were nowhere else. Comes after the Lost of its workers, so that
    nothing is started there meanwhile."""

    host: str


@dataclass(frozen=True, slots=True)
class NoWorkers:
    """No worker is left and none can be made."""

    reason: str


Report = Ready | Finished | Failed | Cancelled | Progress | Lost | LogLines | Copied | OutputsGone | NoWorkers


class Executor(Protocol):
    """Runs the attempts of one job. Only `wait` blocks."""

    @property
    def runs_here(self) -> bool:
        """Whether attempts run inside `wait`, in the caller's thread, which Ctrl-C must then reach."""
        ...

    def workers(self) -> Sequence[WorkerId]:
        """Those ready now. Others come later, as Ready reports."""
        ...

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        """Run the attempt on the worker, after what it has already. A dead worker, or a spec that can't be carried, is
        no error here: the next `wait` reports it."""
        ...

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        """End the attempt soon: a worker that does not obey is killed and reported as Lost. Harmless if it is over."""
        ...

    def wait(self, timeout_seconds: float) -> list[Report]:
        """What happened, in order; waits for something to happen, but not longer than that."""
        ...

    def close(self) -> None:
        """The job is over: leave no attempt of it running. A second call is harmless."""
        ...

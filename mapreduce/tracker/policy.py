"""Which figures steer the tracker's decisions, in which unit, and why these?"""

from __future__ import annotations

from dataclasses import dataclass

from mapreduce.errors import InternalError


@dataclass(frozen=True, slots=True)
class Policy:
    """Figures for the small policies in scheduling, recovery and speculation."""

    max_attempts: int = 4
    """Failed attempts that end the job. Hadoop's and Spark's default: three may be bad luck, four are not."""

    max_lost_inputs: int = 16
    """Attempts of one task that may fail for want of an input before such failures count like any other. Each had a
    map run again, so they are progress; but a file that is lost every time must end the job, not keep it for ever."""

    queue_depth: int = 2
    """Attempts a worker holds: one running, one queued, so that it never waits for the tracker. More would only bind
    tasks to a worker that may turn out slow."""

    first_rest_seconds: float = 0.1
    """Rest after a task's first failure; doubles with each. A hiccup has passed by then, and nobody notices."""

    longest_rest_seconds: float = 10.0

    avoid_seconds: float = 5.0
    """How long a ready task waits for a worker on which it has not failed yet, before it takes any."""

    timeout_seconds: float = 600.0
    """An attempt that made no progress for so long has failed. Hadoop's default."""

    backup_seconds: float = 60.0
    """A running attempt that made no progress for so long gets a backup, if a worker has nothing to do. A tenth of the
    timeout: a worker reports several times a second, so a minute of nothing is far outside of what work looks like."""

    def __post_init__(self) -> None:
        for name in ("max_attempts", "queue_depth", "timeout_seconds", "backup_seconds"):
            if getattr(self, name) <= 0:
                raise InternalError(f"policy {name} is {getattr(self, name)}; it must be above 0")

    @property
    def watch_seconds(self) -> float:
        """How often running attempts are looked at: a tenth of the patience, which is as exact as patience needs be."""
        return min(self.timeout_seconds, self.backup_seconds) / 10

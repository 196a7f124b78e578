"""Which figures steer the tracker's decisions, in which unit, and why these?"""

from __future__ import annotations

import math
from enum import Enum

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import InternalError
from mapreduce.settings import Settings


class Backups(Enum):
    """Which attempts get a second one beside them: see `speculation`."""

    STALLED = "stalled"  # that stand still, or whose worker says nothing: right on one host
    SLOW = "slow"  # those, and what is slower than most near the end of its stage: right on many
    OFF = "off"


REMOTE_QUEUE_DEPTH = 4
"""Of a worker on another host: one attempt running, one queued, and two on their way, for which messages must go there
and back, and several go together. Empty tasks: 4,450 a second with 3, 5,450 with 4, 5,650 with 6, each the median of
three runs in turns."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Figures for the small policies in scheduling, recovery and speculation."""

    max_attempts: int = 4
    """Failed attempts that end the job. Hadoop's and Spark's default: three may be bad luck, four are not."""

    max_lost_inputs: int = 16
    """Attempts of one task that may fail for want of an input before such failures count like any other. Each had a
    map run again, so they are progress; but a file that is lost every time must end the job, not keep it for ever."""

    forgiven_deaths: int = 0
    """Deaths of one task's workers that don't count against `max_attempts`, where bad records are skipped: each record
    that kills costs two, and they were not in vain."""

    queue_depth: int = 2
    """Attempts a worker holds: one running, one queued, so that it never waits for the tracker. More would only bind
    tasks to a worker that may turn out slow. Where the tracker is another process it takes REMOTE_QUEUE_DEPTH."""

    first_rest_seconds: float = 0.1
    """Rest after a task's first failure; doubles with each. A hiccup has passed by then, and nobody notices."""

    longest_rest_seconds: float = 10.0
    """The rest after a task's failures grows no longer than this: with few attempts allowed it is never reached, with
    many (an unreliable service that `map` calls) a task still gets its turn several times a minute."""

    avoid_seconds: float = 5.0
    """How long a ready task waits for a worker on which it has not failed yet, before it takes any. Longer than most
    tasks last, so that one usually comes free; short enough that a job of one healthy worker does not crawl."""

    timeout_seconds: float = 600.0
    """An attempt that made no progress for so long has failed. Hadoop's default. Progress is bytes and records read,
    batches merged and written, keys reduced. A single call of the job's code shows none while it works: one that
    honestly takes longer needs a longer timeout."""

    locality_seconds: float = 1.0
    """How long a host that has nothing left of its own waits before it takes work whose input lies on others. A task
    of the largest split lasts about as long, so a worker of the right host has come free by then, if there is one."""

    backups: Backups = Backups.STALLED

    backup_seconds: float = 60.0
    """A running attempt that made no progress for so long gets a backup, if a worker has nothing to do. A tenth of the
    timeout: a worker reports several times a second, so a minute of nothing is far outside of what work looks like."""

    silence_seconds: float = math.inf
    """A running attempt whose worker said nothing at all for so long gets a backup, too. A worker sends a sign of life
    five times a second, from a thread of its own, so it is stopped, starved, or in C code that keeps the interpreter to
    itself. Only where workers do send them: the driver sets it for those."""

    slow_share_done: float = 0.75
    """Backups of slow attempts begin when so much of their stage is done. Hadoop's and Spark's default: earlier a
    backup would take the place of a task that has not run at all, and the typical time is not known yet."""

    slow_factor: float = 1.5
    """An attempt is slow when it has run so many times the median of its stage. Spark's default: half again as long is
    more than tasks of equal splits differ by, and the backup still ends before a machine of half the speed would."""

    def __post_init__(self) -> None:
        for name in ("max_attempts", "queue_depth", "timeout_seconds", "backup_seconds", "silence_seconds"):
            if getattr(self, name) <= 0:
                raise InternalError(f"policy {name} is {getattr(self, name)}; it must be above 0")

    @property
    def watch_seconds(self) -> float:
        """How often running attempts are looked at: a tenth of the patience, which is as exact as patience needs be."""
        return min(self.timeout_seconds, self.backup_seconds, self.silence_seconds) / 10


SILENCE_SECONDS = 10.0
"""Fifty signs of life that did not come: a busy machine delays one or two of them."""

FORGIVEN_DEATHS = 16
"""Eight records of one task may kill two attempts each, before other deaths count. A task that dies of something else
is found out after twenty: some seconds."""


def policy_of(settings: Settings) -> Policy:
    """The tracker's figures from the user's."""
    policy = Policy(max_attempts=settings.max_attempts, timeout_seconds=settings.task_timeout_seconds)
    if settings.skip_bad_records:
        policy = replace(policy, forgiven_deaths=FORGIVEN_DEATHS)
    half = policy.timeout_seconds / 2
    return replace(policy, backup_seconds=min(policy.backup_seconds, half), silence_seconds=min(SILENCE_SECONDS, half))

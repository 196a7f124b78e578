"""Which attempt deserves a second one beside it?

The paper gives a backup to every task in progress when a job is close to its end, because on thousands of hosts some
are always slow. On one host that buys nothing: all workers share processors, disk and memory, so a task that is slow
because it is large is as slow the second time, and the backup takes from the first. It helps in two cases:

  stalled   An attempt that runs but made no progress for `backup_seconds` (a minute): a hung read, a process that was
            stopped, a host in trouble. Far below the timeout, which costs an attempt of the task's budget; a backup
            costs nothing but an idle worker.
  queued    An attempt that waits behind a long one while another worker has nothing to do. It is cancelled and started
            there: nothing is lost, it has not begun.

Both only when a worker is idle and no task is ready, and a task never has more than two attempts at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from mapreduce.tracker.policy import Policy
from mapreduce.tracker.slots import Attempt
from mapreduce.tracker.states import AttemptState


def is_stalled(attempt: Attempt, time: float, policy: Policy) -> bool:
    """Whether it runs and made no progress for longer than the patience for backups."""
    return attempt.state is AttemptState.RUNNING and time - attempt.progressed_at >= policy.backup_seconds


def has_timed_out(attempt: Attempt, time: float, policy: Policy) -> bool:
    """Whether it runs and made no progress for so long that it counts as failed. Waiting in a queue does not count."""
    return attempt.state is AttemptState.RUNNING and time - attempt.progressed_at >= policy.timeout_seconds


def choose_backups(attempts: Iterable[Attempt], time: float, policy: Policy) -> list[Attempt]:
    """The stalled attempts, the longest silent first."""
    stalled = [attempt for attempt in attempts if is_stalled(attempt, time, policy)]
    return sorted(stalled, key=lambda attempt: attempt.progressed_at)

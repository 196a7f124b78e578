"""Which attempt deserves a second one beside it?

The paper gives a backup to every task in progress when a job is close to its end, because on thousands of hosts some
are always slow. On one host that buys nothing: all workers share processors, disk and memory, so a task that is slow
because it is large is as slow the second time, and the backup takes from the first. `Policy.backups` chooses:

  stalled   An attempt that runs but made no progress for `backup_seconds` (a minute), or whose worker was silent for
            `silence_seconds`: a hung read, a process that was stopped, a host in trouble. Far below the timeout, which
            costs an attempt of the task's budget; a backup costs nothing but an idle worker.
  slow      The paper's: besides, near the end of a stage (`slow_share_done`), what has run longer than `slow_factor`
            times the median of the tasks that are done. The one that has run longest comes first.
  off       None.

Whatever is chosen, an attempt that waits behind a long one while another worker has nothing to do is cancelled and
started there: nothing is lost, it has not begun.

All only when a worker is idle and no task is ready, and a task never has more than two attempts at once.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence

from mapreduce.tracker.plan import Plan
from mapreduce.tracker.policy import Backups, Policy
from mapreduce.tracker.slots import Attempt
from mapreduce.tracker.states import AttemptState


def is_stalled(attempt: Attempt, time: float, policy: Policy) -> bool:
    """Whether it runs, and made no progress or said nothing for longer than the patience for backups."""
    if attempt.state is not AttemptState.RUNNING:
        return False
    return time - attempt.progressed_at >= policy.backup_seconds or time - attempt.heard_at >= policy.silence_seconds


def is_slow(attempt: Attempt, time: float, typical_seconds: float, policy: Policy) -> bool:
    """Whether it runs for much longer than is typical for its stage."""
    return attempt.state is AttemptState.RUNNING and time - attempt.began_at > policy.slow_factor * typical_seconds


def has_timed_out(attempt: Attempt, time: float, policy: Policy) -> bool:
    """Whether it runs and made no progress for so long that it counts as failed. Waiting in a queue does not count."""
    return attempt.state is AttemptState.RUNNING and time - attempt.progressed_at >= policy.timeout_seconds


def choose_backups(
    attempts: Iterable[Attempt],
    time: float,
    policy: Policy,
    typical_seconds: Callable[[int], float],
) -> list[Attempt]:
    """Those that deserve one: stalled attempts, the longest without progress first; then slow ones, the longest running
    first. `typical_seconds(stage)` is infinite while the stage is far from its end."""
    if policy.backups is Backups.OFF:
        return []
    stalled: list[Attempt] = []
    slow: list[Attempt] = []
    for attempt in attempts:
        if is_stalled(attempt, time, policy):
            stalled.append(attempt)
        elif policy.backups is Backups.SLOW and is_slow(attempt, time, typical_seconds(attempt.id.task.stage), policy):
            slow.append(attempt)
    stalled.sort(key=lambda attempt: attempt.progressed_at)
    slow.sort(key=lambda attempt: attempt.began_at)
    return stalled + slow


def typical_seconds(
    durations: Sequence[Durations], done: Callable[[int], int], plan: Plan, policy: Policy
) -> Callable[[int], float]:
    """By stage, how long a task usually takes; infinite for a stage that is far from its end. `durations` are those of
    its tasks that are `done`; needed where backups go to what is slow."""
    if policy.backups is not Backups.SLOW:
        return lambda _: math.inf
    seconds = [
        durations[number].median() if done(number) >= policy.slow_share_done * stage.tasks else math.inf
        for number, stage in enumerate(plan.stages)
    ]
    return seconds.__getitem__


class Durations:
    """How long the tasks of a stage took: a histogram, so that a million of them cost no more than ten.

    Classes grow by a twentieth, so the median is right within 5 %: much finer than the factor that it is used with.
    """

    __slots__ = ("_counts", "_number")

    SHORTEST_SECONDS = 1e-3
    GROWTH = 1.05
    CLASSES = 480  # up to half a year

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * self.CLASSES))
        self._number = 0

    def add(self, seconds: float) -> None:
        ratio = max(1.0, seconds / self.SHORTEST_SECONDS)
        self._counts[min(self.CLASSES - 1, int(math.log(ratio, self.GROWTH)))] += 1
        self._number += 1

    def median(self) -> float:
        """Upper bound of the class in which half of them lie; infinite of none."""
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if count and 2 * seen >= self._number:
                return self.SHORTEST_SECONDS * self.GROWTH ** (index + 1)
        return math.inf

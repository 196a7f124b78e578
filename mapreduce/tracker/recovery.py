"""A task failed: does it run again, when, and where not?

kind of failure                          counts against the budget     runs again
the job's code, silence for too long     yes                           after a rest that doubles
its worker died while it ran             yes: it may be what kills     at once: nobody needs a rest from a crash
too little memory                        yes                           after a rest, and frugally: alone on a worker
the same, where bad records are skipped  no, up to a bound             at once
its worker died while it was queued      no: it was not there          at once
an input's bytes are gone                no, up to a bound             when the input is back
bad input, bad call, no space, our bug   -                             never: the next attempt would meet the same
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from mapreduce.dataclass import dataclass, field
from mapreduce.dataflow.results import Failure, FailureKind
from mapreduce.ids import TaskId, WorkerId
from mapreduce.tracker.policy import Policy


class Verdict(Enum):
    """What follows from a failed attempt."""

    RUN_AGAIN = "run again"
    RUN_AFTER_REST = "run after a rest"
    GIVE_UP = "give up"


@dataclass(slots=True)
class Trouble:
    """What a task has been through. Only tasks that failed have one, and only until they are done."""

    failures: int = 0
    lost_inputs: int = 0
    forgiven: int = 0  # deaths that may each have found a record that kills
    needs_memory: bool = False  # had too little once: later attempts are frugal
    workers: set[WorkerId] = field(default_factory=set)  # on which it failed
    avoid_until: float = 0.0  # when it stops waiting for another worker


def needs_memory(troubles: Mapping[TaskId, Trouble], task: TaskId) -> bool:
    """Whether the task's attempts are to be frugal."""
    trouble = troubles.get(task)
    return trouble is not None and trouble.needs_memory


def judge(failure: Failure, trouble: Trouble, worker: WorkerId, policy: Policy) -> Verdict:
    """Enter the failure in the task's record and say what follows."""
    if failure.kind is FailureKind.OUTPUT_LOST and failure.lost and trouble.lost_inputs < policy.max_lost_inputs:
        trouble.lost_inputs += 1
        return Verdict.RUN_AGAIN
    trouble.workers.add(worker)
    trouble.needs_memory = trouble.needs_memory or failure.kind is FailureKind.MEMORY
    if failure.kind in DEATHS and trouble.forgiven < policy.forgiven_deaths:
        trouble.forgiven += 1
        return Verdict.RUN_AGAIN
    trouble.failures += 1
    if not failure.kind.retryable or trouble.failures >= policy.max_attempts:
        return Verdict.GIVE_UP
    return Verdict.RUN_AGAIN if failure.kind is FailureKind.LOST else Verdict.RUN_AFTER_REST


DEATHS = frozenset((FailureKind.LOST, FailureKind.MEMORY, FailureKind.TIMEOUT))
"""Ends after which the record in hand may be to blame, see `dataflow.skipping`."""


def rest_seconds(failures: int, policy: Policy) -> float:
    """How long a task rests after so many failures."""
    return min(policy.longest_rest_seconds, policy.first_rest_seconds * 2.0 ** (failures - 1))


def reason_to_give_up(task_name: str, failure: Failure, trouble: Trouble) -> str:
    """One sentence for the person: which task, how often, what it was."""
    what = f"{failure.type_name}: {failure.message}" if failure.message else failure.type_name
    if failure.kind is FailureKind.MEMORY:
        smaller = "more, smaller partitions with --reducers" if task_name.startswith("reduce") else SMALLER_SPLITS
        what = f"{what}; give workers more with --memory, or {smaller}"
    times = trouble.failures + trouble.forgiven
    if times <= 1:
        return f"{task_name} failed: {what}"
    return f"{task_name} failed {times} times; the last time: {what}"


def lost_failure(reason: str, place: str | None = None) -> Failure:
    """The failure of an attempt whose worker died while it ran."""
    return Failure(FailureKind.LOST, "LostWorkerError", f"its worker was lost: {reason}", place=place)


SMALLER_SPLITS = "smaller pieces with --split-size"

TIMED_OUT = "it made no progress"
"""Why an attempt is cancelled that has such a failure."""


def timeout_failure(policy: Policy) -> Failure:
    """The failure of an attempt that stood still."""
    rule = f"no progress for {policy.timeout_seconds:g} s; if its records take that long, set a longer task timeout"
    return Failure(FailureKind.TIMEOUT, "LostWorkerError", rule)

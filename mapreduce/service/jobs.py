"""Which states does a job of the service have, and what may follow what? The one table of it.

A job that the tracker's own end stopped is QUEUED again when the tracker is back, and goes on from its journal.
"""

from __future__ import annotations

from enum import Enum

from mapreduce.errors import InternalError


class JobState(Enum):
    """How a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"  # somebody killed it, and its process has not ended yet
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    KILLED = "killed"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = frozenset((JobState.SUCCEEDED, JobState.FAILED, JobState.KILLED))


class Cause(Enum):
    """Why a job's state changes."""

    STARTED = "its process was started"
    SUCCEEDED = "its process says so"
    FAILED = "its process says so, or died too often"
    DIED = "its process died without a word"
    KILL = "somebody asked for it"


JOB_TABLE = {
    (JobState.QUEUED, Cause.STARTED): JobState.RUNNING,
    (JobState.QUEUED, Cause.KILL): JobState.KILLED,
    (JobState.RUNNING, Cause.SUCCEEDED): JobState.SUCCEEDED,
    (JobState.RUNNING, Cause.FAILED): JobState.FAILED,
    (JobState.RUNNING, Cause.DIED): JobState.QUEUED,  # it goes on from its journal
    (JobState.RUNNING, Cause.KILL): JobState.STOPPING,
    (JobState.STOPPING, Cause.SUCCEEDED): JobState.SUCCEEDED,  # it was just done: its output is complete
    (JobState.STOPPING, Cause.FAILED): JobState.KILLED,
    (JobState.STOPPING, Cause.DIED): JobState.KILLED,
    (JobState.STOPPING, Cause.KILL): JobState.STOPPING,
}


def next_state(state: JobState, cause: Cause) -> JobState:
    """Raises InternalError for what the table doesn't know."""
    after = JOB_TABLE.get((state, cause))
    if after is None:
        raise InternalError(f"a job that is {state.value} can't follow {cause.name}; please report it")
    return after

"""What may happen to a task and to an attempt, and what may not?

    a task
                       INPUT_LOST                HELD_BACK
          WAITING <------------------- READY ---------------> RESTING
             `-----INPUTS_COMPLETE----> ^ | <-----REST_OVER----'
                                        | | ATTEMPT_STARTED
                      LAST_ATTEMPT_DIED | v
                                      RUNNING --BUDGET_SPENT--> FAILED
                                        |
                      ATTEMPT_COMMITTED v
                                       DONE --OUTPUT_LOST--> READY

    an attempt      QUEUED --TURN_CAME--> RUNNING --> COMMITTED, FAILED or LOST
                       `------CANCEL---------`------> CANCELLING --> CANCELLED, DISCARDED, ... or after all COMMITTED

All that is legal stands in the two tables below; anything else raises InternalError. A task's state is a byte of its
stage's bytearray, because a stage may have a million tasks; `task_row` gives the table in that form.
"""

from __future__ import annotations

from enum import Enum

from mapreduce.errors import InternalError


class _Key(Enum):
    """An Enum whose members hash by identity: a dictionary of them is as fast as one of strings."""

    __hash__ = object.__hash__


class TaskState(_Key):
    """Where a task stands. The value is the byte that a stage stores; its order means nothing."""

    WAITING = 0  # for tasks of the stage before
    READY = 1  # for a slot
    RESTING = 2  # after a failure
    RUNNING = 3  # at least one attempt is queued or running
    DONE = 4  # an output is committed
    FAILED = 5  # and the job with it


class TaskCause(_Key):
    """What moves a task."""

    INPUTS_COMPLETE = "inputs complete"
    INPUT_LOST = "input lost"
    ATTEMPT_STARTED = "attempt started"
    ATTEMPT_COMMITTED = "attempt committed"
    LAST_ATTEMPT_DIED = "last attempt died"
    HELD_BACK = "held back"
    REST_OVER = "rest over"
    BUDGET_SPENT = "budget spent"
    OUTPUT_LOST = "output lost"


_T, _C = TaskState, TaskCause

TASK_TABLE: dict[tuple[TaskState, TaskCause], TaskState] = {
    (_T.WAITING, _C.INPUTS_COMPLETE): _T.READY,
    (_T.WAITING, _C.ATTEMPT_COMMITTED): _T.DONE,  # replay, or an attempt that had read its input before it was lost
    (_T.READY, _C.ATTEMPT_STARTED): _T.RUNNING,
    (_T.READY, _C.HELD_BACK): _T.RESTING,
    (_T.READY, _C.INPUT_LOST): _T.WAITING,
    (_T.READY, _C.ATTEMPT_COMMITTED): _T.DONE,  # replay, or an attempt that finished before it could be cancelled
    (_T.RESTING, _C.REST_OVER): _T.READY,
    (_T.RESTING, _C.INPUT_LOST): _T.RESTING,  # whether it must wait is seen when it has rested
    (_T.RESTING, _C.INPUTS_COMPLETE): _T.RESTING,
    (_T.RESTING, _C.ATTEMPT_COMMITTED): _T.DONE,  # an attempt given up for its silence finished after all
    (_T.RUNNING, _C.ATTEMPT_STARTED): _T.RUNNING,  # a backup attempt
    (_T.RUNNING, _C.ATTEMPT_COMMITTED): _T.DONE,
    (_T.RUNNING, _C.LAST_ATTEMPT_DIED): _T.READY,
    (_T.RUNNING, _C.BUDGET_SPENT): _T.FAILED,
    (_T.RUNNING, _C.INPUT_LOST): _T.RUNNING,  # it may have read it already; if not, it fails and says so
    (_T.RUNNING, _C.INPUTS_COMPLETE): _T.RUNNING,
    (_T.DONE, _C.OUTPUT_LOST): _T.READY,  # its host died before every reduce had read it
    (_T.DONE, _C.INPUT_LOST): _T.DONE,  # has its output, needs its input no more
    (_T.DONE, _C.INPUTS_COMPLETE): _T.DONE,
}

ILLEGAL = 255


def task_row(cause: TaskCause) -> bytes:
    """The table for one cause: `row[state.value]` is the next state's value, or ILLEGAL. Fits `bytes.translate`."""
    row = bytearray([ILLEGAL]) * 256
    for (state, row_cause), after in TASK_TABLE.items():
        if row_cause is cause:
            row[state.value] = after.value
    return bytes(row)


def illegal_task_step(task_name: str, state: int, cause: TaskCause) -> InternalError:
    """The error for a step that is not in the table."""
    return InternalError(
        f"{task_name} is {TaskState(state).name}, where {cause.name} must not happen; please report it"
    )


class AttemptState(_Key):
    """Where an attempt stands. While one of the first three it holds a slot."""

    QUEUED = "queued"  # behind another attempt of its worker
    RUNNING = "running"
    CANCELLING = "cancelling"  # no longer wanted; its report is still owed
    COMMITTED = "committed"
    DISCARDED = "discarded"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"


class AttemptCause(_Key):
    """What moves an attempt."""

    TURN_CAME = "turn came"
    CANCEL = "cancel"
    FINISHED_FIRST = "finished first"
    FINISHED_LATER = "finished later"
    FAILED = "failed"
    WORKER_LOST = "worker lost"
    OBEYED = "obeyed"


_A, _E = AttemptState, AttemptCause

ATTEMPT_TABLE: dict[tuple[AttemptState, AttemptCause], AttemptState] = {
    (_A.QUEUED, _E.TURN_CAME): _A.RUNNING,
    (_A.QUEUED, _E.CANCEL): _A.CANCELLING,
    (_A.QUEUED, _E.FINISHED_FIRST): _A.COMMITTED,  # its report overtook the one of the attempt before it
    (_A.QUEUED, _E.FAILED): _A.FAILED,  # could not even be unpacked
    (_A.QUEUED, _E.WORKER_LOST): _A.LOST,
    (_A.RUNNING, _E.CANCEL): _A.CANCELLING,
    (_A.RUNNING, _E.FINISHED_FIRST): _A.COMMITTED,
    (_A.RUNNING, _E.FAILED): _A.FAILED,
    (_A.RUNNING, _E.WORKER_LOST): _A.LOST,
    (_A.CANCELLING, _E.OBEYED): _A.CANCELLED,
    (_A.CANCELLING, _E.FINISHED_FIRST): _A.COMMITTED,  # done before the order came, and still the first: a good output
    (_A.CANCELLING, _E.FINISHED_LATER): _A.DISCARDED,
    (_A.CANCELLING, _E.FAILED): _A.CANCELLED,  # how an unwanted attempt ends is nobody's concern
    (_A.CANCELLING, _E.WORKER_LOST): _A.CANCELLED,  # among others: it did not obey, so its worker was killed
}


def next_attempt_state(name: str, state: AttemptState, cause: AttemptCause) -> AttemptState:
    """The state after `cause`. Raises InternalError if the table has no such row."""
    after = ATTEMPT_TABLE.get((state, cause))
    if after is None:
        raise InternalError(f"attempt {name} is {state.name}, where {cause.name} must not happen; please report it")
    return after

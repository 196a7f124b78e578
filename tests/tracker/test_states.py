"""Are the tables whole: can every state be reached, and does everything else raise?"""

from __future__ import annotations

import pytest

from mapreduce.errors import InternalError
from mapreduce.tracker.states import (
    ATTEMPT_TABLE,
    ILLEGAL,
    TASK_TABLE,
    AttemptCause,
    AttemptState,
    TaskCause,
    TaskState,
    illegal_task_step,
    next_attempt_state,
    task_row,
)


def test_every_task_state_is_reached_and_only_failed_is_a_dead_end() -> None:
    assert set(TASK_TABLE.values()) == set(TaskState)
    assert {state for state in TaskState if all(row[0] is not state for row in TASK_TABLE)} == {TaskState.FAILED}


def test_every_cause_appears() -> None:
    assert {cause for _, cause in TASK_TABLE} == set(TaskCause)
    assert {cause for _, cause in ATTEMPT_TABLE} == set(AttemptCause)


def test_an_attempt_ends_once() -> None:
    live = {AttemptState.QUEUED, AttemptState.RUNNING, AttemptState.CANCELLING}
    assert {state for state, _ in ATTEMPT_TABLE} == live
    assert set(ATTEMPT_TABLE.values()) | {AttemptState.QUEUED} == set(AttemptState)


def test_rows_say_what_the_table_says() -> None:
    for cause in TaskCause:
        row = task_row(cause)
        for state in TaskState:
            after = TASK_TABLE.get((state, cause))
            assert row[state.value] == (ILLEGAL if after is None else after.value)
        assert all(value == ILLEGAL for value in row[len(TaskState) :])


def test_what_is_not_in_the_table_raises() -> None:
    with pytest.raises(InternalError, match=r"attempt 0:7#1 is CANCELLING, where TURN_CAME must not happen"):
        next_attempt_state("0:7#1", AttemptState.CANCELLING, AttemptCause.TURN_CAME)
    error = illegal_task_step("map 7", TaskState.DONE.value, TaskCause.ATTEMPT_STARTED)
    assert str(error).startswith("map 7 is DONE, where ATTEMPT_STARTED must not happen")

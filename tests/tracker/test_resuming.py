"""Which outputs of a journal still count for a run that goes on, as lists of events."""

from __future__ import annotations

from collections.abc import Container

from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.events import AttemptFailed, AttemptFinished, Event, OutputLost, OutputMoved
from mapreduce.tracker.plan import Plan, plan_fold, plan_keyed, plan_map_only
from mapreduce.tracker.resuming import standing


def done(stage: int, index: int, number: int = 0) -> AttemptFinished:
    attempt = AttemptId(TaskId(stage, index), number)
    return AttemptFinished(0.0, attempt, WorkerId(0), AttemptResult(Output(path=str(attempt))))


def lost(stage: int, index: int) -> OutputLost:
    return OutputLost(0.0, TaskId(stage, index))


def failed(stage: int, index: int, *tasks: TaskId) -> AttemptFailed:
    failure = Failure(FailureKind.OUTPUT_LOST, "OutputLostError", "gone", lost=tasks)
    return AttemptFailed(0.0, AttemptId(TaskId(stage, index), 0), WorkerId(0), failure)


def names(plan: Plan, events: list[Event], gone: Container[str] = ()) -> list[str]:
    found = standing(plan, events, lambda event: event.result.output.path not in gone)
    return [str(event.attempt) for event in found]


def test_what_is_there_stands_in_the_order_of_the_journal() -> None:
    assert names(plan_keyed(3, 2), [done(0, 2), done(0, 0), done(0, 1), done(1, 1)]) == [
        "0:2#0", "0:0#0", "0:1#0", "1:1#0",
    ]  # fmt: skip


def test_what_is_gone_does_not() -> None:
    assert names(plan_keyed(2, 2), [done(0, 0), done(0, 1)], gone=["0:1#0"]) == ["0:0#0"]
    assert names(plan_map_only(2), [done(0, 0), done(0, 1)], gone=["0:1#0"]) == ["0:0#0"]


def test_the_last_commit_of_a_task_counts() -> None:
    assert names(plan_keyed(1, 1), [done(0, 0), lost(0, 0)]) == []
    assert names(plan_keyed(1, 1), [done(0, 0), lost(0, 0), done(0, 0, 100)]) == ["0:0#100"]
    assert names(plan_keyed(2, 1), [done(0, 0), done(0, 1), failed(1, 0, TaskId(0, 1)), done(0, 1, 3)]) == [
        "0:0#0", "0:1#3",
    ]  # fmt: skip


def test_an_output_stands_where_it_was_last() -> None:
    def moved(index: int, path: str, number: int = 0) -> OutputMoved:
        return OutputMoved(0.0, AttemptId(TaskId(0, index), number), path)

    events: list[Event] = [
        done(0, 0),
        moved(0, "@a+b/0"),
        done(0, 1),
        lost(0, 1),
        moved(1, "@c/1"),
        done(0, 1, 3),
        moved(1, "@c/1"),
    ]
    found = standing(plan_keyed(2, 1), [*events, moved(0, "@b/0")], lambda _: True)
    assert [(str(event.attempt), event.result.output.path) for event in found] == [
        ("0:0#0", "@b/0"),
        ("0:1#3", "0:1#3"),
    ]


def test_a_segment_that_nobody_reads_any_more_may_be_gone() -> None:
    """The counters of its map still count."""
    events: list[Event] = [done(0, 0), done(0, 1), done(1, 0), done(1, 1)]
    assert names(plan_keyed(2, 2), events, gone=["0:0#0", "0:1#0"]) == ["0:0#0", "0:1#0", "1:0#0", "1:1#0"]
    assert names(plan_keyed(2, 2), events, gone=["0:0#0", "1:1#0"]) == ["0:1#0", "1:0#0"]


def test_groups_of_a_fold_each_for_themselves() -> None:
    plan = plan_fold(5, fan_in=2)  # maps, then 3, 2 and 1 reduces
    events: list[Event] = [*(done(0, index) for index in range(5)), done(1, 0), done(1, 2)]
    gone = ["0:0#0", "0:2#0", "0:4#0"]
    assert names(plan, events, gone) == ["0:0#0", "0:1#0", "0:3#0", "0:4#0", "1:0#0", "1:2#0"]
    assert names(plan, events, [*gone, "1:0#0"]) == ["0:1#0", "0:3#0", "0:4#0", "1:2#0"]


def test_tasks_that_are_not_planned_are_passed_over() -> None:
    assert names(plan_keyed(1, 1), [done(0, 0), done(0, 7), done(4, 0)]) == ["0:0#0"]

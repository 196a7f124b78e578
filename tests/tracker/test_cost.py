"""Does an event cost the same however many tasks there are? Counted in calls, not in time."""

from __future__ import annotations

import sys
from collections import deque
from types import FrameType

import pytest

from mapreduce.ids import WorkerId
from mapreduce.tracker.commands import StartAttempt
from mapreduce.tracker.events import AttemptFinished, Event, WorkerJoined
from mapreduce.tracker.plan import Plan, plan_fold, plan_keyed, plan_map_only
from mapreduce.tracker.tracker import Tracker
from tests.tracker.scene import result_of


def calls_per_event(plan: Plan, workers: int) -> tuple[float, int]:
    """Mean and largest number of calls (of Python and of C functions) with which the tracker handles an event."""
    tracker = Tracker(plan)
    counts: list[int] = []
    todo: deque[Event] = deque(WorkerJoined(0.0, WorkerId(worker)) for worker in range(workers))
    calls = 0

    def count(_frame: FrameType, what: str, _argument: object) -> None:
        nonlocal calls
        calls += what in ("call", "c_call")

    before = sys.getprofile()
    try:
        while todo:
            event, calls = todo.popleft(), 0
            sys.setprofile(count)
            commands = tracker.handle(event)
            sys.setprofile(before)
            counts.append(calls)
            for command in commands:
                if isinstance(command, StartAttempt):
                    todo.append(AttemptFinished(1.0, command.attempt, command.worker, result_of(command.attempt)))
    finally:
        sys.setprofile(before)
    assert tracker.outcome is not None
    return sum(counts) / len(counts), max(counts)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (plan_map_only(300), plan_map_only(10_000)),
        (plan_keyed(300, 30), plan_keyed(10_000, 1000)),
        (plan_fold(300), plan_fold(10_000)),
    ],
)
def test_thirty_times_the_tasks_cost_the_same_for_each_event(small: Plan, large: Plan) -> None:
    few_mean, _ = calls_per_event(small, workers=4)
    many_mean, many_most = calls_per_event(large, workers=4)
    assert many_mean < few_mean * 1.1
    assert many_mean < 60
    assert many_most < 200


def test_so_do_a_hundred_times_the_workers() -> None:
    few, _ = calls_per_event(plan_map_only(5_000), workers=4)
    many, _ = calls_per_event(plan_map_only(5_000), workers=400)
    assert many < few * 1.25

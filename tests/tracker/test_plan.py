"""Does each shape of job get the tasks and needs that it must have? A plan's change shows here as a change of text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import InternalError
from mapreduce.ids import TaskId
from mapreduce.tracker.plan import ALL, Plan, Stage, groups, plan_fold, plan_keyed, plan_map_only


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (plan_keyed(3, 2), "map 0..2\nreduce 0..1 -> map 0..2"),
        (plan_keyed(3, 1, sample=2), "sample 0..1\nmap 0..2 -> sample 0..1\nreduce 0 -> map 0..2"),
        (plan_keyed(0, 1), "map (no tasks)\nreduce 0 -> map (no tasks)"),
        (plan_map_only(4), "map 0..3"),
        (plan_map_only(0), "map (no tasks)"),
        (plan_fold(0), "map (no tasks)\nreduce 0 -> map (no tasks)"),
        (plan_fold(1), "map 0\nreduce 0 -> map 0"),
        (plan_fold(32), "map 0..31\nreduce 0 -> map 0..31"),
        (
            plan_fold(33),
            "map 0..32\nreduce-1 0 -> map 0..31\nreduce-1 1 -> map 32\nreduce 0 -> reduce-1 0..1",
        ),
        (
            plan_fold(5, fan_in=2),
            "\n".join(
                [
                    "map 0..4",
                    "reduce-1 0 -> map 0..1",
                    "reduce-1 1 -> map 2..3",
                    "reduce-1 2 -> map 4",
                    "reduce-2 0 -> reduce-1 0..1",
                    "reduce-2 1 -> reduce-1 2",
                    "reduce 0 -> reduce-2 0..1",
                ]
            ),
        ),
    ],
)
def test_plan_as_text(plan: Plan, text: str) -> None:
    assert plan.describe() == text


def test_needs_and_names() -> None:
    plan = plan_fold(33)
    assert list(plan.needs_of(TaskId(1, 1))) == [TaskId(0, 32)]
    assert list(plan.needs_of(TaskId(0, 5))) == []
    assert [plan.task_name(TaskId(stage, 0)) for stage in range(3)] == ["map 0", "reduce-1 0", "reduce 0"]
    assert plan.tasks == 33 + 2 + 1


@given(st.integers(0, 5000), st.integers(2, 40))
def test_a_fold_uses_every_output_once_and_ends_in_one_task(maps: int, fan_in: int) -> None:
    plan = plan_fold(maps, fan_in)
    assert plan.stages[-1].tasks == 1
    assert len({stage.name for stage in plan.stages}) == len(plan.stages)
    for number, stage in enumerate(plan.stages[1:], start=1):
        used = [index for task in range(stage.tasks) for index in plan.needed_indices(TaskId(number, task))]
        assert used == list(range(plan.stages[number - 1].tasks))


def test_a_million_maps_are_four_levels() -> None:
    assert [stage.tasks for stage in plan_fold(1_000_000).stages] == [1_000_000, 31_250, 977, 31, 1]


def test_plans_that_could_never_end_are_refused() -> None:
    with pytest.raises(InternalError, match="starts with a stage that needs nothing"):
        Plan((Stage("map", 1, ALL),))
    with pytest.raises(InternalError, match="fan_in must be at least 2"):
        groups(1)
    with pytest.raises(InternalError, match="reduce has 3 tasks; 4 in groups of 2 make another number"):
        Plan((Stage("map", 4), Stage("reduce", 3, groups(2))))

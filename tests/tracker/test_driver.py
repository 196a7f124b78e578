"""The driver turns reports into events and commands into deeds. Nothing here waits: executor and clock are made up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mapreduce.dataflow.results import Output
from mapreduce.errors import ResourceError
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.commands import Command
from mapreduce.tracker.driver import MAX_WAIT_SECONDS
from mapreduce.tracker.events import AttemptFinished, Event, Tick
from mapreduce.tracker.executor import (
    Failed,
    Finished,
    LogLines,
    Progress,
    Report,
    WorkerSample,
)
from mapreduce.tracker.observer import Observer, Observers
from mapreduce.tracker.plan import plan_fold, plan_keyed, plan_map_only
from tests.tracker.driven import WRONG, Scene, map_, result_of


def test_tasks_get_the_outputs_that_they_need() -> None:
    scene = Scene()
    outcome = scene.run(plan_keyed(3, 2))
    assert outcome.succeeded
    assert scene.work.needed[map_(1)] == []
    reduce_needs = scene.work.needed[AttemptId(TaskId(1, 1), 0)]
    assert sorted(map(str, reduce_needs)) == ["0:0#0", "0:1#0", "0:2#0"]
    assert sorted(scene.work.committed) == [TaskId(0, 0), TaskId(0, 1), TaskId(0, 2), TaskId(1, 0), TaskId(1, 1)]
    assert set(outcome.outputs) == {TaskId(1, 0), TaskId(1, 1)}


def test_groups_come_in_their_order() -> None:
    scene = Scene()
    assert scene.run(plan_fold(5, fan_in=2)).succeeded
    assert scene.work.needed[AttemptId(TaskId(1, 1), 0)] == ["0:2#0", "0:3#0"]
    assert scene.work.needed[AttemptId(TaskId(1, 2), 0)] == ["0:4#0"]


def test_outcome_sums_up() -> None:
    outcome = Scene().run(plan_keyed(3, 2))
    assert dict(outcome.counters) == {"tasks": 5}
    assert (outcome.stats.bytes_in, outcome.stats.seconds) == (30, 2.5)  # the input is what maps read
    assert [stage.name for stage in outcome.stages] == ["map", "reduce"]
    assert list(outcome.stages[0].task_seconds) == [0.5] * 3
    assert 0 <= outcome.stages[0].first_start <= outcome.stages[0].last_commit <= outcome.stages[1].last_commit
    assert outcome.seconds > 0


def test_a_plan_without_tasks_succeeds_at_once() -> None:
    scene = Scene()
    assert scene.run(plan_map_only(0)).succeeded
    assert scene.executor.closed == 1


def test_observer_sees_all_from_start_to_end() -> None:
    def chatty(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        sample = WorkerSample(worker, 1, 1, 0.0, attempt, 5, 1)
        return [
            Progress(sample),
            LogLines(worker, attempt, "hello\n"),
            Finished(worker, attempt, result_of(attempt)),
        ]

    scene = Scene(chatty, workers=1)
    scene.run(plan_map_only(2))
    assert scene.watcher.calls == ["started", "finished succeeded"]
    assert [sample.task for sample in scene.watcher.samples] == ["map 0", "map 1"]
    assert scene.watcher.text == "hello\nhello\n"
    assert sum(isinstance(event, AttemptFinished) for event in scene.watcher.events) == 2


def test_observer_that_raises_changes_nothing() -> None:
    class Broken(Observer):
        def handled(self, event: Event, commands: Sequence[Command]) -> None:
            raise BrokenPipeError

    scene = Scene()
    scene.watcher = Observers([Broken()])  # type: ignore[assignment]
    assert scene.run(plan_map_only(3)).succeeded


def test_waits_are_long_while_nothing_happens() -> None:
    silent = [0]

    def slow(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        silent[0] += 1
        return None if silent[0] > 100 else []

    scene = Scene(slow, workers=1)
    scene.run(plan_map_only(1))
    assert scene.clock.time - 100 == pytest.approx(100 * MAX_WAIT_SECONDS, rel=0.1)
    assert scene.executor.waits.count(0.0) <= 6  # a tick that is due
    assert any(isinstance(event, Tick) for event in scene.watcher.events)


def test_journal_comes_before_the_commit() -> None:
    scene = Scene()
    order: list[str] = []
    commit = scene.work.commit

    def noted(attempt: AttemptId, output: Output) -> None:
        order.append(f"commit {attempt}")
        commit(attempt, output)

    scene.work.commit = noted  # type: ignore[method-assign]
    scene.append = lambda event: order.append(f"journal {event.attempt}")  # type: ignore[method-assign,union-attr]
    scene.sync = lambda: order.append("on disk")  # type: ignore[method-assign]
    scene.run(plan_map_only(1))
    assert order[:3] == ["journal 0:0#0", "on disk", "commit 0:0#0"]


def test_the_disk_is_waited_for_once_a_turn_where_no_output_gets_its_name() -> None:
    scene = Scene()
    order: list[str] = []
    scene.append = lambda event: order.append("journal")  # type: ignore[method-assign]
    scene.sync = lambda: order.append("on disk")  # type: ignore[method-assign]
    scene.run(plan_keyed(2, 1))
    assert "journal journal on disk journal on disk" in " ".join(order)


def test_a_disk_that_fails_ends_the_job() -> None:
    def fail() -> None:
        raise ResourceError("no space left")

    scene = Scene()
    scene.sync = fail  # type: ignore[method-assign]
    outcome = scene.run(plan_keyed(2, 1))
    assert (outcome.succeeded, outcome.reason) == (False, "no space left")


def test_resumed_job_commits_again_and_runs_only_the_rest() -> None:
    first = Scene(lambda attempt, worker: None if attempt.task.index < 2 else [Failed(worker, attempt, WRONG)])
    assert not first.run(plan_keyed(3, 1)).succeeded
    assert len(first.journal) == 2
    again = Scene()
    outcome = again.run(plan_keyed(3, 1), past=first.journal)
    assert outcome.succeeded
    assert {attempt.task for attempt in again.executor.specs} == {TaskId(0, 2), TaskId(1, 0)}
    assert sorted(again.work.committed) == [TaskId(0, 0), TaskId(0, 1), TaskId(0, 2), TaskId(1, 0)]
    assert dict(outcome.counters) == {"tasks": 4}
    assert len(again.journal) == 2

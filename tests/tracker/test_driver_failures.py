"""What does the driver make of attempts that fail, workers and hosts that are lost, and outputs that are gone?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mapreduce.dataflow.attempt import MapSpec
from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output
from mapreduce.errors import OutputLostError, ResourceError
from mapreduce.formats.base import Extent, InputFile, Split
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.settings import Settings
from mapreduce.tracker.commands import OutcomeKind
from mapreduce.tracker.driver import run_job
from mapreduce.tracker.events import OutputMoved
from mapreduce.tracker.executor import (
    Copied,
    Failed,
    Finished,
    Lost,
    NoWorkers,
    OutputsGone,
    Progress,
    Ready,
    Report,
    WorkerSample,
)
from mapreduce.tracker.plan import plan_keyed, plan_map_only
from tests.tracker.driven import WRONG, Clock, FakeExecutor, Memory, Scene, Work, map_, once


def test_failed_attempt_is_reported_and_tried_again() -> None:
    scene = Scene(once(lambda attempt, worker: [Failed(worker, attempt, WRONG)]))
    outcome = scene.run(plan_map_only(2))
    assert outcome.succeeded
    assert outcome.failed_attempts == 1
    report = outcome.failures[0]
    assert (report.task_name, report.attempt, report.failure) == ("map 0", map_(0), WRONG)


def test_job_fails_with_the_failure_that_decided() -> None:
    scene = Scene(lambda attempt, worker: [Failed(worker, attempt, WRONG)])
    outcome = scene.run(plan_map_only(1))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.failed_attempts == 4
    assert outcome.failure is not None
    assert outcome.failure.failure is WRONG
    assert "map 0 failed 4 times" in outcome.reason
    assert scene.watcher.calls[-1] == "finished failed"


def test_many_failures_are_counted_and_a_hundred_kept() -> None:
    def flaky(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        return [Failed(worker, attempt, WRONG)] if attempt.number == 0 else None

    outcome = Scene(flaky).run(plan_map_only(150))
    assert outcome.succeeded
    assert (outcome.failed_attempts, len(outcome.failures)) == (150, 100)


def test_lost_worker_is_replaced_and_its_attempts_run_again() -> None:
    def die(attempt: AttemptId, worker: WorkerId) -> Sequence[Report]:
        return [Lost(worker, "was killed by SIGKILL", attempt), Ready(WorkerId(7), 1)]

    scene = Scene(once(die), workers=1)
    outcome = scene.run(plan_map_only(3))
    assert outcome.succeeded
    assert outcome.lost_workers == 1
    assert [report.failure.kind for report in outcome.failures] == [FailureKind.LOST]
    assert "SIGKILL" in outcome.failures[0].failure.message


def test_a_lost_worker_is_placed_in_the_input() -> None:
    def die(attempt: AttemptId, worker: WorkerId) -> Sequence[Report]:
        seen = Progress(WorkerSample(worker, 1, 0, 0.0, attempt, bytes_in=3_000))
        return [seen, Lost(worker, "ended with exit code 7", attempt), Ready(WorkerId(7), 1)]

    scene = Scene(once(die), workers=1)
    spec = MapSpec(Split(0, InputFile("a.txt", 9_000), Extent(4_000, 9_000, 5_000)))
    scene.work.spec = lambda attempt, outputs: spec  # type: ignore[method-assign]
    (report,) = scene.run(plan_map_only(1)).failures
    assert report.failure.place == (
        "a.txt, bytes 4000 to 9000 (3,000 bytes of it were read when the worker was last seen)"
    )


def test_no_workers_left_ends_the_job() -> None:
    scene = Scene(lambda attempt, worker: [Lost(worker, "died", attempt), NoWorkers("workers die at their start")])
    outcome = scene.run(plan_map_only(1))
    assert outcome.kind is OutcomeKind.FAILED
    assert "workers die at their start" in outcome.reason
    assert outcome.failure is not None
    assert outcome.failure.failure.kind is FailureKind.RESOURCE


def test_spec_that_raises_is_a_failure_of_the_attempt() -> None:
    scene = Scene()
    nothing: dict[AttemptId, Any] = {}
    scene.work.spec = lambda attempt, outputs: nothing[attempt]  # type: ignore[method-assign]
    outcome = scene.run(plan_map_only(1))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.failure is not None
    assert outcome.failure.failure.type_name == "KeyError"


def lose_output_of(scene: Scene, task: TaskId) -> None:
    """The first commit of the task finds its file gone."""
    commit, gone = scene.work.commit, {task}

    def lossy(attempt: AttemptId, output: Output) -> None:
        if attempt.task in gone:
            gone.remove(attempt.task)
            raise OutputLostError("no such file")
        commit(attempt, output)

    scene.work.commit = lossy  # type: ignore[method-assign]


def test_commit_that_finds_its_output_gone_runs_the_task_again() -> None:
    scene = Scene()
    lose_output_of(scene, TaskId(0, 0))
    outcome = scene.run(plan_map_only(5))
    assert outcome.succeeded
    assert dict(outcome.counters) == {"tasks": 5}
    assert map_(0, 1) in scene.executor.specs


def test_job_whose_last_commit_finds_its_output_gone_has_failed() -> None:
    scene = Scene()
    lose_output_of(scene, TaskId(0, 0))
    outcome = scene.run(plan_map_only(1))
    assert outcome.kind is OutcomeKind.FAILED
    assert "map 0 vanished" in outcome.reason


@pytest.mark.parametrize("error", [ResourceError("no space left in /out"), PermissionError(13, "denied")])
def test_commit_that_cannot_be_done_ends_the_job(error: Exception) -> None:
    def refuse(attempt: AttemptId, output: Output) -> None:
        raise error

    scene = Scene()
    scene.work.commit = refuse  # type: ignore[method-assign]
    outcome = scene.run(plan_map_only(5))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.reason == str(error)
    assert outcome.failure is not None
    assert outcome.failure.failure.kind is FailureKind.RESOURCE
    assert scene.executor.closed == 1


def test_attempt_that_stands_still_is_a_failure_of_its_own_kind() -> None:
    def stuck(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        return [] if attempt == map_(0) else None

    def stubborn(attempt: AttemptId, worker: WorkerId) -> None:
        scene.executor.queues.pop(worker)
        scene.executor.reports += [Lost(worker, "did not end a cancelled attempt", attempt)]

    scene = Scene(stuck)
    scene.executor.cancel = stubborn  # type: ignore[method-assign]
    outcome = scene.run(plan_map_only(3), settings=Settings(task_timeout_seconds=10))
    assert outcome.succeeded
    assert outcome.lost_workers == 1
    kinds = [report.failure.kind for report in outcome.failures]
    assert kinds in ([], [FailureKind.TIMEOUT])  # [] where its backup was first


def test_output_that_comes_second_is_discarded_and_counted_once() -> None:
    def late(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        return [] if attempt == map_(0) and scene.clock.time < 200 else None

    scene = Scene(late)
    scene.executor.cancel = lambda attempt, worker: None  # type: ignore[method-assign]
    outcome = scene.run(plan_map_only(2))
    assert outcome.succeeded
    assert dict(outcome.counters) == {"tasks": 2}
    assert scene.work.committed.count(TaskId(0, 0)) == 1


def test_when_a_host_goes_its_outputs_are_made_again() -> None:
    work = Work()
    gone: list[bool] = []

    def behave(attempt: AttemptId, worker: WorkerId) -> Sequence[Report]:
        if attempt.task.stage == 1 and not gone:
            gone.append(True)
            return [Lost(WorkerId(0), "host a is gone"), OutputsGone("a")]
        if any(str(path).startswith("@a/") for path in work.needed[attempt]) and gone:
            return [Failed(worker, attempt, Failure(FailureKind.OUTPUT_LOST, "OutputLostError", "gone"))]
        result = AttemptResult(Output(path=f"@{'ab'[worker]}/{attempt}"))
        return [Finished(worker, attempt, result)]

    clock = Clock()
    assert run_job(plan_keyed(4, 1), work, FakeExecutor(clock, 2, behave), clock=clock).succeeded
    maps = [task.index for task in work.committed if task.stage == 0]
    assert sorted(maps) == [0, 0, 1, 2, 2, 3], "two of four maps were on host a, and ran again"
    *_, last = [paths for attempt, paths in work.needed.items() if attempt.task.stage == 1]
    assert all(str(path).startswith("@b/") for path in last)


def test_when_a_host_goes_the_copies_of_its_outputs_are_read() -> None:
    """Of the two maps on host a one had been copied: only the other runs again."""
    work, journal = Work(), Memory()
    gone: list[bool] = []

    def behave(attempt: AttemptId, worker: WorkerId) -> Sequence[Report]:
        if attempt.task.stage == 1 and not gone:
            gone.append(True)
            stale = AttemptId(TaskId(0, 2), 7)
            return [Copied(map_(0), "b"), Copied(stale, "b"), Lost(WorkerId(0), "host a is gone"), OutputsGone("a")]
        if any("a" in str(path).partition("/")[0] for path in work.needed[attempt]) and gone:
            return [Failed(worker, attempt, Failure(FailureKind.OUTPUT_LOST, "OutputLostError", "gone"))]
        return [Finished(worker, attempt, AttemptResult(Output(path=f"@{'ab'[worker]}/{attempt}")))]

    clock = Clock()
    executor = FakeExecutor(clock, 2, behave)
    assert run_job(plan_keyed(4, 1), work, executor, clock=clock, journal=journal).succeeded
    assert sorted(task.index for task in work.committed if task.stage == 0) == [0, 1, 2, 2, 3]
    *_, last = [paths for attempt, paths in work.needed.items() if attempt.task.stage == 1]
    assert [str(path).partition("/")[0] for path in last] == ["@b"] * 4
    moved = [event.path.partition("/")[0] for event in journal.events if isinstance(event, OutputMoved)]
    assert moved == ["@a+b", "@b"]

"""A task had too little memory: what does the tracker do, and what does it say?"""

from __future__ import annotations

from dataclasses import replace

from mapreduce.dataflow.results import FailureKind
from mapreduce.ids import WorkerId
from mapreduce.settings import MiB
from mapreduce.tracker.commands import OutcomeKind
from mapreduce.tracker.events import WorkerLost
from mapreduce.tracker.plan import plan_keyed, plan_map_only
from mapreduce.tracker.recovery import lost_failure
from tests.tracker.scene import Scene

REST = 0.1
TOO_MUCH = replace(
    lost_failure("it used 950 MiB of the 1,024 MiB that a worker may use", "a.txt, byte 7"),
    kind=FailureKind.MEMORY,
    peak_memory_bytes=950 * MiB,
    limit_bytes=1024 * MiB,
)


def loses_for_memory(scene: Scene, worker: int) -> list[str]:
    return scene.tell(WorkerLost(scene.time, WorkerId(worker), "memory", None, TOO_MUCH))


def test_it_runs_again_frugally_after_a_rest() -> None:
    scene = Scene(plan_map_only(1))
    scene.joins(1)
    assert loses_for_memory(scene, 1) == []
    assert scene.joins(2) == []
    assert scene.passes(REST * 1.1) == ["start map 0#1 on 2 frugally"]
    assert scene.finishes("map 0#1") == ["commit map 0#1", "succeeded"]
    (note,) = scene.notes
    assert (note.verdict, note.failure) == ("run after a rest", TOO_MUCH)


def test_so_does_one_whose_worker_lived() -> None:
    scene = Scene(plan_map_only(1))
    scene.joins(1)
    scene.fails("map 0", FailureKind.MEMORY)
    assert scene.passes(REST * 1.1) == ["start map 0#1 on 1 frugally"]


def test_later_attempts_stay_frugal_whatever_they_fail_of() -> None:
    scene = Scene(plan_map_only(1))
    scene.joins(1)
    scene.fails("map 0", FailureKind.MEMORY)
    scene.passes(1.0)
    scene.fails("map 0#1", FailureKind.USER)
    assert scene.passes(1.0) == ["start map 0#2 on 1 frugally"]


def test_nothing_is_queued_behind_a_frugal_attempt() -> None:
    scene = Scene(plan_map_only(5))
    scene.joins(1)
    assert scene.fails("map 0", FailureKind.MEMORY) == ["start map 1 on 1", "start map 2 on 1"]
    assert scene.passes(REST * 1.1) == []  # no room
    assert scene.finishes("map 1") == ["commit map 1", "start map 0#1 on 1 frugally"]
    assert scene.finishes("map 2") == ["commit map 2"]  # it runs alone
    assert scene.finishes("map 0#1") == ["commit map 0#1", "start map 3 on 1", "start map 4 on 1"]


def test_an_idle_worker_takes_over_a_frugal_attempt_that_waits() -> None:
    scene = Scene(plan_map_only(2))
    scene.joins(1)
    scene.fails("map 0", FailureKind.MEMORY)
    assert scene.passes(REST * 1.1) == ["start map 0#1 on 1 frugally"]  # behind map 1
    assert scene.joins(2) == [
        "start map 0#2 on 2 frugally",
        "cancel map 0#1 on 1: an idle worker takes it over",
    ]
    assert scene.obeys("map 0#1") == []
    assert scene.finishes("map 0#2") == ["commit map 0#2"]
    assert scene.finishes("map 1") == ["commit map 1", "succeeded"]


def test_a_worker_lost_with_a_frugal_attempt_in_its_queue_loses_nothing_else() -> None:
    scene = Scene(plan_map_only(2), max_attempts=2)
    scene.joins(1)
    scene.fails("map 0", FailureKind.MEMORY)
    scene.passes(REST * 1.1)
    assert scene.loses(1) == []
    assert scene.joins(2) == ["start map 0#2 on 2 frugally"]  # the one that waited was no attempt
    assert scene.joins(3) == ["start map 1#1 on 3"]


def test_the_newest_idle_worker_takes_it() -> None:
    scene = Scene(plan_map_only(1))
    scene.joins(1)
    scene.joins(2, 3)
    scene.fails("map 0", FailureKind.MEMORY)
    assert scene.passes(REST * 1.1) == ["start map 0#1 on 3 frugally"]


def test_the_budget_is_that_of_all_failures_and_the_last_word_is_the_remedy() -> None:
    scene = Scene(plan_map_only(1), max_attempts=2)
    scene.joins(1, 2)
    scene.fails("map 0", FailureKind.MEMORY, type_name="WorkerMemoryError", message="it used 950 MiB")
    scene.passes(REST * 1.1)
    said = scene.fails("map 0#1", FailureKind.MEMORY, type_name="WorkerMemoryError", message="it used 950 MiB")
    assert said[-1] == (
        "failed: map 0 failed 2 times; the last time: WorkerMemoryError: it used 950 MiB; "
        "give workers more with --memory, or smaller pieces with --split-size"
    )
    assert [note.verdict for note in scene.notes] == ["run after a rest", "give up"]
    outcome = scene.tracker.outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.FAILED


def test_the_remedy_of_a_reduce_is_another() -> None:
    scene = Scene(plan_keyed(1, 1), max_attempts=1)
    scene.joins(1)
    scene.finishes("map 0")
    (said,) = scene.fails("reduce 0", FailureKind.MEMORY)
    assert said.endswith("give workers more with --memory, or more, smaller partitions with --reducers")

"""What does the tracker answer when nothing goes wrong, and who gets which task?"""

from __future__ import annotations

import pytest

from mapreduce.errors import InternalError
from mapreduce.tracker.plan import plan_fold, plan_keyed, plan_map_only
from tests.tracker.scene import Scene


def test_a_keyed_job_from_start_to_end() -> None:
    scene = Scene(plan_keyed(2, 1))
    assert scene.joins(1) == ["start map 0 on 1"]
    assert scene.finishes("map 0") == ["commit map 0", "start map 1 on 1"]
    assert scene.state("reduce 0") == "WAITING"
    assert scene.finishes("map 1") == ["commit map 1", "start reduce 0 on 1"]
    assert scene.finishes("reduce 0") == ["commit reduce 0", "succeeded"]


def test_all_reduces_wait_for_all_maps() -> None:
    scene = Scene(plan_keyed(2, 2), queue_depth=1)
    assert scene.joins(1, 2, 3) == ["start map 0 on 1", "start map 1 on 2"]
    assert scene.finishes("map 1") == ["commit map 1"]
    assert scene.finishes("map 0") == ["commit map 0", "start reduce 0 on 3", "start reduce 1 on 2"]


def test_a_fold_reduces_a_group_as_soon_as_it_is_whole() -> None:
    scene = Scene(plan_fold(4, fan_in=2), queue_depth=1)
    scene.joins(1)
    assert scene.finishes("map 0") == ["commit map 0", "start map 1 on 1"]
    assert scene.finishes("map 1") == ["commit map 1", "start reduce-1 0 on 1"]  # deeper first: it frees two partials
    assert scene.finishes("reduce-1 0") == ["commit reduce-1 0", "start map 2 on 1"]
    scene.finishes("map 2", "map 3", "reduce-1 1")
    assert scene.finishes("reduce 0") == ["commit reduce 0", "succeeded"]


def test_a_job_without_tasks_ends_with_the_first_event() -> None:
    assert Scene(plan_map_only(0)).joins(1) == ["succeeded"]


def test_a_fold_without_maps_runs_its_last_task() -> None:
    assert Scene(plan_fold(0)).joins(1) == ["start reduce 0 on 1"]


def test_work_spreads_before_it_queues() -> None:
    scene = Scene(plan_map_only(7))
    assert scene.joins(1, 2) == ["start map 0 on 1", "start map 1 on 2"]  # others may be about to join: nothing queues
    assert scene.passes(0.1) == ["start map 2 on 1", "start map 3 on 2"]  # one behind the running one
    assert scene.finishes("map 0") == ["commit map 0", "start map 4 on 1"]
    assert scene.joins(3) == ["start map 5 on 3"]


def test_an_idle_worker_takes_what_is_queued_behind_another() -> None:
    scene = Scene(plan_map_only(3))
    scene.joins(1, 2)
    assert scene.passes(0.1) == ["start map 2 on 1"]
    assert scene.finishes("map 1") == [
        "commit map 1",
        "start map 2#1 on 2",
        "cancel map 2 on 1: an idle worker takes it over",
    ]
    assert scene.obeys("map 2") == []
    assert scene.finishes("map 2#1", "map 0") == ["commit map 2#1", "commit map 0", "succeeded"]


def test_a_cancelled_attempt_that_is_first_all_the_same_is_committed() -> None:
    scene = Scene(plan_map_only(3))
    scene.joins(1, 2)
    scene.passes(0.1)
    scene.finishes("map 1")  # map 2 moves to worker 2
    assert scene.finishes("map 2") == ["commit map 2", "cancel map 2#1 on 2: another attempt was first"]
    assert scene.finishes("map 2#1") == ["discard map 2#1"]


def test_a_worker_that_joins_twice_has_one_set_of_slots() -> None:
    scene = Scene(plan_map_only(9), queue_depth=1)
    assert scene.joins(1, 1) == ["start map 0 on 1"]


def test_stopping_cancels_what_runs_and_discards_what_still_comes() -> None:
    scene = Scene(plan_map_only(2))
    scene.joins(1)
    assert scene.stops("interrupted by Ctrl-C") == [
        "cancel map 0 on 1: the job has ended",
        "stopped: interrupted by Ctrl-C",
    ]
    assert scene.tracker.attempts_held() == [scene.attempt("map 0")]
    assert scene.finishes("map 0") == ["discard map 0"]
    assert scene.tracker.attempts_held() == []
    assert scene.joins(2) == []
    assert scene.stops() == []


def test_an_attempt_that_nobody_started_is_our_bug() -> None:
    scene = Scene(plan_map_only(1))
    scene.joins(1)
    with pytest.raises(InternalError, match="attempt 0:0#5 was reported and never started"):
        scene.finishes("map 0#5")


def test_wake_time() -> None:
    scene = Scene(plan_map_only(1))
    assert scene.tracker.wake_time() is None  # no worker: nothing depends on time
    scene.joins(1)
    scene.passes(1.0)
    assert scene.tracker.wake_time() == 1.0 + scene.tracker.policy.watch_seconds
    scene.fails("map 0")
    assert scene.tracker.wake_time() == 1.0 + scene.tracker.policy.first_rest_seconds
    assert scene.passes(scene.tracker.policy.first_rest_seconds) == ["start map 0#1 on 1"]

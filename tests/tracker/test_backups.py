"""Which attempts get a second one, under each policy? Also: how long does a task of a stage usually take?"""

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest

from mapreduce.tracker.plan import plan_keyed, plan_map_only
from mapreduce.tracker.policy import Backups
from mapreduce.tracker.speculation import Durations
from tests.tracker.scene import Scene

TYPICAL = 10.0


def nearly_done(tasks: int, **policy: Any) -> Scene:
    """All tasks of a stage but the last are done in TYPICAL seconds; that one runs on worker 0, and all others idle."""
    scene = Scene(plan_map_only(tasks), queue_depth=1, **policy)
    scene.joins(*range(tasks))
    scene.passes(TYPICAL)
    scene.finishes(*(f"map {index}" for index in range(1, tasks)))
    return scene


def test_a_slow_attempt_near_the_end_gets_a_backup() -> None:
    scene = nearly_done(8, backups=Backups.SLOW)
    assert scene.passes(0.4 * TYPICAL) == []  # not half as long again yet
    assert scene.passes(0.6 * TYPICAL) == ["start map 0#1 on 1"]
    assert scene.passes(10 * TYPICAL) == []  # one is enough
    assert scene.finishes("map 0#1") == ["commit map 0#1", "cancel map 0 on 0: another attempt was first", "succeeded"]


@pytest.mark.parametrize("backups", [Backups.STALLED, Backups.OFF])
def test_but_on_one_host_being_slow_is_no_reason(backups: Backups) -> None:
    scene = nearly_done(8, backups=backups)
    for second in range(100):
        scene.progresses("map 0", second)
        assert scene.passes(1.0) == []


def test_backups_of_slow_attempts_wait_until_most_of_the_stage_is_done() -> None:
    scene = Scene(plan_map_only(8), queue_depth=1, backups=Backups.SLOW)
    scene.joins(*range(8))
    scene.passes(TYPICAL)
    scene.finishes(*(f"map {index}" for index in range(3, 8)))  # 5 of 8
    assert scene.passes(4 * TYPICAL) == []
    assert scene.finishes("map 2") == ["commit map 2"]  # 6 of 8
    assert scene.passes(TYPICAL) == ["start map 0#1 on 3", "start map 1#1 on 4"]


def test_the_longest_running_comes_first_where_idle_workers_are_few() -> None:
    scene = Scene(plan_map_only(9), queue_depth=1, backups=Backups.SLOW)
    scene.joins(*range(8))
    scene.passes(TYPICAL)
    assert scene.finishes("map 7") == ["commit map 7", "start map 8 on 7"]
    scene.finishes(*(f"map {index}" for index in range(1, 7)))
    for worker in range(1, 6):
        scene.loses(worker)
    assert scene.passes(4 * TYPICAL) == ["start map 0#1 on 6"]  # and map 8, which began later, gets none


def test_typical_times_are_those_of_the_same_stage() -> None:
    scene = Scene(plan_keyed(4, 4), queue_depth=1, backups=Backups.SLOW)
    scene.joins(*range(4))
    scene.passes(1.0)
    scene.finishes("map 0", "map 1", "map 2", "map 3")
    scene.passes(20.0)
    scene.finishes("reduce 1", "reduce 2", "reduce 3")
    assert scene.passes(8.0) == []  # 28 s is long for a map, and not for a reduce
    assert scene.passes(8.0) == ["start reduce 0#1 on 1"]


def test_no_backups_when_they_are_off() -> None:
    scene = nearly_done(2, backups=Backups.OFF, backup_seconds=5.0)
    assert scene.passes(100.0) == []


def test_a_silent_worker_gets_a_backup_long_before_one_that_only_stands_still() -> None:
    scene = Scene(plan_map_only(2), queue_depth=1, silence_seconds=10.0)
    scene.joins(1, 2, 3, 4)
    for _ in range(2):
        assert scene.passes(4.0) == []
        scene.progresses("map 0", 7)  # stands still, and says so
    assert scene.passes(4.0) == ["start map 1#1 on 3"]
    for _ in range(13):
        scene.progresses("map 0", 7)
        scene.progresses("map 1#1", round(scene.time))
        said = scene.passes(4.0)
    assert said == ["start map 0#1 on 4"]


def test_a_stopped_worker_that_comes_back_late_changes_nothing() -> None:
    scene = Scene(plan_map_only(1), silence_seconds=10.0)
    scene.joins(1, 2)
    assert scene.passes(10.0) == ["start map 0#1 on 2"]
    assert scene.finishes("map 0#1") == ["commit map 0#1", "cancel map 0 on 1: another attempt was first", "succeeded"]
    assert scene.finishes("map 0") == ["discard map 0"]


def test_a_stopped_worker_that_comes_back_in_time_wins() -> None:
    scene = Scene(plan_map_only(1), silence_seconds=10.0)
    scene.joins(1, 2)
    scene.passes(10.0)
    assert scene.finishes("map 0") == ["commit map 0", "cancel map 0#1 on 2: another attempt was first", "succeeded"]
    assert scene.notes == []  # nothing has failed


@pytest.mark.parametrize("seed", range(3))
def test_the_median_of_durations_is_right_within_a_class(seed: int) -> None:
    random_source = random.Random(seed)
    durations, seconds = Durations(), []
    for _ in range(501):
        seconds.append(random_source.lognormvariate(1.0, 2.0))
        durations.add(seconds[-1])
    median = statistics.median(seconds)
    assert median <= durations.median() <= median * Durations.GROWTH * 1.0001


def test_durations_beyond_all_classes_are_counted_in_the_last() -> None:
    durations = Durations()
    assert durations.median() == float("inf")
    durations.add(1e300)
    durations.add(0.0)
    durations.add(0.0)
    assert durations.median() < 0.0011
    for _ in range(5):
        durations.add(1e300)
    assert durations.median() > 1e7

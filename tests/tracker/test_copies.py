"""Outputs with copies on other hosts: who goes takes no work along, as lists of events."""

from __future__ import annotations

from mapreduce.dataflow.results import FailureKind
from mapreduce.tracker.plan import plan_fold, plan_keyed
from tests.tracker.scene import Scene


def done_maps(maps: int = 2) -> Scene:
    """All maps are done, and the reduce runs on worker 1."""
    scene = Scene(plan_keyed(maps, 1), queue_depth=1)
    scene.joins(1)
    for index in range(maps):
        scene.finishes(f"map {index}")
    assert scene.state("reduce 0") == "RUNNING"
    return scene


def test_an_output_that_moved_does_not_run_again() -> None:
    scene = done_maps()
    assert scene.moves("map 0", "@a+c/0") == ["map 0 is at @a+c/0"]
    assert scene.moves("map 0", "@c/0") == ["map 0 is at @c/0"]
    assert scene.state("map 0") == "DONE"
    assert scene.finishes("reduce 0") == ["commit reduce 0", "succeeded"]


def test_a_reduce_that_could_not_read_what_has_moved_since_reads_it_there() -> None:
    """It was told of the host that went, before there was a copy."""
    scene = done_maps()
    scene.moves("map 0", "@c/0")
    assert scene.fails("reduce 0", FailureKind.OUTPUT_LOST, lost=("map 0",)) == ["start reduce 0#1 on 1"]
    assert scene.state("map 0") == "DONE"


def test_what_can_be_read_nowhere_is_lost() -> None:
    """The copy is no good either: it was there when the reduce began."""
    scene = done_maps()
    scene.moves("map 0", "@c/0")
    scene.fails("reduce 0", FailureKind.OUTPUT_LOST, lost=("map 0",))
    assert scene.fails("reduce 0#1", FailureKind.OUTPUT_LOST, lost=("map 0",)) == ["start map 0#1 on 1"]
    assert scene.finishes("map 0#1") == ["commit map 0#1", "start reduce 0#2 on 1"]


def test_a_copy_of_what_does_not_count_is_none() -> None:
    """The output was lost and made again while it was copied: the copy is of the first."""
    scene = done_maps()
    assert scene.loses_output("map 0") == []
    assert scene.moves("map 0", "@a+c/0") == []
    scene.fails("reduce 0", FailureKind.OUTPUT_LOST, lost=("map 0",))
    scene.finishes("map 0#1")
    assert scene.moves("map 0", "@a+c/0") == []
    assert scene.moves("map 0#1", "@b+c/0") == ["map 0#1 is at @b+c/0"]


def test_partials_of_a_fold_move_alike() -> None:
    scene = Scene(plan_fold(2), queue_depth=1)
    scene.joins(1)
    scene.finishes("map 0")
    assert scene.moves("map 0", "@a+b/0") == ["map 0 is at @a+b/0"]
    assert scene.moves("map 1", "@a+b/1") == []


def test_after_the_end_nothing_moves() -> None:
    scene = done_maps()
    scene.finishes("reduce 0")
    assert scene.moves("map 0", "@c/0") == []

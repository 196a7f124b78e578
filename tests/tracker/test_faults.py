"""What does the tracker answer when something goes wrong? One test for each way in which things do."""

from __future__ import annotations

import pytest

from mapreduce.dataflow.results import FailureKind
from mapreduce.tracker.plan import plan_fold, plan_keyed, plan_map_only
from tests.tracker.scene import Scene

REST = 0.1


# Failures of the job's own code


def test_a_failed_task_rests_and_runs_again() -> None:
    scene = Scene(plan_map_only(1))
    scene.joins(1)
    assert scene.fails("map 0") == []
    assert scene.state("map 0") == "RESTING"
    assert scene.passes(REST / 2) == []
    assert scene.passes(REST) == ["start map 0#1 on 1"]
    assert scene.finishes("map 0#1") == ["commit map 0#1", "succeeded"]


def test_the_rest_doubles() -> None:
    scene = Scene(plan_map_only(1), max_attempts=9, longest_rest_seconds=0.3)
    scene.joins(1)
    for number, rest in enumerate([0.1, 0.2, 0.3, 0.3]):
        scene.fails(f"map 0#{number}")
        assert scene.passes(rest * 0.9) == []
        assert scene.passes(rest * 0.2) == [f"start map 0#{number + 1} on 1"]


def test_the_fourth_failure_ends_the_job() -> None:
    scene = Scene(plan_map_only(2))
    scene.joins(1)
    scene.joins(2)
    for number in range(3):
        scene.fails(f"map 0#{number}")
        scene.passes(100)
    assert scene.fails("map 0#3") == [
        "cancel map 1 on 2: the job has ended",
        "failed: map 0 failed 4 times; the last time: ValueError: seven",
    ]
    outcome = scene.tracker.outcome
    assert outcome is not None
    assert outcome.task == scene.task("map 0")
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.USER


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if not kind.retryable])
def test_what_another_attempt_would_meet_again_ends_the_job_at_once(kind: FailureKind) -> None:
    scene = Scene(plan_map_only(2))
    scene.joins(1, 2)
    assert scene.fails("map 1", kind, type_name="InputError", message="a.csv line 3: 2 fields, 3 wanted") == [
        "cancel map 0 on 1: the job has ended",
        "failed: map 1 failed: InputError: a.csv line 3: 2 fields, 3 wanted",
    ]


def test_a_task_avoids_the_worker_on_which_it_failed() -> None:
    scene = Scene(plan_map_only(2), queue_depth=1)
    scene.joins(1, 2)
    scene.fails("map 0")
    assert scene.passes(REST) == []  # 1 is idle, but it failed there, and 2 may soon be free
    assert scene.finishes("map 1") == ["commit map 1"]
    assert scene.passes(REST) == ["start map 0#1 on 2"]


def test_but_not_for_long() -> None:
    scene = Scene(plan_map_only(2), queue_depth=1)
    scene.joins(1, 2)
    scene.fails("map 0")
    assert scene.passes(REST) == []
    assert scene.passes(scene.tracker.policy.avoid_seconds) == ["start map 0#1 on 1"]


# Lost workers


def test_a_lost_workers_tasks_run_at_once_elsewhere() -> None:
    scene = Scene(plan_map_only(4))
    scene.joins(1, 2)
    scene.passes(0.1)
    assert scene.loses(1) == []  # 2 is full
    assert [scene.state("map 0"), scene.state("map 2")] == ["READY", "READY"]
    assert scene.joins(3) == ["start map 0#1 on 3"]


def test_a_task_that_kills_its_worker_four_times_ends_the_job() -> None:
    scene = Scene(plan_map_only(2))
    for worker in range(3):
        scene.joins(worker)
        scene.passes(0.1)
        scene.loses(worker)
    scene.joins(3)
    assert scene.loses(3, "killed by SIGKILL at 980 MB")[-1] == (
        "failed: map 0 failed 4 times; the last time: LostWorkerError: its worker was lost: killed by SIGKILL at 980 MB"
    )


def test_what_was_only_queued_behind_a_killer_is_not_blamed() -> None:
    scene = Scene(plan_map_only(2), max_attempts=2)
    scene.joins(1)
    assert scene.passes(0.1) == ["start map 1 on 1"]
    scene.loses(1)
    scene.joins(2)  # map 0 again
    assert scene.finishes("map 0#1") == ["commit map 0#1", "start map 1#1 on 2"]
    scene.loses(2)
    assert scene.joins(3) == ["start map 1#2 on 3"]  # its first failure, though its second lost worker


def test_reports_of_a_worker_that_was_given_up_come_too_late() -> None:
    scene = Scene(plan_map_only(1))
    scene.joins(1)
    scene.loses(1)
    assert scene.finishes("map 0") == ["discard map 0"]
    assert scene.fails("map 0") == []
    assert scene.obeys("map 0") == []
    assert scene.progresses("map 0", 5) == []
    assert scene.loses(1) == []
    assert scene.joins(2) == ["start map 0#1 on 2"]


def test_a_second_report_of_the_committed_output_does_not_remove_it() -> None:
    scene = Scene(plan_map_only(2), queue_depth=1)
    scene.joins(1)
    assert scene.finishes("map 0", "map 0") == ["commit map 0", "start map 1 on 1"]
    assert scene.finishes("map 1", "map 0", "map 1") == ["commit map 1", "succeeded"]


def test_without_any_worker_the_job_fails_and_says_why() -> None:
    scene = Scene(plan_map_only(1))
    scene.joins(1)
    scene.loses(1)
    assert scene.runs_out_of_workers("fork: resource temporarily unavailable") == [
        "failed: no worker is left: fork: resource temporarily unavailable"
    ]


# Silence


def test_a_stalled_attempt_gets_a_backup_when_a_worker_is_idle() -> None:
    scene = Scene(plan_map_only(2))
    scene.joins(1, 2)
    scene.finishes("map 1")
    scene.progresses("map 0", 10)
    assert scene.passes(59) == []
    scene.progresses("map 0", 11)
    assert scene.passes(59) == []
    assert scene.passes(7) == ["start map 0#1 on 2"]
    scene.joins(3)
    assert scene.passes(100) == []  # never a third
    assert scene.finishes("map 0#1") == ["commit map 0#1", "cancel map 0 on 1: another attempt was first", "succeeded"]


def test_no_backup_while_tasks_are_ready() -> None:
    scene = Scene(plan_map_only(9))
    scene.joins(1)
    assert scene.passes(100) == ["start map 1 on 1"]
    assert scene.joins(2) == ["start map 2 on 2"]


def test_no_progress_for_ten_minutes_is_a_failure() -> None:
    scene = Scene(plan_map_only(1))
    scene.joins(1)
    scene.progresses("map 0", 10)
    scene.passes(599)
    scene.progresses("map 0", 10)  # a sign of life, but the same figure
    assert scene.passes(7) == ["cancel map 0 on 1: it made no progress"]
    assert scene.state("map 0") == "RESTING"
    assert scene.passes(1) == ["start map 0#1 on 1"]  # queued behind the one that does not let go
    assert scene.loses(1, "did not obey") == []
    assert scene.joins(2) == ["start map 0#2 on 2"]
    assert scene.tracker.outcome is None


def test_waiting_in_a_queue_is_not_silence() -> None:
    scene = Scene(plan_map_only(2))
    scene.joins(1)
    scene.passes(0)
    for work in range(20):
        scene.progresses("map 0", work)
        assert scene.passes(100) == []
    assert scene.finishes("map 0") == ["commit map 0"]
    assert scene.passes(599) == []
    assert scene.passes(7) == ["cancel map 1 on 1: it made no progress"]


def test_a_task_that_always_stalls_ends_the_job() -> None:
    scene = Scene(plan_map_only(1), max_attempts=2)
    scene.joins(1)
    scene.passes(0)
    scene.passes(600)
    scene.obeys("map 0")
    assert scene.passes(1) == ["start map 0#1 on 1"]
    assert scene.passes(601)[-1].startswith("failed: map 0 failed 2 times; the last time: LostWorkerError: no progress")


# Lost outputs


def test_a_lost_output_is_made_again_and_its_readers_wait() -> None:
    scene = Scene(plan_keyed(2, 2), queue_depth=1)
    scene.joins(1)
    scene.finishes("map 0", "map 1")
    assert scene.loses_output("map 1") == []
    assert [scene.state("map 1"), scene.state("reduce 0"), scene.state("reduce 1")] == ["READY", "RUNNING", "WAITING"]
    assert scene.finishes("reduce 0") == ["commit reduce 0", "start map 1#1 on 1"]
    assert scene.finishes("map 1#1") == ["commit map 1#1", "start reduce 1 on 1"]
    assert scene.finishes("reduce 1") == ["commit reduce 1", "succeeded"]


def test_a_reduce_that_misses_outputs_names_them_and_is_not_blamed() -> None:
    scene = Scene(plan_keyed(3, 1), max_attempts=1, queue_depth=1)
    scene.joins(1)
    scene.finishes("map 0", "map 1", "map 2")
    assert scene.fails("reduce 0", FailureKind.OUTPUT_LOST, lost=("map 0", "map 2")) == ["start map 0#1 on 1"]
    assert scene.finishes("map 0#1") == ["commit map 0#1", "start map 2#1 on 1"]
    assert scene.finishes("map 2#1") == ["commit map 2#1", "start reduce 0#1 on 1"]


def test_inputs_that_are_lost_every_time_end_the_job() -> None:
    scene = Scene(plan_keyed(1, 1), max_lost_inputs=3, max_attempts=2)
    scene.joins(1)
    said: list[str] = []
    for number in range(5):
        scene.finishes(f"map 0#{number}" if number else "map 0")
        assert said[-1:] != ["failed"]
        said = scene.fails(f"reduce 0#{number}", FailureKind.OUTPUT_LOST, type_name="OutputLostError", lost=("map 0",))
        scene.passes(10)
    assert said[-1] == "failed: reduce 0 failed 2 times; the last time: OutputLostError: seven"


def test_late_news_of_an_output_already_replaced_changes_nothing() -> None:
    scene = Scene(plan_keyed(1, 2))
    scene.joins(1, 2)
    scene.finishes("map 0")
    scene.fails("reduce 0", FailureKind.OUTPUT_LOST, lost=("map 0",))
    scene.finishes("map 0#1")  # made again, while reduce 1 still reads the first one
    scene.fails("reduce 1", FailureKind.OUTPUT_LOST, lost=("map 0",))
    assert scene.state("map 0") == "DONE"
    assert scene.state("reduce 1") == "RUNNING"


def test_an_output_that_nobody_needs_any_more_is_not_made_again() -> None:
    scene = Scene(plan_fold(3, fan_in=2), queue_depth=1)
    scene.joins(1)
    scene.finishes("map 0", "map 1", "reduce-1 0")
    assert scene.loses_output("map 0") == []
    assert scene.state("map 0") == "DONE"
    scene.loses_output("reduce-1 0")
    assert scene.state("reduce-1 0") == "READY"  # its own input is gone, which it will find out


def test_a_queued_reader_of_a_lost_output_is_not_moved_but_its_maker_is() -> None:
    scene = Scene(plan_keyed(1, 3))
    scene.joins(1, 2)
    assert scene.finishes("map 0")[1:] == ["start reduce 0 on 2", "start reduce 1 on 1", "start reduce 2 on 2"]
    assert scene.loses_output("map 0") == ["start map 0#1 on 1"]
    assert scene.joins(3) == ["start map 0#2 on 3", "cancel map 0#1 on 1: an idle worker takes it over"]
    assert scene.finishes("map 0#2") == [
        "commit map 0#2",
        "start reduce 2#1 on 3",
        "cancel reduce 2 on 2: an idle worker takes it over",
    ]


def test_no_backup_while_an_input_is_lost() -> None:
    scene = Scene(plan_keyed(1, 1))
    scene.joins(1)
    scene.finishes("map 0")
    scene.joins(2)
    assert scene.loses_output("map 0") == ["start map 0#1 on 2"]
    scene.joins(3)
    assert scene.passes(61) == ["start map 0#2 on 3"]  # stalled, too, and able to run
    scene.joins(4)
    assert scene.passes(61) == []
    scene.finishes("map 0#2")
    assert scene.passes(7) == ["start reduce 0#1 on 4"]


def test_losing_what_is_not_there_changes_nothing() -> None:
    scene = Scene(plan_keyed(2, 1), queue_depth=1)
    scene.joins(1)
    assert scene.loses_output("map 0") == []
    assert scene.loses_output("map 1") == []
    assert scene.loses_output("reduce 0") == []
    assert scene.state("map 0") == "RUNNING"


def test_a_task_that_rested_while_its_input_was_lost_and_came_back_runs_after_its_rest() -> None:
    scene = Scene(plan_keyed(1, 1), queue_depth=1)
    scene.joins(1)
    scene.finishes("map 0")
    scene.fails("reduce 0")
    scene.loses_output("map 0")
    assert scene.finishes("map 0#1") == ["commit map 0#1"]
    assert scene.passes(REST) == ["start reduce 0#1 on 1"]


def test_a_resting_task_whose_input_is_lost_waits_and_is_not_forgotten() -> None:
    scene = Scene(plan_keyed(1, 1), queue_depth=1)
    scene.joins(1)
    scene.finishes("map 0")
    scene.fails("reduce 0")
    assert scene.loses_output("map 0") == ["start map 0#1 on 1"]
    assert scene.state("reduce 0") == "RESTING"
    scene.passes(5)
    assert scene.state("reduce 0") == "WAITING"
    assert scene.finishes("map 0#1") == ["commit map 0#1", "start reduce 0#1 on 1"]

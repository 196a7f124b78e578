"""Do events add up to the figures that are shown?"""

from __future__ import annotations

from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output, TaskStats
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.report.progress import Progress, headline
from mapreduce.tracker.commands import Commit, StartAttempt
from mapreduce.tracker.events import AttemptFailed, AttemptFinished, OutputLost, Tick, WorkerLost
from mapreduce.tracker.executor import WorkerSample
from mapreduce.tracker.plan import plan_keyed
from tests.report.fakes import note

W0, W1 = WorkerId(0), WorkerId(1)


def attempt(stage: int, index: int, number: int = 0) -> AttemptId:
    return AttemptId(TaskId(stage, index), number)


def result(bytes_in: int = 50, records_in: int = 5) -> AttemptResult:
    return AttemptResult(Output(), {}, TaskStats(bytes_in=bytes_in, records_in=records_in))


def two_maps() -> Progress:
    progress = Progress(plan_keyed(maps=2, reduces=1), input_bytes=100, workers=2, time=10.0)
    progress.handle(Tick(10.0), [StartAttempt(attempt(0, 0), W0), StartAttempt(attempt(0, 1), W1)])
    return progress


def finish(progress: Progress, time: float, done: AttemptId, worker: WorkerId = W0) -> None:
    progress.handle(AttemptFinished(time, done, worker, result()), [Commit(done, result())])


def test_running_attempts_count_by_their_samples() -> None:
    progress = two_maps()
    progress.figures(10.0)
    progress.sample([WorkerSample(W0, 1, 1 << 20, 99.0, attempt(0, 0), 30, 3), WorkerSample(W1, 2, 0, 0.0)])
    figures = progress.figures(12.0)
    assert (figures.bytes_in, figures.records_in, figures.bytes_per_second, figures.records_per_second) == (
        30,
        3,
        15,
        1.5,
    )
    stage = figures.stages[0]
    assert (stage.done, stage.running, stage.fraction) == (0, 2, 0.3)
    assert stage.seconds_left is not None
    assert round(stage.seconds_left, 3) == 4.667


def test_a_finished_attempt_is_not_counted_twice() -> None:
    progress = two_maps()
    progress.sample([WorkerSample(W0, 1, 0, 0.0, attempt(0, 0), 50, 5)])
    finish(progress, 11.0, attempt(0, 0))
    figures = progress.figures(11.0)
    assert (figures.bytes_in, figures.records_in) == (50, 5)
    assert (figures.stages[0].done, figures.stages[0].running, figures.stages[0].fraction) == (1, 1, 0.5)


def test_a_stage_ends_with_its_last_commit() -> None:
    progress = two_maps()
    finish(progress, 11.0, attempt(0, 0))
    assert progress.current_stage == 0
    finish(progress, 14.0, attempt(0, 1), W1)
    assert progress.current_stage == 1
    stage = progress.figures(20.0).stages[0]
    assert (stage.fraction, stage.seconds, stage.seconds_left) == (1.0, 4.0, 0.0)


def test_bytes_read_are_not_the_end_of_a_stage() -> None:
    progress = two_maps()
    progress.sample([WorkerSample(W0, 1, 0, 0.0, attempt(0, 0), 100, 5)])
    assert progress.figures(11.0).stages[0].fraction == 0.999


def test_failures_and_lost_workers() -> None:
    progress = two_maps()
    failure = Failure(FailureKind.USER, "ValueError", "not a number: x\nsecond line")
    progress.handle(
        AttemptFailed(11.0, attempt(0, 0), W0, failure),
        [note(attempt(0, 0), failure), StartAttempt(attempt(0, 0, 1), W0)],
    )
    assert progress.figures(11.0).last_failure == "map 0: ValueError: not a number: x"
    progress.handle(WorkerLost(12.0, W1, "killed by signal 9"), [])
    figures = progress.figures(12.0)
    assert (figures.failed_attempts, figures.lost_workers, figures.stages[0].running) == (1, 1, 1)
    assert figures.last_failure == "worker 1: killed by signal 9"


def test_a_lost_output_is_not_done() -> None:
    progress = two_maps()
    finish(progress, 11.0, attempt(0, 0))
    progress.handle(OutputLost(12.0, TaskId(0, 0)), [])
    assert progress.figures(12.0).stages[0].done == 0


def test_headline_is_short() -> None:
    assert headline(Failure(FailureKind.USER, "KeyError", "")) == "KeyError"
    assert len(headline(Failure(FailureKind.USER, "KeyError", "x" * 999))) == 160


def test_the_headline_of_a_script_that_failed_is_what_it_said_last() -> None:
    said = "the mapper 'x' ended with exit code 3; its last lines on stderr:\n  Traceback\n  KeyError: 'a'"
    assert headline(Failure(FailureKind.USER, "JobError", said)) == (
        "JobError: the mapper 'x' ended with exit code 3; its last lines on stderr: KeyError: 'a'"
    )

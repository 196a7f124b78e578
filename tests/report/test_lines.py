"""What does a person read in a log while a job runs?"""

from __future__ import annotations

import io

from mapreduce.report.lines import LineReporter
from mapreduce.tracker.commands import StartAttempt
from mapreduce.tracker.events import Tick, WorkerLost
from mapreduce.tracker.policy import Policy
from mapreduce.tracker.recovery import timeout_failure
from tests.report.fakes import W0, W1, Clock, attempt, fail, finish, note, outcome, sample, start_maps


def reporter(clock: Clock) -> tuple[LineReporter, io.StringIO]:
    stream = io.StringIO()
    return LineReporter(stream, clock), stream


def test_a_short_job_says_nothing() -> None:
    lines, stream = reporter(Clock())
    start_maps(lines, 0.0)
    finish(lines, 0.1, attempt(0, 0))
    finish(lines, 0.2, attempt(0, 1))
    finish(lines, 0.3, attempt(1, 0))
    lines.finished(outcome())
    assert stream.getvalue() == ""


def test_a_long_job_says_how_far_it_is_and_when_a_stage_ends() -> None:
    clock = Clock(1000.0)
    lines, stream = reporter(clock)
    start_maps(lines, 0.0)
    clock.now += 2.0
    lines.sampled([sample(W0, attempt(0, 0), 10_000_000)])
    clock.now += 4.0
    lines.sampled([sample(W0, attempt(0, 0), 30_000_000)])
    finish(lines, 8.0, attempt(0, 0))
    finish(lines, 9.0, attempt(0, 1))
    finish(lines, 9.5, attempt(1, 0))
    assert stream.getvalue().splitlines() == [
        "map 30 %: 0 of 2 tasks, 30.0 MB, 14.0 s left",
        "map: 2 tasks done in 9.0 s",
        "reduce: 1 task done in 0 ms",
    ]


def test_rates_come_with_the_second_line() -> None:
    clock = Clock()
    lines, stream = reporter(clock)
    start_maps(lines, 100.0)
    for second in range(1, 13):
        clock.now = 100.0 + second
        lines.sampled([sample(W0, attempt(0, 0), 5_000_000 * second)])
    assert stream.getvalue().splitlines()[1] == (
        "map 50 %: 0 of 2 tasks, 50.0 MB, 5.0 MB/s, 50,000 records/s, 10.0 s left"
    )


def test_failures_are_told_at_once() -> None:
    lines, stream = reporter(Clock())
    start_maps(lines, 0.0)
    fail(lines, 0.1, attempt(0, 0))
    lines.handled(WorkerLost(0.2, W1, "killed by signal 9"), [])
    fail(lines, 0.3, attempt(0, 0, 1))
    assert stream.getvalue().splitlines() == [
        "map 0 failed: ValueError: not a number: x",
        "worker 1: killed by signal 9",
        "map 0 failed again (2 of 4 times)",
    ]


def test_backups_are_told() -> None:
    lines, stream = reporter(Clock())
    start_maps(lines, 0.0)
    lines.handled(Tick(0.1), [StartAttempt(attempt(0, 1, 1), W0, backup=True)])
    assert stream.getvalue() == "map 1 stands still: another attempt runs on worker 0\n"


def test_an_attempt_that_timed_out_is_told() -> None:
    lines, stream = reporter(Clock())
    start_maps(lines, 0.0)
    lines.handled(Tick(0.1), [note(attempt(0, 1), timeout_failure(Policy(timeout_seconds=9.0)))])
    assert stream.getvalue().startswith("map 1 failed: no progress for 9 s;")


def test_what_a_worker_prints_comes_with_its_task() -> None:
    lines, stream = reporter(Clock())
    start_maps(lines, 0.0)
    lines.logged(W0, attempt(0, 1), "one\ntwo\n")
    lines.logged(W0, None, "three")
    assert stream.getvalue() == "[map 1] one\n[map 1] two\n[worker 0] three\n"

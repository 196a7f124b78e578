"""Are a run's figures what its attempts amount to?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mapreduce.report.job_log import AttemptFigures, AttemptRecord, AttemptState, RunLog, WorkerRecord
from mapreduce.report.measures import (
    histogram,
    key_skew,
    lanes,
    parallel_fraction,
    task_seconds,
    throughput,
)
from tests.report.runs import attempt, run


def test_histogram_loses_no_value() -> None:
    counted = histogram([0.0, 0.1, 0.5, 1.0], bins=2)
    assert counted.counts == (2, 2)
    assert (counted.low, counted.high, counted.width) == (0.0, 1.0, 0.5)
    assert sum(histogram([3.0] * 7).counts) == 7
    assert histogram([0.0]).counts[0] == 1


def test_throughput_is_the_bytes_read_over_the_time() -> None:
    ran = run(attempt("map 0", 0.0, 1.0, bytes_in=1000), attempt("map 1", 1.0, 2.0, worker=1, bytes_in=3000), seconds=4)
    assert throughput(ran, bins=4) == pytest.approx([1000, 3000, 0, 0])
    assert sum(throughput(ran, bins=7)) * 4 / 7 == pytest.approx(4000)


def test_failed_attempts_read_nothing() -> None:
    ran = run(attempt("map 0", 0.0, 1.0, AttemptState.FAILED, bytes_in=1000))
    assert not any(throughput(ran))
    assert task_seconds(ran, 0) == []


def test_p_of_two_workers_that_were_busy_half_the_time() -> None:
    """One second of maps on two workers, one second in which nothing ran: p = 2 / (2 + 1)."""
    ran = run(attempt("map 0", 0.0, 1.0), attempt("map 1", 0.0, 1.0, worker=1), seconds=2)
    assert parallel_fraction(ran) == pytest.approx(2 / 3)


def test_p_is_not_told_of_a_part_of_a_job() -> None:
    assert parallel_fraction(run(attempt("map 0", 0, 1), attempt("map 1", 0, 0, AttemptState.PAST))) is None
    assert parallel_fraction(run(attempt("map 0", 0, 1), outcome="failed")) is None
    assert parallel_fraction(run(attempt("map 0", 0, 1), outcome=None)) is None


def test_skew() -> None:
    shares = (10, 10, 40)
    reduces = [attempt(f"reduce {index}", 1, 2, records_in=share) for index, share in enumerate(shares)]
    skew = key_skew(run(*reduces))
    assert skew is not None
    assert skew.shares == shares
    assert skew.worst == pytest.approx(2.0)
    assert key_skew(run(attempt("map 0", 0, 1, records_in=5))) is None


def test_a_worker_that_takes_a_lost_ones_place_goes_on_in_its_lane() -> None:
    workers = (
        WorkerRecord(0, 0.0, lost=1.0, why="killed"),
        WorkerRecord(1, 0.0),
        WorkerRecord(2, 1.1, lost=1.5),
        WorkerRecord(3, 1.6),
    )
    assert lanes(run(workers=workers)) == [[0, 2, 3], [1]]


def test_workers_that_never_said_hello_have_lanes_too() -> None:
    assert lanes(run(attempt("map 0", 0, 1, worker=7))) == [[7]]


def test_a_log_may_hold_nothing() -> None:
    empty: RunLog = run()
    assert (key_skew(empty), parallel_fraction(empty), lanes(empty)) == (None, None, [])
    assert throughput(empty, bins=3) == [0, 0, 0]
    assert AttemptRecord("map 0", 0, 0, 0, 0, 0, 0, 0).figures == AttemptFigures()
    assert isinstance(Path(), Path)

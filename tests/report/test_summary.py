"""Does the summary of a job that has ended say what happened, and is its arithmetic right?"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mapreduce.dataflow.results import Failure, FailureKind
from mapreduce.report.summary import merge_summaries, summarise
from mapreduce.tracker.commands import OutcomeKind
from mapreduce.tracker.outcome import FailureReport
from mapreduce.tracker.recovery import lost_failure
from tests.report.fakes import W1, attempt, outcome, user_failure


def test_parallel_fraction_counts_single_tasks_as_serial() -> None:
    summary = summarise(outcome(), workers=2)
    assert summary.parallel_seconds == 7.0  # of the maps; one reduce is no parallel work
    assert summary.serial_seconds == pytest.approx(1.0)  # 5.0 - the 4.0 in which maps ran
    assert summary.parallel_fraction == pytest.approx(7 / 8)
    assert summary.speedup == pytest.approx(8 / 5)
    assert summary.karp_flatt == pytest.approx((5 / 8 - 1 / 2) / (1 / 2))
    assert summary.predicted_speedups[2] == pytest.approx(1 / (1 / 8 + 7 / 16))
    assert list(summary.predicted_speedups) == [2, 4, 8, 16, 32, 64]


def test_text() -> None:
    assert summarise(outcome(), workers=2).to_text().splitlines() == [
        "succeeded in 5.0 s on 2 workers",
        "  read     100 MB, 1.0 M records (20.0 MB/s, 200,000 records/s)",
        "  wrote    400 B, 20 records",
        "  stage    map: 2 tasks in 4.0 s, the longest 4.0 s",
        "  stage    reduce: 1 task in 600 ms",
        "  memory   150 MB at a worker's peak, 2 spills",
        "  counter  bad lines = 1,234",
        "  failures 1 failed attempt; all made up for",
        (
            "           map 0, attempt 1 on worker 0: ValueError: not a number: x at a.txt, byte 10; "
            "ran again after a rest"
        ),
        "  parallel p = 0.8750, Karp-Flatt serial fraction 0.250",
        "  Amdahl   S(2) 1.78  S(4) 2.91  S(8) 4.27  S(16) 5.57  S(32) 6.56  S(64) 7.21",
    ]


def failures_told(*failures: FailureReport, failed: int = 0, events: str | None = None) -> list[str]:
    ended = replace(outcome(), failures=failures, failed_attempts=failed or len(failures))
    text = summarise(ended, workers=2).to_text(events=events)
    return [line.strip() for line in text.splitlines() if line.startswith("           ")]


def test_how_a_worker_died_and_what_it_held() -> None:
    why = (
        "worker 1 (process 4711) was killed by SIGKILL; it held 512 MiB of memory (of 1,024 MiB allowed) when last seen"
    )
    failure = replace(
        lost_failure(why, "a.txt, bytes 0 to 9"), exit_code=-9, peak_memory_bytes=512 << 20, limit_bytes=1 << 30
    )
    assert failures_told(FailureReport("map 3", attempt(0, 3), W1, failure, 1.0, "run again")) == [
        "map 3, attempt 1 on worker 1: its worker was killed by SIGKILL at 537 MB of 1.1 GB; ran again"
    ]


def test_an_attempt_that_was_asked_to_end_for_its_memory() -> None:
    failure = Failure(
        FailureKind.MEMORY, "WorkerMemoryError", "it used 325 MiB of the 286 MiB that a worker may use",
        place="a.txt, byte 0", peak_memory_bytes=340_000_000, limit_bytes=300_000_000,
    )  # fmt: skip
    assert failures_told(FailureReport("map 0", attempt(0, 0), W1, failure, 1.0, "run after a rest")) == [
        (
            "map 0, attempt 1 on worker 1: it used 325 MiB of the 286 MiB that a worker may use at a.txt, byte 0; "
            "ran again after a rest"
        )
    ]


def test_many_failures_are_told_where_they_can_be_read() -> None:
    report = FailureReport("map 3", attempt(0, 3, 3), W1, user_failure(), 1.0, "give up")
    told = failures_told(*[report] * 7, failed=1_007, events="out/_events.jsonl")
    assert len(told) == 6
    assert told[0].startswith("map 3, attempt 4 on worker 1") and told[0].endswith("; given up")
    assert told[-1] == "and 1,002 more; see out/_events.jsonl"
    assert failures_told(*[report] * 7)[-1] == "and 2 more"


def test_backups_and_notes() -> None:
    ended = replace(outcome(), backups=3, backups_won=1, notes=("12 of 16 splits were reused",))
    text = summarise(ended, workers=2).to_text()
    assert "  backups  3 attempts beside slow ones, 1 finished first\n" in text
    assert "  note     12 of 16 splits were reused\n" in text


def test_how_a_short_job_would_scale_is_told_on_request_only() -> None:
    summary = summarise(replace(outcome(), seconds=0.9), workers=2)
    assert "Amdahl" not in summary.to_text()
    assert "Amdahl" in summary.to_text(scaling_from_seconds=0.0)
    assert summary.to_json()["predicted_speedups"]


def test_a_failed_job_has_no_scaling() -> None:
    summary = summarise(outcome(OutcomeKind.FAILED), workers=2)
    assert summary.parallel_fraction is None
    assert "all made up for" not in summary.to_text()
    assert "Amdahl" not in summary.to_text()


def test_one_worker_has_no_karp_flatt() -> None:
    summary = summarise(outcome(), workers=1)
    assert summary.karp_flatt is None
    assert "  parallel p = 0.8750\n" in summary.to_text()


def test_json_holds_everything() -> None:
    page = json.loads(json.dumps(summarise(outcome(), workers=2).to_json()))
    assert page["outcome"] == "succeeded"
    assert page["counters"] == {"bad lines": 1234}
    assert page["stages"][0] == {
        "name": "map", "tasks": 2, "seconds": 4.0, "task_seconds": 7.0, "longest_task_seconds": 4.0,
    }  # fmt: skip
    assert page["failures"][0]["place"] == "a.txt, byte 10"
    assert page["predicted_speedups"]["64"] == 7.2113


def test_a_job_on_no_input() -> None:
    empty = replace(outcome(), stages=(), seconds=0.0, failures=(), failed_attempts=0)
    summary = summarise(empty, workers=2)
    assert summary.parallel_fraction is None
    assert summary.to_text().startswith("succeeded in 0 ms on 2 workers")


def test_jobs_of_a_fit_are_one_summary() -> None:
    merged = merge_summaries([summarise(replace(outcome(), notes=("resumed",)), workers=2)] * 3)
    assert merged is not None
    assert merged.to_text().startswith("3 jobs succeeded in 15.0 s on 2 workers")
    assert merged.parallel_fraction == pytest.approx(7 / 8)
    assert [stage.tasks for stage in merged.stages] == [6, 3]
    assert merged.counters == {"bad lines": 3702}
    assert len(merged.notes) == 1  # each says the same
    assert merge_summaries([]) is None

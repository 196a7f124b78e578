"""A pool outlives everything that happens to its workers, and leaves nothing. With real processes."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from mapreduce.dataflow.results import FailureKind
from mapreduce.settings import MiB
from mapreduce.tracker.executor import Cancelled, Failed, Finished, LogLines, Lost, Progress
from mapreduce.workers.pool import Pool
from mapreduce.workers.process import ONE_THREAD, Entry, Start, choose_start
from tests.workers.harness import PATIENCE_SECONDS, Harness
from tests.workers.jobs import ENTRY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and looks into /proc")


def test_worker_runs_attempts_on_its_main_thread(either: Pool) -> None:
    harness = Harness(either)
    assert harness.value("context") == "the context"
    assert harness.value("main thread") is True
    assert harness.value("signals") is True
    assert harness.value("session") is True


def test_worker_has_one_thread_no_input_and_our_folder(either: Pool) -> None:
    harness = Harness(either)
    for name in ONE_THREAD:
        threads, stdin, folder, path = harness.value("environment", name)
        assert (threads, stdin, folder) == ("1", "", os.getcwd())
        assert path == sys.path


def test_fork_only_where_no_thread_runs() -> None:
    assert (choose_start() is Start.FORK) == (len(os.listdir("/proc/self/task")) == 1)
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        assert choose_start() is Start.EXEC
    finally:
        release.set()
        thread.join()


def test_a_worker_holds_no_channel_of_others(pool: Pool) -> None:
    others = Pool(3, entry=ENTRY, start=Start.FORK)
    late = Pool(1, entry=ENTRY, start=Start.FORK)
    try:
        expected = Harness(pool).value("fds")
        assert Harness(late).value("fds") == expected
    finally:
        others.close()
        late.close()


def test_queued_attempts_run_in_order(pool: Pool) -> None:
    harness = Harness(pool)
    first, second = harness.start("nothing", 1), harness.start("nothing", 2)
    harness.until(Finished, 2)
    assert [report.attempt for report in harness.reports if isinstance(report, Finished)] == [first, second]


def test_large_specs_and_results(pool: Pool) -> None:
    payload = "x" * (20 * MiB)  # a hundred times what a channel takes at once
    assert Harness(pool).value("nothing", payload) == payload


def test_spec_that_cannot_be_pickled_is_a_failure(pool: Pool) -> None:
    harness = Harness(pool)
    harness.start("nothing", lambda: None)
    assert "pickle" in harness.until(Failed).failure.message.lower()
    assert harness.value("nothing", 1) == 1


@pytest.mark.parametrize(
    ("kind", "type_name", "message", "comes_along"),
    [
        ("value", "ValueError", "wrong", True),
        ("unpicklable", "Unpicklable", "holds a lock", False),
        ("not unpicklable", "NotUnpicklable", "a b", False),
        ("sly", "Sly", "", False),
        ("interrupt", "KeyboardInterrupt", "", True),
        ("exit", "SystemExit", "3", True),
    ],
)
def test_whatever_is_raised_is_the_attempts_failure(
    pool: Pool, kind: str, type_name: str, message: str, comes_along: bool
) -> None:
    harness = Harness(pool)
    pid = harness.value("pid")
    harness.start("raise", kind)
    failure = harness.until(Failed).failure
    assert (failure.type_name, failure.kind) == (type_name, FailureKind.USER)
    assert message in failure.message
    assert "jobs.py" in failure.traceback
    assert "worker.py" not in failure.traceback
    assert (failure.record, failure.place) == ("the record", "file.txt, byte 7")
    assert (failure.pickled is not None) == comes_along
    assert harness.value("pid") == pid


def test_endless_recursion_is_a_failure(pool: Pool) -> None:
    harness = Harness(pool)
    harness.start("deep", 0)
    assert harness.until(Failed).failure.type_name == "RecursionError"


def test_job_that_does_not_unpack_fails_its_attempts(pool: Pool) -> None:
    harness = Harness(pool, "broken")
    harness.start("nothing")
    assert harness.until(Failed).failure.kind is FailureKind.USAGE


def test_job_that_kills_its_worker_when_unpacked_is_lost_with_the_attempt(pool: Pool) -> None:
    harness = Harness(pool, "deadly")
    attempt = harness.start("nothing")
    lost = harness.until(Lost)
    assert lost.running == attempt
    assert "exit code 5" in lost.reason


def test_result_that_cannot_be_pickled_is_a_failure() -> None:
    odd = Pool(1, entry=Entry(ENTRY.unpack, "tests.workers.jobs:run_oddly"), start=Start.FORK)
    try:
        harness = Harness(odd)
        harness.start("nothing")
        assert "pickle" in harness.until(Failed).failure.message
    finally:
        odd.close()


def test_cancel_reaches_running_and_queued(pool: Pool) -> None:
    harness = Harness(pool)
    worker = harness.worker()
    running, queued = harness.start("obedient", 60), harness.start("nothing")
    harness.until(Progress)
    harness.executor.cancel(queued, worker)
    harness.executor.cancel(running, worker)
    harness.executor.cancel(running, worker)
    harness.until(Cancelled, 2)
    assert harness.value("nothing", 5) == 5
    harness.executor.cancel(running, worker)  # long over
    assert not any(isinstance(report, Lost) for report in harness.reports)


def test_attempt_that_ignores_its_cancel_costs_its_worker(pool: Pool) -> None:
    harness = Harness(pool)
    attempt = harness.start("stubborn", "")
    harness.executor.cancel(attempt, harness.until(Progress).sample.worker)
    assert "did not end a cancelled attempt" in harness.until(Lost).reason


def test_jobs_follow_each_other_on_the_same_worker(pool: Pool) -> None:
    first = Harness(pool, "one")
    assert first.value("context") == "one"
    pid = first.value("pid")
    first.start("obedient", 60)
    first.until(Progress)
    first.executor.close()
    second = Harness(pool, "two")
    assert second.value("context") == "two"
    assert second.value("pid") == pid
    assert all(not isinstance(report, Cancelled) for report in second.reports)


def test_closing_a_job_ends_a_stubborn_attempt(pool: Pool) -> None:
    first = Harness(pool)
    first.start("stubborn", "")
    first.until(Progress)
    first.executor.close()
    assert Harness(pool).value("nothing", 3) == 3


def test_what_an_attempt_starts_ends_with_its_worker(pool: Pool) -> None:
    harness = Harness(pool)
    orphan = harness.value("orphan")
    pool.close()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Path(f"/proc/{orphan}").exists() and "Z" not in Path(f"/proc/{orphan}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_what_is_printed_is_tagged_with_its_attempt(either: Pool) -> None:
    harness = Harness(either)
    first, second = harness.start("print", "hello"), harness.start("print", "again")
    harness.until(Finished, 2)
    for attempt, text in ((first, "hello"), (second, "again")):
        logs = [report for report in harness.reports if isinstance(report, LogLines)]
        lines = "".join(report.text for report in logs if report.attempt == attempt).splitlines()
        assert sorted(lines) == sorted([text, "to stderr", "from C", "from a program"])


def test_more_output_than_a_pipe_holds(pool: Pool) -> None:
    harness = Harness(pool)
    harness.start("print", "x" * 5 * MiB)
    harness.until(Finished)
    assert harness.log().count("x") == 5 * MiB


def test_progress_comes_while_an_attempt_runs(pool: Pool) -> None:
    harness = Harness(pool)
    attempt = harness.start("obedient", 60)
    sample = harness.until(Progress, 2).sample
    assert sample.attempt == attempt
    assert sample.memory_bytes > MiB
    assert sample.cpu_percent > 0

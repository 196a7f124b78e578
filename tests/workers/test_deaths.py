"""What ends a worker: is it named and replaced, and does it end with its tracker? With real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mapreduce.dataflow.results import FailureKind
from mapreduce.settings import MiB
from mapreduce.tracker.executor import Cancelled, Finished, Lost, NoWorkers, Progress
from mapreduce.workers.member import PACKAGE, without_our_frames
from mapreduce.workers.pool import Pool
from mapreduce.workers.process import Entry, Start
from mapreduce.workers.worker import EXIT_OVER_LIMIT
from tests.workers.harness import PATIENCE_SECONDS, Harness, children
from tests.workers.jobs import ENTRY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and looks into /proc")


@pytest.mark.parametrize(
    ("action", "argument", "reason"),
    [
        ("kill", None, "was killed by SIGKILL"),
        ("segfault", None, "was killed by SIGSEGV"),
        ("exit", 0, "ended with exit code 0 though it had work"),
        ("exit", 3, "ended with exit code 3"),
        ("close", None, "ended with exit code 1|closed its channel to the tracker"),  # all its descriptors
    ],
)
def test_dead_worker_is_named_and_replaced(pool: Pool, action: str, argument: Any, reason: str) -> None:
    harness = Harness(pool)
    pid = harness.value("pid")
    attempt = harness.start(action, argument)
    harness.start("nothing")  # goes down with it
    lost = harness.until(Lost)
    assert lost.running == attempt
    assert re.search(reason, lost.reason)
    assert f"worker {lost.worker} (process {pid})" in lost.reason
    assert "out of memory" not in lost.reason  # it had next to none
    assert harness.worker() != lost.worker
    assert harness.value("pid") != pid


@pytest.mark.parametrize("missing", [["pidfd_open"], ["pidfd_open", "waitid"]], ids=["no pidfd", "no waitid"])
def test_systems_that_tell_less_of_a_process(missing: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in missing:
        monkeypatch.delattr(os, name)
    alive = children()
    pool = Pool(1, entry=ENTRY)
    try:
        harness = Harness(pool)
        pid = harness.value("pid")
        harness.start("exit", 3)
        assert "ended with exit code 3" in harness.until(Lost).reason
        assert harness.value("pid") != pid
    finally:
        pool.close()
    assert children() == alive


def test_segmentation_fault_leaves_its_traceback(pool: Pool) -> None:
    harness = Harness(pool)
    harness.start("segfault")
    harness.until(Lost)
    assert "Segmentation fault" in harness.log()
    assert "jobs.py" in harness.log()


CRASH = """it printed this
Fatal Python error: Segmentation fault

Current thread 0x1 (most recent call first):
  File "/home/me/job.py", line 7 in map
  File "{package}reducers/base.py", line 115 in add_pairs
  File "{package}workers/worker.py", line 138 in _attempt
  File "/home/me/script.py", line 20 in <module>

Extension modules: numpy (total: 1)
"""


def test_a_crash_is_told_without_the_frames_that_led_to_the_fork() -> None:
    words = without_our_frames(CRASH.replace("{package}", PACKAGE))
    assert "it printed this" in words
    assert 'job.py", line 7 in map' in words
    assert "script.py" not in words
    assert "Extension modules" in words
    assert without_our_frames("Killed\n") == "Killed\n"


def test_worker_over_its_memory_is_ended_and_says_so(pool: Pool) -> None:
    harness = Harness(pool, memory_bytes=60 * MiB)
    harness.start("allocate", MiB)
    lost = harness.until(Lost)
    assert "of the 60 MiB that a worker may use" in lost.reason
    failure = lost.failure
    assert failure is not None
    assert failure.kind is FailureKind.MEMORY
    assert 57 * MiB <= failure.peak_memory_bytes
    assert (failure.limit_bytes, failure.exit_code) == (60 * MiB, EXIT_OVER_LIMIT)


def test_task_that_looks_is_asked_to_end_before_its_worker_is(pool: Pool) -> None:
    harness = Harness(pool, memory_bytes=400 * MiB)
    running = harness.start("allocate and look", 4 * MiB)
    harness.start("nothing")
    lost = harness.until(Lost)
    failure = lost.failure
    assert failure is not None
    assert lost.running == running
    assert failure.kind is FailureKind.MEMORY
    assert failure.record == "the record in hand"
    assert "in _allocate_and_look" in failure.traceback
    assert 360 * MiB <= failure.peak_memory_bytes < 400 * MiB
    assert harness.value("pid") != 0  # a new worker


def test_memory_error_of_user_code_ends_its_worker_too(pool: Pool) -> None:
    harness = Harness(pool)
    pid = harness.value("pid")
    harness.start("raise", "memory")
    failure = harness.until(Lost).failure
    assert failure is not None
    assert (failure.kind, failure.message) == (FailureKind.MEMORY, "no room")
    assert failure.record == "the record"
    assert harness.value("pid") != pid  # what it keeps is no burden to others


def test_large_worker_that_was_killed_probably_wanted_memory(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(pool)
    monkeypatch.setattr("mapreduce.workers.member.is_much", lambda memory_bytes, limit_bytes: memory_bytes > 0)
    harness.start("stubborn", "")
    sample = harness.until(Progress).sample
    os.kill(sample.pid, signal.SIGKILL)
    lost = harness.until(Lost)
    assert lost.failure is not None
    assert lost.failure.kind is FailureKind.MEMORY
    assert lost.failure.exit_code == -signal.SIGKILL
    assert lost.failure.peak_memory_bytes > 0
    assert "if nobody did so by hand the kernel ran out of memory" in lost.reason


def test_stopped_worker_is_replaced_when_it_does_not_go_on(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.workers.pool.STOPPED_SECONDS", 0.3)
    monkeypatch.setattr("mapreduce.workers.pool.LOOK_SECONDS", 0.1)
    harness = Harness(pool)
    attempt = harness.start("stubborn", "")
    sample = harness.until(Progress).sample
    os.kill(sample.pid, signal.SIGSTOP)
    lost = harness.until(Lost)
    assert lost.running == attempt
    assert "was stopped by a signal, and did not go on for 0.3 s" in lost.reason
    assert harness.value("pid") != sample.pid


def test_silent_worker_that_works_is_left_alone(pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mapreduce.workers.pool.STOPPED_SECONDS", 0.0)
    monkeypatch.setattr("mapreduce.workers.pool.LOOK_SECONDS", 0.0)
    harness = Harness(pool)
    harness.start("greedy", str(tmp_path / "pid"))
    harness.until(Progress)
    for _ in range(5):
        harness.reports += harness.executor.wait(0.1)
    assert not any(isinstance(report, Lost) for report in harness.reports)


def test_stopped_worker_lets_go_of_a_cancelled_attempt_by_its_death(pool: Pool) -> None:
    harness = Harness(pool)
    attempt = harness.start("obedient", 60)
    sample = harness.until(Progress).sample
    os.kill(sample.pid, signal.SIGSTOP)
    harness.executor.cancel(attempt, harness.worker())
    assert "did not end a cancelled attempt" in harness.until(Lost).reason


def test_worker_that_cannot_answer_does_not_die_for_what_waits(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mapreduce.workers.pool.CANCEL_SECONDS", 0.2)
    harness = Harness(pool)
    running = harness.start("greedy", str(tmp_path / "pid"))
    waiting = harness.start("nothing")
    harness.until(Progress)
    wait_for(tmp_path / "pid")  # from now on it holds on to the interpreter
    harness.executor.cancel(waiting, harness.worker())
    for _ in range(5):
        harness.reports += harness.executor.wait(0.1)
    assert not any(isinstance(report, Lost) for report in harness.reports)
    harness.executor.cancel(running, harness.worker())
    assert "did not end a cancelled attempt" in harness.until(Lost).reason


def test_cancel_of_what_waits_must_be_obeyed_when_its_turn_comes(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.workers.pool.CANCEL_SECONDS", 0.2)
    harness = Harness(pool)
    harness.start("obedient", 0.3)
    waiting = harness.start("nothing")
    harness.executor.cancel(waiting, harness.worker())
    assert harness.until(Cancelled).attempt == waiting
    harness.until(Finished)
    assert harness.value("pid")  # and the worker lives


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_close_ends_stopped_workers(pool: Pool) -> None:
    harness = Harness(pool)
    harness.start("obedient", 60)
    pid = harness.until(Progress).sample.pid
    os.kill(pid, signal.SIGSTOP)
    pool.close()
    assert not Path(f"/proc/{pid}").exists()


def test_workers_that_die_at_their_start_end_in_an_error() -> None:
    hopeless = Pool(2, entry=Entry("tests.workers.jobs:no_such", ENTRY.run_attempt), start=Start.FORK)
    try:
        harness = Harness(hopeless)
        reason = harness.until(NoWorkers).reason
        assert "die at their start" in reason
        assert "no_such" in reason
    finally:
        hopeless.close()


def test_idle_worker_that_died_between_jobs_is_replaced(pool: Pool) -> None:
    first = Harness(pool)
    pid = first.value("pid")
    first.executor.close()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert Harness(pool).value("pid") != pid


TRACKER = """
import sys, time
from mapreduce.engines.local import LocalExecutor
from mapreduce.ids import AttemptId, TaskId
from mapreduce.workers.pool import Pool
from mapreduce.workers.process import Start
from tests.workers.jobs import ENTRY
pool = Pool(2, entry=ENTRY, start=Start(sys.argv[1]))
executor = LocalExecutor(pool, lambda: "context")
while len(executor.workers()) < 2:
    executor.wait(1)
for number, worker in enumerate(executor.workers()):
    executor.start(AttemptId(TaskId(0, number), 0), worker, (sys.argv[2], sys.argv[3 + number]))
while True:
    executor.wait(1)
"""


@pytest.mark.parametrize("start", ["fork", "exec"])
@pytest.mark.parametrize("action", ["stubborn", "greedy"])
def test_workers_end_when_their_tracker_is_killed(tmp_path: Path, start: str, action: str) -> None:
    notes = [tmp_path / "0", tmp_path / "1"]
    tracker = subprocess.Popen([sys.executable, "-c", TRACKER, start, action, *map(str, notes)])
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(note.exists() and note.read_text() for note in notes):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        pids = [int(note.read_text()) for note in notes]
    finally:
        tracker.kill()
        tracker.wait()
    killed = time.monotonic()
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < killed + 1
        time.sleep(0.005)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False

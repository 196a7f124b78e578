"""A pool outlives everything that happens to its workers, and leaves nothing. With real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mapreduce.dataflow.results import FailureKind
from mapreduce.engines.local import LocalExecutor
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.settings import MiB
from mapreduce.tracker.executor import Cancelled, Failed, Finished, LogLines, Lost, NoWorkers, Progress, Ready, Report
from mapreduce.workers.member import PACKAGE, without_our_frames
from mapreduce.workers.pool import Pool
from mapreduce.workers.process import ONE_THREAD, Entry, Start, choose_start
from mapreduce.workers.worker import EXIT_OVER_LIMIT
from tests.workers.jobs import ENTRY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and looks into /proc")

PATIENCE_SECONDS = 20.0
R = TypeVar("R")


class Harness:
    """An executor with all that it ever reported."""

    def __init__(self, pool: Pool, package: object = "the context", memory_bytes: int = 0) -> None:
        self.pool = pool
        self.executor = LocalExecutor(pool, package, memory_bytes)
        self.reports: list[Report] = []
        self.attempts = 0

    def until(self, kind: type[R], count: int = 1) -> R:
        """Wait for the `count`-th report of a kind."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found := [report for report in self.reports if isinstance(report, kind)]) < count:
            assert time.monotonic() < deadline, f"no {kind.__name__} among {self.reports}"
            self.reports += self.executor.wait(0.5)
        return found[count - 1]

    def worker(self) -> WorkerId:
        while not (ready := self.executor.workers()):
            self.until(Ready, 1 + sum(isinstance(report, Ready) for report in self.reports))
        return ready[0]

    def start(self, action: str, argument: Any = None, worker: WorkerId | None = None) -> AttemptId:
        attempt = AttemptId(TaskId(0, self.attempts), 0)
        self.attempts += 1
        self.executor.start(attempt, self.worker() if worker is None else worker, (action, argument))
        return attempt

    def value(self, action: str, argument: Any = None) -> Any:
        """What an attempt returns."""
        self.start(action, argument)
        done = self.until(Finished, 1 + sum(isinstance(report, Finished) for report in self.reports))
        return eval((done.result.output.inline or b"").decode())

    def log(self) -> str:
        return "".join(report.text for report in self.reports if isinstance(report, LogLines))


@pytest.fixture(params=[Start.FORK, Start.EXEC], ids=["fork", "exec"])
def either(request: pytest.FixtureRequest) -> Iterator[Pool]:
    yield from _pool(request.param)


@pytest.fixture
def pool() -> Iterator[Pool]:
    yield from _pool(Start.FORK)


def _children() -> set[str]:
    """Our processes, zombies included; other tests' engines may live for the whole session."""
    lists = [thread / "children" for thread in Path("/proc/self/task").iterdir()]
    return {pid for path in lists for pid in path.read_text().split()}


def _pool(start: Start) -> Iterator[Pool]:
    before, children = set(os.listdir("/proc/self/fd")), _children()
    pool = Pool(1, entry=ENTRY, start=start)
    yield pool
    pool.close()
    pool.close()
    assert set(os.listdir("/proc/self/fd")) == before
    assert _children() == children


# --- what a worker is


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


# --- what attempts do to a worker that lives on


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


# --- what ends a worker


@pytest.mark.parametrize(
    ("action", "argument", "reason"),
    [
        ("kill", None, "was killed by SIGKILL"),
        ("segfault", None, "was killed by SIGSEGV"),
        ("exit", 0, "ended with exit code 0 though it had work"),
        ("exit", 3, "ended with exit code 3"),
        ("close", None, "ended with exit code 1"),  # all its descriptors
    ],
)
def test_dead_worker_is_named_and_replaced(pool: Pool, action: str, argument: Any, reason: str) -> None:
    harness = Harness(pool)
    pid = harness.value("pid")
    attempt = harness.start(action, argument)
    harness.start("nothing")  # goes down with it
    lost = harness.until(Lost)
    assert lost.running == attempt
    assert reason in lost.reason
    assert f"worker {lost.worker} (process {pid})" in lost.reason
    assert "out of memory" not in lost.reason  # it had next to none
    assert harness.worker() != lost.worker
    assert harness.value("pid") != pid


@pytest.mark.parametrize("missing", [["pidfd_open"], ["pidfd_open", "waitid"]], ids=["no pidfd", "no waitid"])
def test_systems_that_tell_less_of_a_process(missing: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in missing:
        monkeypatch.delattr(os, name)
    children = _children()
    pool = Pool(1, entry=ENTRY)
    try:
        harness = Harness(pool)
        pid = harness.value("pid")
        harness.start("exit", 3)
        assert "ended with exit code 3" in harness.until(Lost).reason
        assert harness.value("pid") != pid
    finally:
        pool.close()
    assert _children() == children


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
  File "{package}reducers.py", line 115 in add_pairs
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
    os.kill(harness.until(Progress).sample.pid, signal.SIGSTOP)
    pool.close()  # the fixture sees that none is left


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


# --- cancelling, and job after job


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


# --- what is printed, and how far it is


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


# --- the end of the tracker

TRACKER = """
import sys, time
from mapreduce.engines.local import LocalExecutor
from mapreduce.ids import AttemptId, TaskId
from mapreduce.workers.pool import Pool
from mapreduce.workers.process import Start
from tests.workers.jobs import ENTRY
pool = Pool(2, entry=ENTRY, start=Start(sys.argv[1]))
executor = LocalExecutor(pool, "context")
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

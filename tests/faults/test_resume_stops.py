"""Ctrl-C, SIGTERM and SIGKILL of a real command: it ends in time, leaves what the next run goes on from and nothing
else, and the folder is nobody's any more. Two runs at once are refused."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mapreduce.storage.leftovers import (
    find_dead_folders,
    make_temporary_folder,
    remove_dead_folders,
    remove_temporary_folder,
)
from tests.conftest import ROOT, CliResult
from tests.faults.killed_runs import die, finished_tasks, hash_of, in_child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

JOB = """
import os, time
import mapreduce as mr

class Slow(mr.Job):
    "Counts words; a task waits at a line 'wait' until somebody makes the file that it names."
    reduce = mr.Mean()

    def map(self, line):
        word, _, path = line.partition(" ")
        while word == "wait" and not os.path.exists(path):
            time.sleep(0.005)
        yield word, 0.1 * len(line)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The last of three maps waits until this file is there."""
    (tmp_path / "slow.py").write_text(JOB)
    gate = tmp_path / "gate"
    (tmp_path / "in.txt").write_text("a 1\nb 22\n" * 20 + "c 3\na 1\n" * 20 + "a 123\n" * 20 + "wait gate\n")
    return gate


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command as a process group of its own."""
    started: list[subprocess.Popen[str]] = []

    def begin(*more: str, out: str = "out") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mapreduce", "run", "slow.py:Slow", "in.txt", "-o", out, "--split-size", "170"]
        process = subprocess.Popen(
            [*command, "--workers", "2", *more], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def workers_of(pid: int) -> list[int]:
    pids: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        pids += map(int, (thread / "children").read_text().split())
    return pids


def stop(process: subprocess.Popen[str], tmp_path: Path, send: Callable[[], None], seconds: float) -> str:
    """Stop a command that has finished all maps but the one that waits; what it said. No worker may be left."""
    wait_for(lambda: len(finished_tasks(tmp_path / "out")) == 2, process)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    send()
    asked = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - asked < seconds
    wait_until_gone(workers)
    return said


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def undisturbed(run_cli: Callable[..., CliResult], tmp_path: Path) -> str:
    done = run_cli("run", "slow.py:Slow", "in.txt", "-o", "whole", "--split-size", "170", "--inline")
    assert done.rc == 0, done.err
    return hash_of(tmp_path / "whole")


LEFT = "what was finished is kept in out: the same command goes on from there, `mapreduce clean out` removes it\n"


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_stopped_in_order(
    number: int, code: int, word: str, tmp_path: Path, gate: Path, start: Start, run_cli: Callable[..., CliResult]
) -> None:
    process = start("-q")
    said = stop(process, tmp_path, lambda: os.killpg(process.pid, number), 3)
    assert process.returncode == code
    assert said == f"error: {word}\n{LEFT}"
    assert sorted(path.name for path in (tmp_path / "out" / "_job").glob("[asp]*/*")) == ["0-0-0.seg", "0-1-0.seg"]
    gate.touch()
    again = start()
    _, said = again.communicate(timeout=30)
    assert again.returncode == 0, said
    assert re.match(
        r"resuming: 2 of 4 tasks were finished by the run that ended at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\n", said
    )
    assert re.search(r"\n  note     resumed: 2 of 4 tasks", said)
    assert hash_of(tmp_path / "out") == undisturbed(run_cli, tmp_path)


def test_interrupted_twice(tmp_path: Path, gate: Path, start: Start) -> None:
    """The second one finds it ending, or ended."""

    def twice() -> None:
        os.killpg(process.pid, signal.SIGINT)
        os.killpg(process.pid, signal.SIGINT)

    process = start("-q")
    said = stop(process, tmp_path, twice, 3)
    assert process.returncode == 130
    assert said == f"error: interrupted\n{LEFT}"
    assert len(finished_tasks(tmp_path / "out")) == 2


def test_killed_and_nobody_holds_the_folder(
    tmp_path: Path, gate: Path, start: Start, run_cli: Callable[..., CliResult]
) -> None:
    """A second run is refused while the first lives, and goes on as soon as it is dead; -q keeps silent about it."""
    first = start()
    wait_for(lambda: len(finished_tasks(tmp_path / "out")) == 2, first)
    second = start()
    _, said = second.communicate(timeout=30)
    assert second.returncode == 2
    assert said == (
        f"error: another run is writing to out (pid {first.pid}); wait for it, or choose another output folder\n"
    )
    assert len(finished_tasks(tmp_path / "out")) == 2
    stop(first, tmp_path, first.kill, 3)
    assert first.returncode == -signal.SIGKILL
    gate.touch()
    third = start("-q")
    _, said = third.communicate(timeout=30)
    assert (third.returncode, said) == (0, "")
    assert hash_of(tmp_path / "out") == undisturbed(run_cli, tmp_path)


def test_a_stopped_worker_keeps_no_lock(tmp_path: Path, gate: Path, start: Start) -> None:
    """It was started in the place of one that died, so it has copies of what its parent had open."""
    first = start("--max-attempts", "9")
    wait_for(lambda: len(finished_tasks(tmp_path / "out")) == 2, first)
    before = workers_of(first.pid)
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: len(workers_of(first.pid)) == 2 and workers_of(first.pid) != before, first)
    (newest,) = set(workers_of(first.pid)) - set(before)
    wait_for(lambda: os.readlink(f"/proc/{newest}/fd/1") != os.readlink(f"/proc/{first.pid}/fd/1"), first)
    os.kill(newest, signal.SIGSTOP)
    try:
        first.kill()
        first.communicate()
        gate.touch()
        second = start()
        _, said = second.communicate(timeout=30)
        assert second.returncode == 0, said
    finally:
        os.kill(newest, signal.SIGKILL)
        wait_until_gone([newest])


def test_killed_at_any_instant(tmp_path: Path, gate: Path, start: Start, run_cli: Callable[..., CliResult]) -> None:
    gate.touch()
    whole = undisturbed(run_cli, tmp_path)
    rng = random.Random(11)
    for _ in range(3):
        process = start("--json")
        time.sleep(rng.uniform(0.05, 0.5))
        workers = workers_of(process.pid) if process.poll() is None else []
        process.kill()
        process.communicate()
        wait_until_gone(workers)
    process = start("--json")
    out, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert json.loads(out)
    assert hash_of(tmp_path / "out") == whole


def test_nothing_finished_nothing_left(tmp_path: Path, gate: Path, start: Start) -> None:
    (tmp_path / "in.txt").write_text("wait gate\n")
    process = start("-q")
    wait_for(lambda: (tmp_path / "out" / "_job" / "journal").exists(), process)
    wait_for(lambda: len(workers_of(process.pid)) == 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert said == "error: interrupted\n"
    assert not (tmp_path / "out" / "_job").exists()


# --- temporary folders


def test_temporary_folders_of_the_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours = make_temporary_folder("cache")

    def make_and_die() -> None:
        (make_temporary_folder() / "part-00000").write_text("x" * 100)
        die()

    def make_and_leave() -> None:
        make_temporary_folder("stdin")
        remove_temporary_folder(ours)  # of the parent

    assert in_child(make_and_die) == -signal.SIGKILL
    assert in_child(make_and_leave) == 0
    (tmp_path / "mapreduce-of-another").mkdir()
    (tmp_path / "mapreduce-a-file").touch()
    (tmp_path / "mapreduce-link").symlink_to(ours)
    dead = find_dead_folders()
    assert len(dead) == 2
    assert ours not in dead
    assert remove_dead_folders() == dead
    assert find_dead_folders() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [ours.name, "mapreduce-of-another", "mapreduce-a-file", "mapreduce-link"]
    )
    remove_temporary_folder(ours)
    assert not ours.exists()


def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path, gate: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "mapreduce", "run", "slow.py:Slow", "-", "--split-size", "170", "--inline"]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    first = subprocess.Popen(command, cwd=tmp_path, env=settings, stdin=subprocess.PIPE, text=True)
    assert first.stdin is not None
    first.stdin.write((tmp_path / "in.txt").read_text())
    first.stdin.close()
    wait_for(lambda: list(temporary.glob("mapreduce-*/_job/segments/0-1-0.seg")), first)
    first.kill()
    first.wait()
    assert len(list(temporary.iterdir())) == 2  # its output, and what it had read from stdin
    gate.touch()
    with (tmp_path / "in.txt").open() as stdin:
        subprocess.run(command, cwd=tmp_path, env=settings, stdin=stdin, check=True, timeout=30, capture_output=True)
    assert list(temporary.iterdir()) == []

"""Workers that come back after they were given up: late, unwanted, and harmless."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mapreduce as mr
from mapreduce.ids import AttemptId, TaskId
from mapreduce.tracker.commands import CancelAttempt, Command, Commit, Discard, StartAttempt
from mapreduce.tracker.events import AttemptCancelled, AttemptFinished, Event
from mapreduce.tracker.observer import Observer, WorkerSample
from tests.faults.test_stragglers import SlowMean, contents, dataset_in, undisturbed

if TYPE_CHECKING:
    from mapreduce.tracker.plan import Plan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="stops processes, and looks into /proc")


class Zombie(Observer):
    """Stops a worker at its work, and wakes it when the tracker does something about that."""

    def __init__(self, wake: type[Command]) -> None:
        self.wake = wake
        self.pid = 0
        self.task: TaskId | None = None
        self.late: list[Event] = []
        self.commits: Counter[TaskId] = Counter()
        self.discarded: list[AttemptId] = []

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        for sample in samples:
            if not self.pid and sample.attempt is not None:
                self.pid, self.task = sample.pid, sample.attempt.task
                os.kill(self.pid, signal.SIGSTOP)

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        if self.task is None:
            self.commits.update(command.attempt.task for command in commands if isinstance(command, Commit))
            return
        if isinstance(event, AttemptFinished | AttemptCancelled) and event.attempt == AttemptId(self.task, 0):
            self.late.append(event)
        for command in commands:
            if isinstance(command, Commit):
                self.commits[command.attempt.task] += 1
            elif isinstance(command, Discard):
                self.discarded.append(command.attempt)
            if isinstance(command, self.wake) and self._concerns(command):
                os.kill(self.pid, signal.SIGCONT)

    def _concerns(self, command: Command) -> bool:
        if isinstance(command, StartAttempt):
            return command.backup and command.attempt.task == self.task
        return isinstance(command, CancelAttempt) and command.attempt.task == self.task

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        self.tasks = plan.tasks


@pytest.mark.parametrize("wake", [StartAttempt, CancelAttempt], ids=["beside its backup", "after its backup won"])
def test_a_zombie_commits_nothing_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wake: type[Command]) -> None:
    monkeypatch.setattr("mapreduce.tracker.policy.SILENCE_SECONDS", 1.0)
    whole = undisturbed(tmp_path, "2KB")
    zombie = Zombie(wake)
    result = mr.run(
        SlowMean(), dataset_in(tmp_path), output=tmp_path / "zombie", workers=2, split_size="2KB", observer=zombie
    )
    assert contents(tmp_path / "zombie") == whole
    assert zombie.pid
    assert set(zombie.commits.values()) == {1}
    assert len(zombie.commits) == zombie.tasks
    assert result.failures == []
    assert sorted(path.name for path in (tmp_path / "zombie").iterdir() if path.is_dir()) == []


SLOW_JOB = """
import time
import mapreduce as mr

class Slow(mr.Job):
    reduce = mr.Sum()
    def map(self, line):
        time.sleep(0.05)
        yield line, 1
"""


def test_stopped_workers_end_with_their_tracker(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_JOB)
    (tmp_path / "input.txt").write_text("a\n" * 10_000)
    command = [
        sys.executable,
        "-m",
        "mapreduce",
        "run",
        "slow.py:Slow",
        "input.txt",
        "--workers",
        "2",
        "--output",
        "out",
    ]
    path = os.pathsep.join([str(Path(mr.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as tracker:
        try:
            workers = busy_children(tracker.pid)
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
        finally:
            tracker.kill()
    assert wait_until(lambda: not any(map(runs, workers)))


def busy_children(pid: int) -> list[int]:
    """Both workers, once each has worked for a while."""
    children: list[int] = []

    def look() -> bool:
        children[:] = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return len(children) == 2

    assert wait_until(look)
    time.sleep(1.0)  # they ask the kernel to end with their tracker when they have been busy for a moment
    return children


def wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

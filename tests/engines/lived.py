"""What the tests of real agents have in common: jobs, hosts that are processes of this machine, and waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

import mapreduce as mr

Array = np.ndarray[Any, Any]


class Words(mr.Job):
    """Word count; each map waits while the gate is closed."""

    reduce = mr.Sum()

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        if self.folder:
            wait_at_gate(self.folder)
        for word in line.split():
            yield word, 1


class Sums(mr.Fold):
    """A float sum, whose bits tell the order of addition; each map waits while the gate is closed."""

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def map(self, block: Any) -> Array:
        if self.folder:
            wait_at_gate(self.folder)
        return np.array([sum(float(line) / 3 for line in block.records())])

    def reduce(self, a: Array, b: Array) -> Array:
        return a + b


def wait_at_gate(folder: str) -> None:
    """Say that somebody is here, and wait until the gate opens. The agent is our parent."""
    Path(folder, f"at-{os.getppid()}").touch()
    while not Path(folder, "open").exists() and not Path(folder, f"open-{os.getppid()}").exists():
        time.sleep(0.01)


def wait_until(seen: Callable[[], Any], what: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.01)


def wait_for_workers(engine: mr.Engine, count: int) -> None:
    """Until so many have joined a cluster that has been begun: each host that comes later is one more connection."""
    wait_until(lambda: engine._cluster is not None and engine._cluster.worker_count() == count, f"{count} workers")


def make_lines(folder: Path, lines: int = 400) -> Path:
    path = folder / "lines.txt"
    path.write_text("".join(f"{row * 7919 % 1000} {row % 17} {row % 3}\n" for row in range(lines)))
    return path


def make_numbers(folder: Path, count: int = 400) -> Path:
    path = folder / "numbers.txt"
    path.write_text("".join(f"{row * 7919 % 1000}.{row}\n" for row in range(count)))
    return path


class HandAgents:
    """Agents begun by hand, at an address where a tracker will listen."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def begin(self, name: str, *more: str, workers: int = 1) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mapreduce", "agent", self.address, "--name", name, "--workers", str(workers)]
        root = str(Path(__file__).resolve().parents[2])
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))}
        self.running[name] = subprocess.Popen([*command, *more], stderr=subprocess.PIPE, env=env)
        return self.running[name]

    def hear(self, name: str, words: str) -> str:
        """What an agent says, to the line with these words, or to its end."""
        said: list[str] = []
        stderr = self.running[name].stderr
        assert stderr is not None
        for line in stderr:
            said.append(line.decode())
            if words in said[-1]:
                break
        return "".join(said)

    def end(self, name: str) -> tuple[int, str]:
        """Exit code and last words of an agent that ends or has been told to."""
        process = self.running.pop(name)
        _, said = process.communicate(timeout=10)
        return process.returncode, said.decode()

    def close(self) -> None:
        for process in self.running.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.terminate()
        for name in list(self.running):
            self.end(name)


@contextmanager
def hand_agents(port: int) -> Iterator[HandAgents]:
    agents = HandAgents(f"127.0.0.1:{port}")
    try:
        yield agents
    finally:
        agents.close()

"""How long did a command take, and how much memory did all of its processes hold?

The command runs as a process group of its own on the CPUs that we are pinned to. Memory is sampled over the whole
tree of processes twenty times a second: the sum of what is resident (shared pages count once a process), and the
kernel's high-water mark of the largest process. (What wait4 reports is no use: it includes the parent's, from fork.)
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.05
CPUS = 2


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one command. `started` is Unix time."""

    started: float
    seconds: float
    tree_bytes: int  # peak of the sum over the process tree, sampled
    process_bytes: int  # peak of the largest process
    exit_code: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: resident in the whole tree, and the high-water mark of its largest process."""

    resident: int
    largest: int


def pin_to_two_cpus() -> None:
    """Keep this process, and what it starts, on two CPUs. Does nothing where affinity is unknown."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CPUS])


def tree_memory(pid: int) -> Memory:
    """Resident bytes of a process and its descendants now, and the most that any of them ever had; 0 without /proc."""
    resident, largest, waiting = 0, 0, [str(pid)]
    while waiting:
        folder = Path("/proc", waiting.pop())
        try:
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
            resident += 1024 * int(status["VmRSS"].split()[0])
            largest = max(largest, 1024 * int(status["VmHWM"].split()[0]))
            for thread in (folder / "task").iterdir():
                waiting += (thread / "children").read_text().split()
        except (OSError, KeyError):  # it ended while we looked
            continue
    return Memory(resident, largest)


def measure(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout_seconds: float = 3600
) -> Measurement:
    """Run a command to its end; what is left of its process group is killed."""
    peak, largest, done = 0, 0, threading.Event()

    def sample() -> None:
        nonlocal peak, largest
        while not done.wait(SAMPLE_SECONDS):
            memory = tree_memory(process.pid)
            peak, largest = max(peak, memory.resident), max(largest, memory.largest)

    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        sampler = threading.Thread(target=sample)
        sampler.start()
        killer = threading.Timer(timeout_seconds, _end_group, (process.pid,))
        killer.start()
        process.wait()
        seconds = time.perf_counter() - clock
        done.set()
        killer.cancel()
        sampler.join()
        killer.join()
        _end_group(process.pid)
        texts = [(file.seek(0), file.read().decode(errors="replace"))[1] for file in (output, errors)]
    return Measurement(started, seconds, max(peak, largest), largest, process.returncode, texts[0], texts[1])


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return

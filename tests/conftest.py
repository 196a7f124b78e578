"""What does every test get, and what may none leave behind?

A test that leaves a process, a thread, a shared-memory block, a socket or a temporary file of ours behind fails, by
name. The check costs some 0.1 ms; only a suspect is given time to end by itself.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline an example: the first loads pyarrow, on a busy machine slowly. In CI the same examples every time, so that
# a submission is judged by what it changed; elsewhere new ones, which is where they find faults.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

ROOT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 3.0  # for what is already ending
SHM = Path("/dev/shm")
SHM_PREFIXES = ("psm_", "mapreduce", "sem.mp-")
ALLOWED_CHILDREN = (b"resource_tracker", b"forkserver")  # of multiprocessing: they live as long as the process


def pytest_configure(config: pytest.Config) -> None:
    """A temporary directory for this session alone: what others do in /tmp is no leak of ours. And Ctrl-C: a shell has
    what it runs in the background ignore it, with all children, and there are tests of it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # tmp_path stays where pytest has it
    folder = tempfile.mkdtemp(prefix="mrtest-")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    os.environ["XDG_STATE_HOME"] = os.path.join(folder, "state")  # the user's own history is none of ours
    os.environ["XDG_CONFIG_HOME"] = os.path.join(folder, "config")  # nor the user's key
    os.environ.pop("MAPREDUCE_KEY", None)
    os.environ["MAPREDUCE_CACHE"] = os.path.join(folder, "cache")  # nor what is kept for --incremental
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def _children() -> set[str]:
    """Child processes as 'pid name'; zombies of multiprocessing are reaped first."""
    multiprocessing.active_children()
    pids: set[str] = set()
    for thread in Path("/proc/self/task").iterdir() if sys.platform == "linux" else ():
        try:
            pids.update((thread / "children").read_text().split())
        except FileNotFoundError:  # the thread just ended, or the kernel lacks the file
            continue
    return {f"process {pid}" for pid in pids}


def _descriptors() -> set[str]:
    """Sockets and process descriptors: whoever forgets a worker keeps one. Pipes and files are held for good reasons
    too, by Arrow's threads and by caches that are mapped into memory."""
    found: set[str] = set()
    for fd in os.listdir("/proc/self/fd") if sys.platform == "linux" else ():
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:  # the one that listed the folder
            continue
        if target.startswith(("socket:", "anon_inode:[pidfd]")):
            found.add(f"descriptor {fd} {target}")
    return found


def left_behind() -> set[str]:
    """What is there now and should be gone after a test."""
    found = _children() | _descriptors()
    found |= {f"thread {thread.name}" for thread in threading.enumerate()}
    if SHM.is_dir():
        found |= {f"shared memory {name}" for name in os.listdir(SHM) if name.startswith(SHM_PREFIXES)}
    found |= {f"file {name}" for name in os.listdir(tempfile.gettempdir()) if name.startswith("mapreduce-")}
    return found


def _is_allowed(leftover: str) -> bool:
    kind, _, name = leftover.partition(" ")
    if kind != "process":
        return False
    try:
        command = Path(f"/proc/{name}/cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return True
    return any(word in command for word in ALLOWED_CHILDREN)


def _described(leftover: str) -> str:
    kind, _, name = leftover.partition(" ")
    if kind != "process":
        return leftover
    try:
        command = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return leftover
    return f"{leftover} (state {state}) {command[:200]}"


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    before = left_behind()
    yield
    leaked = left_behind() - before
    deadline = time.monotonic() + GRACE_SECONDS
    while leaked and time.monotonic() < deadline:
        leaked = {leftover for leftover in left_behind() - before if not _is_allowed(leftover)}
        if leaked:
            gc.collect()  # what only a cycle keeps open is no leak
            time.sleep(0.02)
    if leaked:
        pytest.fail("left behind: " + "; ".join(sorted(map(_described, leaked))), pytrace=False)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command with -v or -q configures the package's logger; the next test's `caplog` would see nothing."""
    logger = logging.getLogger("mapreduce")
    propagate, level, handlers = logger.propagate, logger.level, list(logger.handlers)
    yield
    logger.propagate, logger.level, logger.handlers[:] = propagate, level, handlers


@pytest.fixture
def datadir() -> Path:
    """The real data that ships with the project."""
    return ROOT / "data"


@dataclass(frozen=True, slots=True)
class CliResult:
    """What a command left: exit code, standard output and standard error."""

    rc: int
    out: str
    err: str


@pytest.fixture
def run_cli(tmp_path: Path) -> Callable[..., CliResult]:
    """`run_cli("run", "wordcount", path, input=..., cwd=...)` runs `python -m mapreduce` as a process of its own."""

    def run(*args: object, input: str = "", cwd: Path = tmp_path, timeout_seconds: float = 50) -> CliResult:
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            [sys.executable, "-m", "mapreduce", *map(str, args)],
            input=input,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_seconds,
            check=False,
        )
        return CliResult(done.returncode, done.stdout, done.stderr)

    return run

"""Stand-ins for a job: what workers call in these tests. A package is any value, a spec an action and its argument."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mapreduce.dataflow.monitor import InHand, Monitor
from mapreduce.dataflow.results import AttemptResult, Output
from mapreduce.errors import UsageError
from mapreduce.ids import AttemptId
from mapreduce.workers.process import Entry

ENTRY = Entry("tests.workers.jobs:unpack", "tests.workers.jobs:run")


class Unpicklable(Exception):
    """Cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class NotUnpicklable(Exception):
    """Can be pickled, and fails when it is unpickled: the classic that hangs multiprocessing.Pool."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


class Sly(Exception):
    """Nothing about it may be looked at."""

    def __str__(self) -> str:
        raise ValueError("no")

    def __reduce__(self) -> Any:
        raise SystemExit("no")


def unpack(package: Any) -> Any:
    if package == "broken":
        raise UsageError("the job could not be unpickled")
    if package == "deadly":
        os._exit(5)
    return package


def run(context: Any, attempt: AttemptId, spec: Any, monitor: Monitor) -> AttemptResult:
    action, argument = spec
    value = ACTIONS[action](argument, monitor)
    if action == "context":
        value = context
    return AttemptResult(Output(inline=repr(value).encode()), {"runs": 1})


def run_oddly(context: Any, attempt: AttemptId, spec: Any, monitor: Monitor) -> AttemptResult:
    return AttemptResult(Output(), {"a lock": threading.Lock()})  # type: ignore[dict-item]


def _raise(kind: str, monitor: Monitor) -> None:
    monitor.record, monitor.place = "the record", "file.txt, byte 7"
    errors = {
        "value": ValueError("wrong"),
        "memory": MemoryError("no room"),
        "unpicklable": Unpicklable(),
        "not unpicklable": NotUnpicklable("a", "b"),
        "sly": Sly(),
        "interrupt": KeyboardInterrupt(),
        "exit": SystemExit(3),
    }
    raise errors[kind]


def _deep(depth: int, monitor: Monitor) -> int:
    return _deep(depth + 1, monitor)


def _print(text: str, monitor: Monitor) -> None:
    print(text)
    print("to stderr", file=sys.stderr)
    os.write(1, b"from C\n")
    subprocess.run(["echo", "from a program"], check=True)


def _obedient(seconds: float, monitor: Monitor) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        monitor.check()


def _stubborn(path: str, monitor: Monitor) -> None:
    if path:
        Path(path).write_text(str(os.getpid()))
    while True:
        pass


def _greedy(path: str, monitor: Monitor) -> None:
    """Holds on to the interpreter: no other thread of the worker ever runs again."""
    threading.Timer(0.2, Path(path).write_text, (str(os.getpid()),)).start()
    time.sleep(0.4)
    re.match(r"(a*)*b", "a" * 1000)


def _allocate(step: int, monitor: Monitor) -> None:
    held = []
    while True:
        held.append(b"x" * step)
        time.sleep(0.001)


def _allocate_and_look(step: int, monitor: Monitor) -> None:
    monitor.in_hand = lambda: InHand("the record in hand")
    held = []
    while True:
        held.append(b"x" * step)
        time.sleep(0.02)
        monitor.check()


ACTIONS: dict[str, Any] = {
    "nothing": lambda argument, monitor: argument,
    "context": lambda argument, monitor: None,
    "raise": _raise,
    "deep": _deep,
    "print": _print,
    "pid": lambda argument, monitor: os.getpid(),
    "fds": lambda argument, monitor: len(os.listdir("/proc/self/fd")),
    "environment": lambda argument, monitor: [os.environ.get(argument), sys.stdin.read(), os.getcwd(), sys.path],
    "signals": lambda argument, monitor: signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
    "session": lambda argument, monitor: os.getsid(0) == os.getpid(),
    "main thread": lambda argument, monitor: threading.current_thread() is threading.main_thread(),
    "kill": lambda argument, monitor: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda argument, monitor: ctypes.string_at(0),
    "exit": lambda argument, monitor: os._exit(argument),
    "close": lambda argument, monitor: os.closerange(3, 4096),
    "result": lambda argument, monitor: argument,
    "obedient": _obedient,
    "stubborn": _stubborn,
    "greedy": _greedy,
    "allocate": _allocate,
    "allocate and look": _allocate_and_look,
    "orphan": lambda argument, monitor: subprocess.Popen(["sleep", "60"]).pid,
}

"""A word count, and a fold, in which anything goes wrong: one fault, at one stage of a task, always or once."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import mapreduce as mr
from mapreduce.settings import MiB

LINES = ["a b a c", "b c d d", "a d b c", "d d a a"] * 2
ANSWER = {"a": 10, "b": 6, "c": 6, "d": 10}

VALUE_BYTES = 3 * MiB
"""What each value says that it takes: a few of them fill the buffer of a worker with the least memory."""

BALLOON_BYTES = 400 * MiB
"""Three times what a worker may use here; no more, should nobody notice."""


class CannotBePickled(Exception):
    """Holds a lock."""

    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class CannotBeUnpickled(Exception):
    """Can be pickled, and fails when it is unpickled: the classic that hangs multiprocessing.Pool."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def _raise(error: BaseException) -> NoReturn:
    raise error


def _loop() -> NoReturn:
    while True:
        pass


def _balloon() -> None:
    held: list[bytes] = []
    while len(held) * 8 * MiB < BALLOON_BYTES:
        held.append(b"x" * (8 * MiB))
        time.sleep(0.002)
    time.sleep(0.5)


def _overflow() -> Any:
    """Through C, so that the process's own stack overflows: Python's own calls end in a RecursionError."""
    sys.setrecursionlimit(10**8)

    def deeper(_: int = 0) -> Any:
        return sorted([0, 1], key=deeper)

    return deeper()


FAULTS: dict[str, Callable[[], Any]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
    "sys.exit": lambda: sys.exit(3),
    "os._exit(0)": lambda: os._exit(0),
    "raise": lambda: _raise(ValueError("seven")),
    "not picklable": lambda: _raise(CannotBePickled()),
    "not unpicklable": lambda: _raise(CannotBeUnpickled("bell", "book")),
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "endless loop": _loop,
    "memory balloon": _balloon,
    "stack overflow": _overflow,
}

STAGES = ("unpickle job", "setup", "map", "combine", "spill", "pickle result", "reduce", "commit", "teardown")
FOLD_STAGES = ("fold: map", "fold: reduce", "fold: pickle partial", "fold: finish")


@dataclass(frozen=True)
class Trap:
    """A fault that waits at a stage. With a `marker`, the first to make that file suffers, and nobody after it."""

    fault: str
    stage: str
    marker: str = ""
    owner: int = field(default_factory=os.getpid)  # never in the tracker's own process

    def at(self, stage: str) -> None:
        if stage != self.stage or os.getpid() == self.owner:
            return
        if self.marker:
            try:
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
        FAULTS[self.fault]()


def sprung(trap: Trap) -> None:
    """What `OnUnpickle` unpickles to."""
    trap.at("unpickle job")


class OnUnpickle:
    """Springs the trap in whoever unpickles it."""

    def __init__(self, trap: Trap) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return sprung, (self.trap,)


class Heavy:
    """A count that says it takes much memory, and springs the trap when it is spilled."""

    nbytes = VALUE_BYTES

    def __init__(self, count: int, trap: Trap) -> None:
        self.count = count
        self.trap = trap

    def __reduce__(self) -> Any:
        self.trap.at("spill")
        return Heavy, (self.count, self.trap)


class Amount(int):
    """What a counter counted: springs the trap when the result is pickled, or when the worker has sent it and lets go
    of it, which is when the tracker commits."""

    trap: Trap

    @classmethod
    def of(cls, trap: Trap) -> Amount:
        """One task."""
        amount = cls(1)
        amount.trap = trap
        return amount

    def __radd__(self, other: int) -> int:
        return self

    def __reduce__(self) -> Any:
        self.trap.at("pickle result")
        return int, (int(self),)

    def __del__(self) -> None:
        self.trap.at("commit")


class CrashingCount(mr.Job):
    """Counts words, and counts a task as one."""

    def __init__(self, trap: Trap) -> None:
        self.trap = trap
        self.on_unpickle = OnUnpickle(trap)

    def setup(self) -> None:
        self.trap.at("setup")
        self.count("tasks", Amount.of(self.trap))

    def map(self, line: str) -> Iterator[tuple[str, Heavy]]:
        self.trap.at("map")
        for word in line.split():
            yield word, Heavy(1, self.trap)

    def combine(self, key: str, values: Iterator[Heavy]) -> Heavy:
        self.trap.at("combine")
        return Heavy(sum(value.count for value in values), self.trap)

    def reduce(self, key: str, values: Iterator[Heavy]) -> int:
        self.trap.at("reduce")
        return sum(value.count for value in values)

    def teardown(self) -> None:
        self.trap.at("teardown")


class Partial:
    """Words so far; springs the trap when it is put away."""

    def __init__(self, words: int, trap: Trap) -> None:
        self.words = words
        self.trap = trap

    def __reduce__(self) -> Any:
        self.trap.at("fold: pickle partial")
        return Partial, (self.words, self.trap)


class CrashingSum(mr.Fold):
    """Counts all words, and counts a task as one."""

    def __init__(self, trap: Trap) -> None:
        self.trap = trap

    def setup(self) -> None:
        self.count("tasks", Amount.of(self.trap))

    def map(self, block: Any) -> Partial:
        self.trap.at("fold: map")
        return Partial(sum(len(line.split()) for line in block.records()), self.trap)

    def reduce(self, a: Partial, b: Partial) -> Partial:
        self.trap.at("fold: reduce")
        return Partial(a.words + b.words, self.trap)

    def finish(self, partial: Partial) -> int:
        self.trap.at("fold: finish")
        return partial.words

"""How is a tracker killed at an instant that a test chooses? In a forked process of its own, by its own hand.

A run is a function that runs a job. It is killed at the n-th record of the journal (before it is written, half of it
written, after it is written and before the output is committed), or at the n-th step that it takes in the file system.
Nothing sleeps and nothing is left to chance.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from mapreduce.storage.paths import JobPaths
from mapreduce.tracker.events import AttemptFinished, Event
from mapreduce.tracker.journal import JournalWriter, encode_event, read_journal

Run = Callable[[], object]

STEPS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.listdir", "os.scandir", "os.truncate")
"""Audit events of the file system."""


class When(Enum):
    """Where, at a record of the journal, the tracker dies."""

    BEFORE = "before"
    TORN = "torn"
    AFTER = "after"


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("alive after SIGKILL")


def in_child(run: Run, prepare: Callable[[], None] | None = None) -> int:
    """The exit status of `run` in a forked process: 0, or minus the signal that killed it; 1 if it raised."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        try:
            if prepare is not None:
                prepare()
            run()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at_record(run: Run, number: int, when: When) -> bool:
    """Run until the tracker dies at that record of the journal; False if the job has fewer and finished."""

    def prepare() -> None:
        append, count = JournalWriter.append, 0

        def counting(self: JournalWriter, event: Event) -> None:
            nonlocal count
            if self._to_disk is None:  # the journal that is written anew
                append(self, event)
                return
            count += 1
            if count == number and when is When.TORN:
                line = encode_event(event)
                self._file.write(b"%08x " % len(line) + line[: len(line) // 2])
            if count == number and when is not When.AFTER:
                die()
            append(self, event)
            if count == number:
                die()

        JournalWriter.append = counting  # type: ignore[method-assign]

    return _was_killed(in_child(run, prepare))


def killed_at_step(run: Run, number: int, below: Path) -> bool:
    """Run until the process dies at its n-th step in the file system, of those that name a path below `below`."""

    def prepare() -> None:
        count = 0

        def counting(name: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            path = arguments[0] if name in STEPS else None
            if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(str(below)):
                count += 1
                if count == number:
                    die()

        sys.addaudithook(counting)

    return _was_killed(in_child(run, prepare))


def _was_killed(status: int) -> bool:
    assert status in (0, -signal.SIGKILL), f"the run ended with {status}"
    return status != 0


def finished_tasks(root: Path) -> list[tuple[int, int]]:
    """Tasks that the journal of an unfinished output says are done."""
    try:
        data = Path(root, JobPaths("").journal).read_bytes()
    except FileNotFoundError:
        return []
    events = read_journal(data).events
    return sorted(tuple(event.attempt.task) for event in events if isinstance(event, AttemptFinished))  # type: ignore[misc]


def hash_of(root: Path) -> str:
    """Of all that an output holds but what tells of times and attempts."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.relative_to(root).parts[0].startswith("_"):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def counters_of(root: Path) -> dict[str, int]:
    page = json.loads((root / "_manifest.json").read_text())
    return {**page["counters"], "records_in": page["records_in"], "records_out": page["records_out"]}

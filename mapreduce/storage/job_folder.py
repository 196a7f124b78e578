"""May a job write to this folder, and what must go before it does?

An output folder belongs to one run at a time, which locks `_job/lock`. What no job wrote is never removed. A folder is
in one of these states, and whoever dies leaves it in one of them:

    empty        nothing is there, or only what a failed job said of itself
    unfinished   `_job` is there and `_SUCCESS` is not: a run goes on, or starts afresh
    complete     `_SUCCESS` is there; a `_job` beside it is a remainder
"""

from __future__ import annotations

import errno
import os
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from mapreduce.errors import ResourceError, UsageError
from mapreduce.storage.locks import FileLock, HeldByAnotherError, take_lock
from mapreduce.storage.paths import EVENTS, JOB, LOG, MADE, MANIFEST, OLD_LOG, REPORT, SKIPPED, STEPS, SUCCESS, JobPaths
from mapreduce.storage.store import TEMPORARY, explained, open_store, was_removed

FOLDERS = ("segments", "partials", "attempts")
"""Made with `_job`, so that its names need to reach the disk but once."""

CLAIM_TRIES = 20
"""Each but the first follows the end of another run to the same folder."""

_SAYINGS = frozenset((JOB, EVENTS, LOG, OLD_LOG, REPORT, SKIPPED))
"""What may lie in a folder that has no output yet."""

_OWN_NAMES = _SAYINGS | {SUCCESS, MANIFEST, MANIFEST + TEMPORARY}


class JobFolder:
    """A job's folder, claimed for this process. `release` gives it back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: list[Path] = []  # folders that were not there before
        self._lock: FileLock | None = None
        self._is_settled = False

    @property
    def is_claimed(self) -> bool:
        return self._lock is not None and self._lock.is_ours

    def claim(self) -> None:
        """Make the folder and lock it. Raises ResourceError if another run has it or it can't be made."""
        with explained(open_store(str(self.root)), JOB):
            for _ in range(CLAIM_TRIES):
                self._make_job_folder()
                with suppress(FileNotFoundError):  # a run that has just ended removed it again
                    self._lock = self._take_lock()
                    break
            else:
                raise ResourceError(f"can't lock {self.root}/{JobPaths('').lock}; remove it, if it is a broken link")
            for name in FOLDERS:
                _make_folder(Path(self.root, JOB, name))

    def _make_job_folder(self) -> None:
        try:
            if not self.root.exists():
                self.made = [self.root]
            _make_folder(Path(self.root, JOB))
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"can't make the output folder {self.root}: {error.filename} is a file") from None
        except FileNotFoundError as error:
            raise UsageError(f"can't make the output folder {self.root}; choose another place") from error

    def _take_lock(self) -> FileLock:
        try:
            return take_lock(Path(self.root, JobPaths("").lock))
        except HeldByAnotherError as error:
            raise ResourceError(
                f"another run is writing to {self.root} (pid {error.owner}); "
                "wait for it, or choose another output folder"
            ) from None

    def release(self) -> None:
        """Drop the lock. A second call is harmless."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def remove_job_files(self) -> None:
        """Remove what is needed only while the job runs, the lock last."""
        folder = Path(self.root, JOB)
        with suppress(OSError):  # the disk may be read-only now; `mapreduce clean` finds what stays
            if folder.is_dir():
                self._remove_job_entries(keep=("lock",))
            _remove(folder)
        self.release()

    def remove_remainder(self) -> None:
        """Of a complete output: what a run that was killed at its very end had still to remove."""
        with suppress(OSError, ResourceError):  # another is at it, or the disk may only be read
            if Path(self.root, JOB).is_dir():
                self.claim()
                self.remove_job_files()

    def leave(self) -> None:
        """As if we had never been here: for a job that ended before it had finished anything."""
        self.remove_job_files()
        for folder in self.made:
            if folder.is_dir() and not any(folder.iterdir()):
                _remove(folder)

    def clear(self) -> None:
        """Remove an earlier job's output and remains. Raises UsageError if the folder holds what no job wrote.

        `_SUCCESS` goes first, and then what a run would go on from: whoever dies in between leaves an unfinished job
        that starts afresh.
        """
        check_is_ours(self.root)
        with explained(open_store(str(self.root)), JOB):
            first = [path for path in (Path(self.root, SUCCESS), Path(self.root, MADE)) if path.exists()]
            for path in first:
                _remove(path)
                _sync_folder(path.parent)
            for entry in self.root.iterdir():
                if entry.name != JOB:
                    _remove(entry)
            self._remove_job_entries(keep=("lock", *FOLDERS))
            for name in FOLDERS:
                for entry in Path(self.root, JOB, name).iterdir():
                    _remove(entry)

    def settle(self) -> None:
        """What was made and removed here survives a loss of power: a part of an earlier job that came back could become
        one of ours. Called before the journal reaches the disk for the first time, when workers are busy; again is
        harmless."""
        if self._is_settled:
            return
        self._is_settled = True
        store = open_store(str(self.root))
        with explained(store, JOB):
            if Path(self.root, MADE).exists():
                store.sync(MADE)
            for folder in (Path(self.root, JOB), self.root, *(made.parent for made in self.made)):
                _sync_folder(folder)

    def _remove_job_entries(self, keep: Container[str]) -> None:
        for entry in Path(self.root, JOB).iterdir():
            if entry.name not in keep:
                _remove(entry)

    def commit(self) -> None:
        """Say that the output is complete: every name on disk first, then `_SUCCESS`. Raises ResourceError if the
        folder is not the one that was claimed: somebody removed it meanwhile, and parts with it."""
        store = open_store(str(self.root))
        if self._lock is not None and not self._lock.is_in_place:
            raise was_removed(str(self.root))
        self.settle()
        with explained(store, SUCCESS):
            for folder in sorted({self.root, *(part.parent for part in part_files(self.root))}, reverse=True):
                _sync_folder(folder)
            store.create(SUCCESS).close()
            store.sync(SUCCESS)
            _sync_folder(self.root)


LEFT_BEHIND = "what was finished is kept in "
GOES_ON = "the job goes on: "
"""What is said begins so where a job ended for its caller alone."""


def left_behind(root: Path) -> str:
    """What a person reads when a job ended before it was complete, and there is something to go on with."""
    return f"{LEFT_BEHIND}{root}: the same command goes on from there, `mapreduce clean {root}` removes it"


def is_complete(root: Path) -> bool:
    return Path(root, SUCCESS).exists()


def is_empty(root: Path) -> bool:
    """True if nothing is there that would have to go before a job may write."""
    return not root.exists() or (root.is_dir() and all(entry.name in _SAYINGS for entry in root.iterdir()))


def is_unfinished(root: Path) -> bool:
    """True if a run began here and did not finish."""
    return Path(root, JOB).is_dir() and not is_complete(root)


def check_is_ours(root: Path) -> None:
    """Raises UsageError if the folder holds anything that no job wrote."""
    if root.exists() and not root.is_dir():
        raise UsageError(f"the output {root} is a file; name a folder")
    for entry in sorted(root.iterdir()) if root.exists() else ():
        if not _is_ours(entry):
            raise UsageError(
                f"the folder {root} holds {entry.name!r}, which no job wrote; "
                "remove it, or choose another output folder"
            )


def remove_litter(root: Path, attempts: Container[str], needed_parts: Container[int]) -> None:
    """Remove what a run left in `_job` that nobody will read, and parts of tasks that will run again.

    `attempts` are the names of those whose files stay, as `JobPaths` has them; `needed_parts` the numbers of parts that
    stay. What lies in `_job` itself stays: it has one name, and is written anew.
    """
    for folder in Path(root, JOB).iterdir():
        if not folder.is_dir() or folder.name == STEPS:
            continue
        for entry in folder.iterdir():
            if entry.name.partition(".")[0] not in attempts:
                _remove(entry)
    for part in part_files(root):
        if part_number(part) not in needed_parts:
            _remove(part)
    for folder in root.iterdir():
        if folder.is_dir() and not folder.is_symlink() and folder.name not in _OWN_NAMES and not any(folder.iterdir()):
            _remove(folder)


def part_files(root: Path) -> list[Path]:
    """All parts that lie there, of the main output and of further ones."""
    return sorted([*root.glob("part-*"), *root.glob("[!_]*/part-*")])


def part_number(part: Path) -> int:
    """Which task wrote a part; -1 if its name does not say."""
    digits = part.name.removeprefix("part-").partition(".")[0]
    return int(digits) if digits.isdigit() else -1


def _is_ours(entry: Path) -> bool:
    if entry.name in _OWN_NAMES or entry.name.startswith("part-"):
        return True
    return entry.is_dir() and all(part.name.startswith("part-") for part in entry.iterdir())


def _make_folder(folder: Path) -> None:
    """With those above it."""
    there = folder
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    open_store(str(there)).make_folder(folder.relative_to(there).as_posix() if there != folder else "")


def _remove(entry: Path) -> None:
    open_store(str(entry.parent)).remove(entry.name)


def _sync_folder(path: Path) -> None:
    open_store(str(path)).sync("")

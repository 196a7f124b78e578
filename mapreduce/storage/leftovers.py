"""What of a temporary folder whose process was killed? Nobody was there to remove it, so the next one does.

Each temporary folder of ours holds a file that is locked as long as its process lives. A folder whose file can be
locked is nobody's any more. One without that file is being made, or not ours: it stays.
"""

from __future__ import annotations

import math
import os
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

from mapreduce.storage.locks import FileLock, HeldByAnotherError, take_lock

PREFIX = "mapreduce-"
OWNER = ".owner"
"""Locked by the process that made the folder."""

SWEEP_SECONDS = 0.5
"""For what others left, when a job is to begin: a million files take a minute. The next ones go on, or a clean."""

_CHOICES = {"TMPDIR", "TEMP", "TMP"}

_locks: dict[Path, FileLock] = {}
_swept = False


def make_temporary_folder(kind: str = "") -> Path:
    """A new folder in TMPDIR, ours until `remove_temporary_folder` or the end of the process. The first call removes
    what dead processes left."""
    global _swept
    if not _swept:
        _swept = True
        remove_dead_folders(seconds=SWEEP_SECONDS)
    folder = Path(_temporary_root(), f"{PREFIX}{kind}{'-' if kind else ''}{os.urandom(6).hex()}")
    folder.mkdir(0o700)
    try:
        lock = take_lock(folder / f"{OWNER}.new")  # under its name it is locked from the beginning
        os.rename(folder / f"{OWNER}.new", folder / OWNER)
    except BaseException:
        _remove(folder)
        raise
    _locks[folder] = lock
    return folder


def remove_temporary_folder(folder: Path) -> None:
    """Remove a folder of `make_temporary_folder`. A second call is harmless, and so is one in a forked child."""
    lock = _locks.pop(folder, None)
    if lock is not None and lock.is_ours:
        _remove(folder)
        lock.release()


def find_dead_folders(parent: str | Path | None = None) -> list[Path]:
    """Temporary folders of this user's processes that have died, in `parent` (default: TMPDIR)."""
    dead = []
    for folder in _candidates(parent):
        try:
            lock = _lock_of(folder)
        except (HeldByAnotherError, OSError):
            continue
        lock.release()
        dead.append(folder)
    return dead


def remove_dead_folders(parent: str | Path | None = None, seconds: float = math.inf) -> list[Path]:
    """Remove them, as far as that goes in so long; returns those that were removed. A folder that somebody else is
    removing is left to them."""
    removed = []
    deadline = time.monotonic() + seconds
    for folder in _candidates(parent):
        if time.monotonic() >= deadline:
            break
        try:
            lock = _lock_of(folder)
        except (HeldByAnotherError, OSError):
            continue
        if _empty(folder, deadline):  # the owner's file goes last: without it nobody would dare to
            _remove(folder)
        lock.release()
        if not folder.exists():
            removed.append(folder)
    return removed


def _empty(folder: str | Path, deadline: float) -> bool:
    """Remove what is in a folder, but for an owner's file; False if that takes longer than until the deadline."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if time.monotonic() >= deadline:
                return False
            with suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    if entry.name != OWNER:
                        os.unlink(entry.path)
                elif _empty(entry.path, deadline):
                    os.rmdir(entry.path)
                else:
                    return False
    return True


def _remove(folder: Path) -> None:
    from shutil import rmtree

    rmtree(folder, ignore_errors=True)


def _temporary_root() -> str:
    """Where `tempfile` would begin. It takes 3 ms to load, and is not asked where nobody has chosen a folder."""
    if "tempfile" not in sys.modules and not _CHOICES & os.environ.keys() and os.access("/tmp", os.W_OK | os.X_OK):
        return "/tmp"
    from tempfile import gettempdir

    return gettempdir()


def _candidates(parent: str | Path | None) -> list[Path]:
    """Folders of ours by name, owner and kind: in a folder that all may write to, a name alone says nothing."""
    found = []
    try:
        with os.scandir(parent or _temporary_root()) as entries:
            for entry in entries:
                if entry.name.startswith(PREFIX) and _is_own_folder(entry):
                    found.append(Path(entry.path))
    except OSError:
        return []
    return sorted(found)


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:  # it just went
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _lock_of(folder: Path) -> FileLock:
    """Lock a folder's owner file, if there is one. Raises HeldByAnotherError or OSError."""
    os.stat(folder / OWNER)  # taking a lock would make it
    return take_lock(folder / OWNER)

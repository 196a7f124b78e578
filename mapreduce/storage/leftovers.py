"""What of a temporary folder whose process was killed? Nobody was there to remove it, so the next one does.

Each temporary folder of ours holds a file that is locked as long as its process lives. A folder whose file can be
locked is nobody's any more. One without that file is being made, or not ours: it stays.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from mapreduce.storage.locks import FileLock, HeldByAnotherError, take_lock

PREFIX = "mapreduce-"
OWNER = ".owner"
"""Locked by the process that made the folder."""

_locks: dict[Path, FileLock] = {}
_swept = False


def make_temporary_folder(kind: str = "") -> Path:
    """A new folder in TMPDIR, ours until `remove_temporary_folder` or the end of the process. The first call removes
    what dead processes left."""
    global _swept
    if not _swept:
        _swept = True
        remove_dead_folders()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-" if kind else PREFIX))
    try:
        lock = take_lock(folder / f"{OWNER}.new")  # under its name it is locked from the beginning
        os.rename(folder / f"{OWNER}.new", folder / OWNER)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _locks[folder] = lock
    return folder


def remove_temporary_folder(folder: Path) -> None:
    """Remove a folder of `make_temporary_folder`. A second call is harmless, and so is one in a forked child."""
    lock = _locks.pop(folder, None)
    if lock is not None and lock.is_ours:
        shutil.rmtree(folder, ignore_errors=True)
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


def remove_dead_folders(parent: str | Path | None = None) -> list[Path]:
    """Remove them; returns those that were removed. A folder that somebody else is removing is left to them."""
    removed = []
    for folder in _candidates(parent):
        try:
            lock = _lock_of(folder)
        except (HeldByAnotherError, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        if not folder.exists():
            removed.append(folder)
    return removed


def _candidates(parent: str | Path | None) -> list[Path]:
    """Folders of ours by name, owner and kind: in a folder that all may write to, a name alone says nothing."""
    found = []
    try:
        with os.scandir(parent or tempfile.gettempdir()) as entries:
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

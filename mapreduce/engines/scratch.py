"""Where does an agent keep the files of jobs, and for how long?

    <scratch>/id          the same as long as the folder is
    <scratch>/<job>/      the job's folder on this host, with `_job/segments` and the like
    <scratch>/caches/     blocks of cached datasets, as long as their tracker is the same

A folder is removed when the tracker says that nobody will ask for it any more, or when no tracker has asked for the
job for so long: then that tracker is gone, and whoever takes its place began the job anew.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from mapreduce.errors import UsageError
from mapreduce.storage.job_folder import FOLDERS
from mapreduce.storage.leftovers import make_temporary_folder, remove_temporary_folder
from mapreduce.storage.locks import HeldByAnotherError, take_lock
from mapreduce.storage.paths import JOB

_ID = "id"
_LOCK = "lock"
CACHES = "caches"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Scratch:
    """The scratch folder of one agent; without a name a temporary one, which goes with `close`. Raises UsageError if
    another agent has it or it can't be made."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._temporary = folder is None
        self.folder = make_temporary_folder("agent") if folder is None else Path(folder).absolute()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what jobs write is for our user
            self._lock = take_lock(self.folder / _LOCK)
            self.id = self._read_id()
        except HeldByAnotherError as error:
            raise UsageError(
                f"another agent (pid {error.owner}) works in {self.folder}; name another --scratch"
            ) from None
        except OSError as error:
            raise UsageError(f"can't use {self.folder} as --scratch: {error.strerror}; name another") from error
        self._last_used: dict[str, float] = {}

    def _read_id(self) -> str:
        path = self.folder / _ID
        with suppress(FileNotFoundError):
            return path.read_text().strip()
        path.write_text(made := secrets.token_hex(8))
        return made

    def open_job(self, key: str, now: float) -> Path:
        """The folder of a job, made if need be. Raises ValueError for what is no name of a job."""
        root = self._path_of(key)
        for name in FOLDERS:
            (root / JOB / name).mkdir(parents=True, exist_ok=True)
        self._last_used[key] = now
        return root

    def use(self, key: str, now: float) -> None:
        """The tracker still knows the job."""
        self._last_used[key] = now

    def kept(self) -> tuple[str, ...]:
        """Jobs of which there are files."""
        return tuple(sorted(entry.name for entry in self.folder.iterdir() if (entry / JOB).is_dir()))

    def forget(self, key: str) -> None:
        """Remove a job's files. Harmless if there are none."""
        shutil.rmtree(self._path_of(key), ignore_errors=True)
        self._last_used.pop(key, None)

    def forget_caches(self) -> None:
        """Another tracker has other datasets. Harmless if there are none."""
        shutil.rmtree(self.folder / CACHES, ignore_errors=True)

    def stale(self, now: float, keep_seconds: float) -> list[str]:
        """Jobs that nobody asked for so long."""
        return [key for key in self.kept() if now - self._last_used.setdefault(key, now) >= keep_seconds]

    def close(self) -> None:
        """Let go of the folder. A second call is harmless."""
        self._lock.release()
        if self._temporary:
            remove_temporary_folder(self.folder)

    def _path_of(self, key: str) -> Path:
        if not _KEY.fullmatch(key) or key in (_ID, _LOCK, CACHES):
            raise ValueError(f"{key!r} is no name of a job")
        return self.folder / key

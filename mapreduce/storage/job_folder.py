"""May a job write to this folder, and what must go before it does?

An output folder belongs to one run at a time: an advisory lock on `_job/lock` says so, and the system drops it when its
process dies, so a lock is never stale. What no job wrote is never removed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mapreduce.errors import ResourceError, UsageError
from mapreduce.storage.paths import JOB, MANIFEST, SUCCESS, JobPaths
from mapreduce.storage.store import LocalStore, explained


class JobFolder:
    """A job's folder, claimed for this process. `release` gives it back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock: int | None = None

    def claim(self) -> None:
        """Make the folder and lock it. Raises ResourceError if another run has it or it can't be made."""
        store = LocalStore(str(self.root))
        with explained(store, JOB, 0):
            try:
                Path(self.root, JOB).mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise UsageError(f"can't make the output folder {self.root}: {error.filename} is a file") from None
            except FileNotFoundError as error:
                raise UsageError(f"can't make the output folder {self.root}; choose another place") from error
            self._lock = os.open(Path(self.root, JobPaths("").lock), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            import fcntl

            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._lock, 32, 0).decode() or "unknown"
            self.release()
            raise ResourceError(
                f"another run is writing to {self.root} (pid {owner}); wait for it, or choose another output folder"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Drop the lock. A second call is harmless."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove_job_files(self) -> None:
        """Remove what is needed only while the job runs, the lock last."""
        folder = Path(self.root, JOB)
        if folder.is_dir():
            for entry in folder.iterdir():
                if entry.name != "lock":
                    _remove(entry)
        self.release()
        shutil.rmtree(folder, ignore_errors=True)

    def commit(self) -> None:
        """Say that the output is complete: every name on disk first, then `_SUCCESS`."""
        with explained(LocalStore(str(self.root)), SUCCESS, 0):
            _sync_folder(self.root)
            with open(Path(self.root, SUCCESS), "wb") as file:
                os.fsync(file.fileno())
            _sync_folder(self.root)


def is_complete(root: Path) -> bool:
    return Path(root, SUCCESS).exists()


def is_empty(root: Path) -> bool:
    """True if nothing is there, or only the remains of a run that did not finish."""
    return not root.exists() or (root.is_dir() and all(entry.name == JOB for entry in root.iterdir()))


def is_unfinished(root: Path) -> bool:
    """True if a run began here and did not finish."""
    return Path(root, JOB).is_dir() and not is_complete(root)


def clear(root: Path) -> None:
    """Remove an earlier job's output and remains. Raises UsageError if the folder holds anything that no job wrote."""
    if root.exists() and not root.is_dir():
        raise UsageError(f"the output {root} is a file; name a folder")
    entries = list(root.iterdir()) if root.exists() else []
    foreign = [entry.name for entry in entries if not _is_ours(entry)]
    if foreign:
        raise UsageError(
            f"the folder {root} holds {foreign[0]!r}, which no job wrote; remove it, or choose another output folder"
        )
    for entry in entries:
        if entry.name != JOB:
            _remove(entry)
    job = Path(root, JOB)
    for entry in job.iterdir() if job.is_dir() else ():
        if entry.name != "lock":
            _remove(entry)


def _is_ours(entry: Path) -> bool:
    if entry.name in (JOB, MANIFEST, SUCCESS) or entry.name.startswith("part-"):
        return True
    return entry.is_dir() and all(part.name.startswith("part-") for part in entry.iterdir())


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

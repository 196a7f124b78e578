"""Who has this folder now? An advisory lock on a file in it, which the system drops when its holder dies.

So a lock is never stale: what a dead process left is a file that anyone may lock. A worker that was forked while the
lock was held has a copy of it, and might outlive us; so the copy is closed in every child.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

OWNER_BYTES = 32
OWNER_SECONDS = 0.5
"""Who has just taken a lock writes its number at once; we wait so long for it."""


class HeldByAnotherError(Exception):
    """Somebody else has the lock. `owner` is its process number as text, or 'unknown'."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


class FileLock:
    """A lock that is held, from `take_lock` to `release`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        _held.add(self)

    @property
    def is_ours(self) -> bool:
        """False after `release`, and in a child that was forked while it was held."""
        return self in _held

    @property
    def is_in_place(self) -> bool:
        """False if the file that we have locked is gone, or another lies in its place."""
        return self.is_ours and _is_still(self.path, self.descriptor)

    def release(self) -> None:
        """A second call is harmless, and so is one in a child that was forked meanwhile."""
        if self in _held:
            _held.discard(self)
            os.close(self.descriptor)


_held: set[FileLock] = set()


def take_lock(path: Path) -> FileLock:
    """Lock a file, which is made where it is missing. Raises HeldByAnotherError, or OSError as the system gives it."""
    import fcntl

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return FileLock(path, descriptor)
        except BlockingIOError:
            owner = _owner(descriptor)
            os.close(descriptor)
            raise HeldByAnotherError(owner) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it when it was done, while we waited: there is a new one now


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the file that we have locked is the one that others would lock."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _owner(descriptor: int) -> str:
    deadline = time.monotonic() + OWNER_SECONDS
    while not (owner := os.pread(descriptor, OWNER_BYTES, 0).decode(errors="replace")):
        if time.monotonic() >= deadline:
            return "unknown"
        time.sleep(0.01)
    return owner


def _close_in_child() -> None:
    """Closing a copy does not unlock: that would take the last one, which the parent has."""
    for lock in _held:
        os.close(lock.descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)

"""Where do a job's bytes rest, and what if the place is full or forbidden?

A store is a folder reached by relative paths. Everything that keeps intermediate data goes through this seam, so a
test can fill the disk at the n-th write, and another host's data can come from elsewhere.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from mapreduce.errors import ResourceError


class Store(Protocol):
    """A folder of files. Paths are relative, with `/`. Methods raise OSError as the system gives it."""

    def create(self, path: str) -> BinaryIO:
        """A new file to write, empty; missing folders are made. The caller closes it."""

    def read(self, path: str, offset: int, size: int) -> bytes:
        """Bytes of a file: `size` of them, or fewer where it ends earlier. Holds no file open."""

    def size(self, path: str) -> int: ...

    def rename(self, old: str, new: str) -> None:
        """Replaces `new` in one step."""

    def remove(self, path: str) -> None:
        """Harmless where there is no such file."""

    def locate(self, path: str) -> str:
        """The path as a person would look for it."""


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A store on a local file system."""

    root: str

    def locate(self, path: str) -> str:
        return os.path.join(self.root, path)

    def create(self, path: str) -> BinaryIO:
        full = self.locate(path)
        try:
            return open(full, "wb", buffering=WRITE_BUFFER_BYTES)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            return open(full, "wb", buffering=WRITE_BUFFER_BYTES)

    def read(self, path: str, offset: int, size: int) -> bytes:
        file = os.open(self.locate(path), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            data = os.pread(file, size, offset)
            while len(data) < size:  # a read may be cut short: by a signal, or beyond 2 GiB
                more = os.pread(file, size - len(data), offset + len(data))
                if not more:
                    break
                data += more
            return data
        finally:
            os.close(file)

    def size(self, path: str) -> int:
        return os.stat(self.locate(path)).st_size

    def rename(self, old: str, new: str) -> None:
        try:
            os.replace(self.locate(old), self.locate(new))
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.locate(new)), exist_ok=True)
            os.replace(self.locate(old), self.locate(new))

    def remove(self, path: str) -> None:
        try:
            os.unlink(self.locate(path))
        except FileNotFoundError:
            return

    def read_bytes(self, path: str) -> bytes:
        """A whole file. Raises FileNotFoundError."""
        return self.read(path, 0, self.size(path))

    def write_bytes(self, path: str, data: bytes) -> None:
        """A whole file, in one step: it is there with all its bytes or not at all. Raises ResourceError."""
        write_whole(self, path, data)


WRITE_BUFFER_BYTES = 64 << 10
"""Small writes are gathered into one call; larger ones pass by the buffer."""

TEMPORARY = ".tmp"
"""Suffix of a file that is being written. Nobody reads such a file, and whoever finds one may remove it."""

_TO_MEND = {
    errno.ENOSPC: "no space left: free some, or put the output on another disk",
    errno.EDQUOT: "disk quota exceeded: free some space, or put the output on another disk",
    errno.EFBIG: "the file system allows no file of this size: put the output on another disk",
    errno.EACCES: "no permission to write there: change it, or choose another output folder",
    errno.EPERM: "no permission to write there: change it, or choose another output folder",
    errno.EROFS: "the file system is read-only: choose another output folder",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine",
    errno.EIO: "the disk failed to write: check it, or put the output on another disk",
}


@contextmanager
def explained(store: Store, path: str, needed_bytes: int = 0) -> Iterator[None]:
    """Turns an OSError about a lack of something into a ResourceError with path, needed and free bytes, and remedy."""
    try:
        yield
    except OSError as error:
        remedy = _TO_MEND.get(error.errno or 0)
        if remedy is None:
            raise
        needed = f"needed {needed_bytes:,} bytes, " if needed_bytes else ""
        full = store.locate(path)
        raise ResourceError(f"can't write {full}: {remedy} ({needed}free {_free_bytes(full):,})") from error


def _free_bytes(path: str) -> int:
    """Free bytes on the disk of `path`, which need not exist."""
    while True:
        try:
            return shutil.disk_usage(path or ".").free
        except OSError:
            parent = os.path.dirname(path)
            if parent == path:
                return 0
            path = parent


def write_whole(store: Store, path: str, data: bytes, *, sync: bool = False) -> None:
    """Write a file in one step: under a temporary name, then renamed. On failure nothing is left behind."""
    temporary = path + TEMPORARY
    with explained(store, path, len(data)):
        try:
            with store.create(temporary) as file:
                file.write(data)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            store.rename(temporary, path)
        except BaseException:
            store.remove(temporary)
            raise

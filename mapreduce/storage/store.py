"""Where do a job's bytes rest, what if the place is full or forbidden, and what is left after a power cut?

A store is a folder reached by relative paths. Everything that a job writes goes through this seam and is opened by
`open_store`, so that a test can fill the disk at the n-th write or cut the power behind it, and another host's data can
come from elsewhere.

What is written is with the operating system: it survives the death of every process. Only what has been given to `sync`
survives a loss of power: the bytes of a file, and apart from them the names in a folder. Jobs with an output folder
sync in this order; others sync nothing.

```text
claim     the loss of an old _SUCCESS
attempt   its file (segment, partial, part), then the folders that name it       in the worker, before it reports
driver    what the output is made from, _job, root and the folder that holds root: once, before the journal is
          the journal: before a part gets its name, and once for all reports that came together
commit    value, manifest, then every folder of the output; then _SUCCESS; then root
```

So whatever the journal tells of is there, and where `_SUCCESS` is, everything is. In between nothing is waited for: a
file that was lost is not in the journal, or fails its checksum, and its task runs again. The disk begins on a file
while it is being written (`early`), so there is little left to wait for.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedWriter, RawIOBase
from typing import Any, BinaryIO, Protocol, cast

from mapreduce.dataclass import dataclass
from mapreduce.errors import ResourceError

_log = logging.getLogger(__name__)


class Store(Protocol):
    """A folder of files. Paths are relative, with `/`; "" is the folder itself. Methods raise OSError as the system
    gives it. Folders that are missing are made, but never the store's own: where that is gone, somebody removed it."""

    def create(self, path: str) -> BinaryIO:
        """A new file to write, empty. The caller closes it."""

    def append(self, path: str) -> BinaryIO:
        """A file to write on, unbuffered, made if need be. The caller closes it."""

    def read(self, path: str, offset: int, size: int) -> bytes:
        """Bytes of a file: `size` of them, or fewer where it ends earlier. Holds no file open."""

    def size(self, path: str) -> int: ...

    def files(self, folder: str) -> list[str]:
        """Paths of all files in a folder and those below it, ascending; none where there is no such folder."""

    def make_folder(self, path: str) -> None:
        """Harmless where it exists."""

    def rename(self, old: str, new: str) -> None:
        """Replaces `new` in one step."""

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it. Harmless where there is none."""

    def sync(self, path: str) -> None:
        """Return when the bytes of a file, or the names in a folder, would survive a loss of power."""

    def locate(self, path: str) -> str:
        """The path as a person would look for it."""


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A store on a local file system. `early`: what it creates will be synced, so the disk begins on it at once."""

    root: str
    early: bool = False

    def locate(self, path: str) -> str:
        return os.path.join(self.root, path) if path else self.root

    def create(self, path: str) -> BinaryIO:
        file = self._open(path, "wb", 0 if self.early else WRITE_BUFFER_BYTES)
        return cast(BinaryIO, BufferedWriter(_EarlyFile(file), WRITE_BUFFER_BYTES)) if self.early else file

    def append(self, path: str) -> BinaryIO:
        return self._open(path, "ab", 0)

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

    def files(self, folder: str) -> list[str]:
        top = self.locate(folder)
        found = [os.path.join(where, name) for where, _, names in os.walk(top) for name in names]
        return sorted(os.path.relpath(path, self.root) for path in found)

    def make_folder(self, path: str) -> None:
        full = self.locate(path)
        try:
            os.mkdir(full)
        except FileExistsError:
            if not os.path.isdir(full):
                raise
        except FileNotFoundError:
            if not path or not os.path.isdir(self.root):
                raise
            os.makedirs(full, exist_ok=True)

    def rename(self, old: str, new: str) -> None:
        try:
            os.replace(self.locate(old), self.locate(new))
        except FileNotFoundError:
            self.make_folder(os.path.dirname(new))
            os.replace(self.locate(old), self.locate(new))

    def remove(self, path: str) -> None:
        full = self.locate(path)
        try:
            os.unlink(full)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):  # what Linux says of a folder, and macOS
            if not os.path.isdir(full):
                raise
            from shutil import rmtree

            rmtree(full)

    def sync(self, path: str) -> None:
        handle = os.open(self.locate(path), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            _sync_data(handle)
        finally:
            os.close(handle)

    def map_whole(self, path: str, size: int, checksum: int) -> memoryview:
        """See the function of this name."""
        from mapreduce.storage.mapping import map_file

        return map_file(self.locate(path), size, checksum)

    def read_bytes(self, path: str) -> bytes:
        """A whole file. Raises FileNotFoundError."""
        return read_whole(self, path)

    def write_bytes(self, path: str, data: bytes) -> None:
        """A whole file, in one step: it is there with all its bytes or not at all. Raises ResourceError."""
        write_whole(self, path, data)

    def _open(self, path: str, mode: str, buffering: int) -> BinaryIO:
        full = self.locate(path)
        try:
            return open(full, mode, buffering=buffering)  # type: ignore[return-value]
        except FileNotFoundError:
            self.make_folder(os.path.dirname(path))
            return open(full, mode, buffering=buffering)  # type: ignore[return-value]


class _EarlyFile(RawIOBase):
    """A file whose bytes are on their way to the disk while more are written, so that `sync` has little to wait for."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.end = self.begun = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        written = self.file.write(data)
        self.end += written
        if self.end - self.begun >= EARLY_BYTES:
            begin_writing(self.file.fileno(), self.begun, self.end - self.begun)
            self.begun = self.end
        return written

    def fileno(self) -> int:
        return self.file.fileno()

    def close(self) -> None:
        self.file.close()
        super().close()


def begin_writing(descriptor: int, start: int, size: int) -> None:
    """Have the system begin to write these bytes to the disk, and don't wait. No more than a hint: where there is no
    such call (it is Linux's) nothing happens."""
    global _sync_file_range
    if _sync_file_range is None:
        import ctypes

        library = ctypes.CDLL(None)
        _sync_file_range = getattr(library, "sync_file_range", _ignore)
        if _sync_file_range is not _ignore:
            _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    _sync_file_range(descriptor, start, size, SYNC_FILE_RANGE_WRITE)


def _ignore(*_: Any) -> None:
    return None


_sync_file_range: Any = None

SYNC_FILE_RANGE_WRITE = 2
"""Of <fcntl.h>: begin, and wait for nothing."""

EARLY_BYTES = 2 << 20
"""Written ahead at a time. Smaller files are on the disk soon enough when they are synced."""


def open_store(root: str, *, early: bool = False) -> Store:
    """The store of this folder. All who write for a job get it here. `early` if what is created will be synced."""
    return make_store(root, early)


make_store: Callable[[str, bool], Store] = LocalStore
"""What `open_store` calls; tests put a store here that fails."""

WRITE_BUFFER_BYTES = 64 << 10
"""Small writes are gathered into one call; larger ones pass by the buffer."""

BLOCK_BYTES = 4 << 10
"""A new file or folder needs at least a block."""

TEMPORARY = ".tmp"
"""Suffix of a file that is being written. Nobody reads such a file, and whoever finds one may remove it."""

_sync_data = getattr(os, "fdatasync", os.fsync)  # all that reading needs, the length too, but no times

_LACKS_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

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
def explained(store: Store, path: str, needed_bytes: int = BLOCK_BYTES) -> Iterator[None]:
    """Turns an OSError about a lack of something into a ResourceError with path, needed and free bytes, and remedy."""
    try:
        yield
    except OSError as error:
        number, root, full = error.errno or 0, store.locate(""), store.locate(path)
        if number == errno.ENOENT and not os.path.isdir(root):
            raise was_removed(root) from error
        remedy = _TO_MEND.get(number)
        if remedy is None:
            raise
        needed = f"needed {max(needed_bytes, 1):,} bytes, " if number in _LACKS_SPACE else ""
        raise ResourceError(f"can't write {full}: {remedy} ({needed}free {_free_bytes(full):,})") from error


def was_removed(root: str) -> ResourceError:
    """The error to raise where a job's folder, or what must be in it, is gone."""
    return ResourceError(
        f"the folder {root} was removed or replaced while the job wrote to it; let it be, and run the job again"
    )


def _free_bytes(path: str) -> int:
    """Free bytes on the disk of `path`, which need not exist."""
    while True:
        try:
            from shutil import disk_usage

            return disk_usage(path or ".").free
        except OSError:
            parent = os.path.dirname(path)
            if parent == path:
                return 0
            path = parent


class ExplainedFile(RawIOBase):
    """A file of a store whose writes are whole, and raise ResourceError in the words of `explained`."""

    def __init__(self, store: Store, path: str, file: BinaryIO) -> None:
        self.store = store
        self.path = path
        self.file = file
        self.end = 0  # bytes written here

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        with explained(self.store, self.path, self.end + size):
            while left:
                written = self.file.write(left)
                left = left[written:]
        self.end += size
        return size

    def tell(self) -> int:
        return self.end

    def close(self) -> None:
        if not self.closed:
            try:
                with explained(self.store, self.path, self.end):
                    self.file.close()
            finally:
                super().close()


OPEN_AHEAD = 64
"""Segments of which one says so at once: 4 MiB at most are on their way then."""


def will_open(store: Store, path: str) -> None:
    """Say that this segment is opened soon: a store that fetches from elsewhere begins now, another has no use for
    it."""
    hint = getattr(store, "will_open", None)
    if hint is not None:
        hint(path)


def will_read(store: Store, ranges: Sequence[tuple[str, int, int]]) -> None:
    """Say which ranges (path, offset, size) are read next, side by side, each from front to back."""
    hint = getattr(store, "will_read", None)
    if hint is not None:
        hint(ranges)


def read_whole(store: Store, path: str) -> bytes:
    """A whole file. Raises FileNotFoundError."""
    return store.read(path, 0, store.size(path))


def map_whole(store: Store, path: str, size: int, checksum: int) -> memoryview:
    """A whole file, of so many bytes with this CRC-32, in memory that the caller may write to as he likes: mapped where
    it lies on this machine, else received there at once. Raises OSError, and `mapping.DamagedError`."""
    mapped = getattr(store, "map_whole", None)
    if mapped is not None:
        return cast(memoryview, mapped(path, size, checksum))
    from mapreduce.storage.mapping import check

    return check(memoryview(bytearray(store.read(path, 0, size))), size, checksum)


def write_whole(store: Store, path: str, data: bytes, *, sync: bool = False) -> None:
    """Write a file in one step: under a temporary name, then renamed; with `sync` it then survives a loss of power. On
    failure nothing is left behind."""
    write_pieces(store, path, (data,), sync=sync)


def write_pieces(store: Store, path: str, pieces: Sequence[bytes | memoryview], *, sync: bool = False) -> None:
    """The same of several pieces, one after the other."""
    temporary = path + TEMPORARY
    with explained(store, path, sum(map(len, pieces))):
        try:
            with store.create(temporary) as file:
                for piece in pieces:
                    file.write(piece)
            if sync:
                store.sync(temporary)
            store.rename(temporary, path)
        except BaseException:
            remove_quietly(store, temporary)
            raise
        if sync:
            store.sync(os.path.dirname(path))


def sync_named(store: Store, path: str) -> None:
    """Return when a file, and its name in its folder, would survive a loss of power."""
    with explained(store, path):
        store.sync(path)
        store.sync(os.path.dirname(path))


def remove_quietly(store: Store, path: str) -> None:
    """Remove a file on the way out of an error, which a second one must not hide."""
    try:
        store.remove(path)
    except OSError as error:
        _log.warning("%s could not be removed: %s", store.locate(path), error)

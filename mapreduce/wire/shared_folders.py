"""Which files may another host read? Those below the folders that are offered, and no way leads out of them.

A path is the name of an offered folder and names below it, with `/`. Each name is opened from the folder before it, so
that nothing can be exchanged on the way; a symbolic link is not followed, wherever it leads.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping

from mapreduce.dataclass import dataclass

MOST_FILES = 5_000
"""An attempt's folder has a few files; more in one answer is more than anyone asks for."""

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_FOLDER = _FLAGS | getattr(os, "O_DIRECTORY", 0)
_FILE = _FLAGS | getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for its writer


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a file, from `offset`."""

    data: bytes
    offset: int
    file_bytes: int
    version: int


@dataclass(frozen=True, slots=True)
class OpenPiece:
    """`size` bytes of an open file, from `offset`. Whoever has it closes it."""

    file: int
    offset: int
    size: int
    file_bytes: int
    version: int

    def __len__(self) -> int:
        return self.size

    def read_into(self, buffer: memoryview, at: int) -> int:
        """Read from the piece's byte `at` on; how much. Raises OSError if the file has become shorter, or another."""
        size = os.preadv(self.file, [buffer], self.offset + at)
        if not size:
            raise OSError(errno.ESTALE, "became shorter while it was read")
        self.check_same()
        return size

    def check_same(self) -> None:
        """Raises OSError if the file was written anew since it was opened: what was read of it may be of both."""
        if os.fstat(self.file).st_mtime_ns != self.version:
            raise OSError(errno.ESTALE, "was written anew while it was read")

    def close(self) -> None:
        os.close(self.file)


class SharedFolders:
    """Offered folders by name. `offer` and `withdraw` may be called from other threads than those that read."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}
        self._single: dict[str, str] = {}  # files by the name under which they are offered

    def offer(self, name: str, folder: str) -> None:
        self._folders = {**self._folders, name: folder}

    def withdraw(self, name: str) -> None:
        """Harmless where it is not offered."""
        self._folders = {known: folder for known, folder in self._folders.items() if known != name}

    def offer_files(self, files: Mapping[str, str]) -> None:
        """Single files, by name, and nothing beside them."""
        self._single = {**self._single, **files}

    def withdraw_files(self, names: Iterable[str]) -> None:
        """Harmless for those that are not offered."""
        gone = set(names)
        self._single = {name: path for name, path in self._single.items() if name not in gone}

    def read(self, path: str, offset: int, size: int, *, from_end: bool = False) -> Piece:
        """At most `size` bytes; fewer where the file ends. Raises OSError."""
        piece = self.open_piece(path, offset, size, from_end=from_end)
        try:
            data = _read(piece.file, piece.offset, size)
            piece.check_same()
            return Piece(data, piece.offset, piece.file_bytes, piece.version)
        finally:
            piece.close()

    def open_piece(self, path: str, offset: int, size: int, *, from_end: bool = False) -> OpenPiece:
        """The same, to be read later. Raises OSError."""
        file = self._open(path, _FILE)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "is no file", path)
            if from_end:
                offset = max(0, status.st_size - offset)
            left = max(0, status.st_size - offset)
            return OpenPiece(file, offset, min(size, left), status.st_size, status.st_mtime_ns)
        except BaseException:
            os.close(file)
            raise

    def files(self, path: str) -> list[tuple[str, int, int]]:
        """Paths, sizes and times of change of the files in a folder and those below it, ascending. Raises OSError."""
        found: list[tuple[str, int, int]] = []
        self._walk(self._open(path, _FOLDER), "", found)
        return sorted(found)

    def _walk(self, folder: int, prefix: str, found: list[tuple[str, int, int]]) -> None:
        try:
            for name in os.listdir(folder):
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    self._walk(os.open(name, _FOLDER, dir_fd=folder), f"{prefix}{name}/", found)
                elif stat.S_ISREG(status.st_mode):
                    found.append((prefix + name, status.st_size, status.st_mtime_ns))
                if len(found) > MOST_FILES:
                    raise OSError(errno.EFBIG, f"more than {MOST_FILES:,} files")
        finally:
            os.close(folder)

    def _open(self, path: str, flags: int) -> int:
        if path in self._single:
            return os.open(self._single[path], flags & ~getattr(os, "O_NOFOLLOW", 0))
        first, *names = path.split("/")
        top = self._folders.get(first)
        if top is None:
            raise FileNotFoundError(errno.ENOENT, f"{first!r:.80} is not offered here", path)
        if "\0" in path or any(name in ("", ".", "..") for name in names):
            raise PermissionError(errno.EACCES, "is no path below an offered folder", path)
        here = os.open(top, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
        for position, name in enumerate(names):
            try:
                there = os.open(name, flags if position == len(names) - 1 else _FOLDER, dir_fd=here)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise PermissionError(errno.EACCES, "is a symbolic link, which is not followed", path) from None
                raise
            finally:
                os.close(here)
            here = there
        return here


def _read(file: int, offset: int, size: int) -> bytes:
    data = os.pread(file, size, offset)
    while len(data) < size:  # a signal may cut a read short
        more = os.pread(file, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data

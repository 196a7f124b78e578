"""How are inputs found and read that lie on the hosts of a cluster?

An agent offers folders (`--data DIR`); `data:logs/a.txt` is the file `logs/a.txt` below one of them, on whichever hosts
have it. A host that has the file opens it itself; others read it piece by piece from one that does:

    planning, with the tracker     find: ask each host for its list; equal names with equal contents are replicas
    a worker where the file is     open: the file below --data
    a worker elsewhere             open: through the data client, some pieces ahead; another replica if a host is gone

A path without `data:` names a file that lies with the tracker. A host that sees a file of that path, with the same size
and time of change, opens it itself (a shared folder); others read it from the tracker.

A name that stands for different contents on two hosts is an error that names both: which one would be read would
otherwise depend on where a task runs.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import threading
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import BinaryIO, NamedTuple, Protocol

from mapreduce.errors import InputError
from mapreduce.formats.base import InputFile
from mapreduce.formats.inputs import HOSTS, is_on_hosts, is_remote
from mapreduce.formats.names import HIDDEN, near_names
from mapreduce.storage.host_store import Place, choose_order

READ_BYTES = 1 << 20
"""One question of the data service; also how far a reader that goes from front to back reads ahead."""

TRACKER = "tracker"
"""The name of the tracker's host among those of agents."""

MOST_FOLDERS = 16
"""Folders that one host offers."""


class Listed(NamedTuple):
    """A file that a host offers: its path below which of the host's folders, its size and time of change."""

    path: str
    folder: int
    size: int
    mtime_ns: int


class Reader(Protocol):
    """What is needed of `DataClient`."""

    def size(self, host: str, path: str) -> int: ...

    def read(self, host: str, path: str, offset: int, size: int) -> bytes: ...

    def will_read(self, places: Sequence[Place]) -> None: ...

    def forget(self, host: str, path: str) -> None: ...


def offered_as(path: str) -> str:
    """The name under which the tracker offers an input that lies with it."""
    return f"input-{hashlib.sha256(path.encode(errors='surrogateescape')).hexdigest()[:32]}"


def share_of(folder: int) -> str:
    """The name under which a host shares its folder of that number."""
    return f"data{folder}"


# --- finding


class Catalog(Protocol):
    """Asks the hosts."""

    def listings(self, folder: str) -> Mapping[str, Sequence[Listed]]:
        """By host: the files that it offers below a folder of this name, or with it "" all."""
        ...

    def content_hash(self, host: str, file: Listed) -> str: ...

    def rest(self) -> None:
        """No more is asked for now."""
        ...


def find_on_hosts(path: str, catalog: Catalog) -> list[InputFile]:
    """The files that `data:...` names, by name. Raises InputError for what is nowhere, or differs between hosts."""
    pattern = path.removeprefix(HOSTS).strip("/")
    listings = catalog.listings(_fixed_folder(pattern))
    found: dict[str, list[tuple[str, Listed]]] = {}
    for host in sorted(listings):
        mine: dict[str, Listed] = {}
        for file in sorted(listings[host], key=lambda listed: (listed.path, listed.folder)):
            mine.setdefault(file.path, file)  # of a host's folders, the one named first
        for name, file in mine.items():
            if matches(name, pattern):
                found.setdefault(name, []).append((host, file))
    if not found:
        raise _nowhere(path, pattern, listings)
    return [_checked(name, copies, catalog) for name, copies in sorted(found.items())]


def matches(name: str, pattern: str) -> bool:
    """Whether the pattern names the file or a folder that it is in; `**` is any depth. As for local paths, names that
    begin with '.' or '_' are passed over unless they are asked for."""
    parts, asked = name.split("/"), [part for part in pattern.split("/") if part not in ("", ".")]
    return any(
        _matches(parts[:depth], asked) and not any(part.startswith(HIDDEN) for part in parts[depth:])
        for depth in range(len(parts) + 1)
    )


def _matches(parts: Sequence[str], asked: Sequence[str]) -> bool:
    if not asked:
        return not parts
    if asked[0] == "**":
        return any(_matches(parts[skipped:], asked[1:]) for skipped in range(len(parts) + 1))
    if not parts or not fnmatchcase(parts[0], asked[0]):
        return False
    if parts[0].startswith(HIDDEN) and _is_glob(asked[0][0]):
        return False
    return _matches(parts[1:], asked[1:])


def _is_glob(part: str) -> bool:
    return any(mark in part for mark in "*?[")


def _fixed_folder(pattern: str) -> str:
    parts = pattern.split("/")
    fixed = []
    for part in parts[:-1]:
        if _is_glob(part):
            break
        fixed.append(part)
    return "/".join(fixed)


def _checked(name: str, copies: Sequence[tuple[str, Listed]], catalog: Catalog) -> InputFile:
    (first, file), *others = copies
    digest = ""
    for host, other in others:
        if other.size != file.size:
            raise _differs(name, (first, f"{file.size:,} bytes"), (host, f"{other.size:,}"))
        digest = digest or catalog.content_hash(first, file)
        if catalog.content_hash(host, other) != digest:
            raise _differs(name, (first, f"other bytes, {file.size:,} of them"), (host, "as many"))
    mtime_ns = file.mtime_ns if not others else max(each.mtime_ns for _, each in copies)
    return InputFile(HOSTS + name, file.size, mtime_ns, tuple(host for host, _ in copies))


def _differs(name: str, one: tuple[str, str], other: tuple[str, str]) -> InputError:
    return InputError(
        f"{HOSTS}{name} is one file on host {one[0]} ({one[1]}) and another on host {other[0]} ({other[1]}); give them "
        "different names, or make them equal"
    )


def _nowhere(path: str, pattern: str, listings: Mapping[str, Sequence[Listed]]) -> InputError:
    if not listings:
        return InputError(f"{path}: no host offers files; start agents with --data DIR")
    names = sorted({file.path for files in listings.values() for file in files})
    return InputError(
        f"{path}: none of {', '.join(sorted(listings))} has it; what they offer {near_names(pattern, names)}"
    )


# --- opening


class HostInputs:
    """Opens them in one process: `me` is its host, which offers `folders`; `reader` reads those of others. Paths that
    are not absolute start from `folder`, that of the tracker. More than one thread may read, in turns: Arrow has its
    own."""

    def __init__(
        self, me: str, folders: Sequence[str], reader: Reader, catalog: Catalog | None = None, folder: str = ""
    ) -> None:
        self._me = me
        self._folders = tuple(folders)
        self._reader = reader
        self._catalog = catalog
        self._folder = folder
        self._lock = threading.Lock()

    def find(self, path: str) -> list[InputFile]:
        if self._catalog is None:
            raise InputError(f"{path} can't be looked for on a worker; name it as an input of the job")
        with self._lock:
            try:
                return find_on_hosts(path, self._catalog)
            finally:
                self._catalog.rest()

    def knows(self, file: InputFile) -> bool:
        return self._me != TRACKER and not is_remote(file.path)

    def local_path(self, file: InputFile) -> str | None:
        """Where it lies here; None if it lies on other hosts."""
        if not is_on_hosts(file.path):
            return self._same_here(file)
        if self._me not in file.hosts:
            return None
        name = file.path.removeprefix(HOSTS)
        paths = (os.path.join(folder, name) for folder in self._folders)
        return next((path for path in paths if os.path.exists(path)), None)

    def _same_here(self, file: InputFile) -> str | None:
        if self._me == TRACKER:
            return file.path
        path = os.path.join(self._folder, file.path)
        try:
            status = os.stat(path)
        except OSError:
            return None
        same = (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns)
        return path if same and os.access(path, os.R_OK) else None

    def open(self, file: InputFile) -> BinaryIO:
        """The file, seekable. Raises InputError if no host has it any more."""
        path = self.local_path(file)
        if path is not None:
            try:
                return open(path, "rb")
            except OSError as error:
                raise InputError(f"{file.path}, here {path}: {error.strerror}") from error
        return io.BufferedReader(_FarFile(file, self._me, self._reader, self._lock), READ_BYTES)


class _FarFile(io.RawIOBase):
    """A file on other hosts, read from one of them, and from the next if that one is gone."""

    def __init__(self, file: InputFile, me: str, reader: Reader, lock: threading.Lock) -> None:
        self._file = file
        if is_on_hosts(file.path):
            name = file.path.removeprefix(HOSTS)
            self._paths = [f"{share_of(folder)}/{name}" for folder in range(MOST_FOLDERS)]
        else:
            self._paths = [offered_as(file.path)]
        self._reader = reader
        self._lock = lock
        self._position = 0
        self._read_to = -1  # where the last read ended: who goes on there reads from front to back
        self._asked_to = 0
        hosts = file.hosts if is_on_hosts(file.path) else (TRACKER,)
        self._hosts = choose_order(hosts, me, file.path) if hosts else []
        self._folder = 0  # of the first of these hosts

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        size = min(len(buffer), self._file.size - self._position, READ_BYTES)
        if size <= 0:
            return 0
        with self._lock:
            data = self._read(size)
        buffer[: len(data)] = data
        self._position += len(data)
        self._read_to = self._position
        return len(data)

    def close(self) -> None:
        if not self.closed and self._asked_to > self._read_to and self._hosts:
            with self._lock:
                self._reader.forget(self._hosts[0], self._path)
        super().close()

    @property
    def _path(self) -> str:
        return self._paths[self._folder]

    def _read(self, size: int) -> bytes:
        error: OSError = FileNotFoundError(errno.ENOENT, "no host is known that has it")
        host = "any"
        while self._hosts:
            host = self._hosts[0]
            try:
                if self._position == self._read_to:
                    self._ask_ahead(host, size)
                data = self._reader.read(host, self._path, self._position, size)
                if len(data) < size:
                    raise OSError(errno.EIO, f"it has become shorter than {self._file.size:,} bytes")
                return data
            except OSError as problem:
                error = problem
                self._asked_to = 0
                if problem.errno == errno.ENOENT and self._folder + 1 < len(self._paths):
                    self._folder += 1
                else:
                    self._hosts.pop(0)
                    self._folder = 0
        remedy = "start its agent again, or have another host offer the file, too"
        if host == TRACKER:
            remedy = "see that it is still there, as it was when the job began"
        raise InputError(
            f"{self._file.path} can't be read from host {host}: {error.strerror or error}; {remedy}"
        ) from error

    def _ask_ahead(self, host: str, size: int) -> None:
        """The piece that is read now, and the one after it: no more goes to waste than was read already."""
        start, end = max(self._position, self._asked_to), min(self._position + 2 * size, self._file.size)
        if end > start:
            self._reader.will_read([Place(host, self._path, start, end - start)])
            self._asked_to = end

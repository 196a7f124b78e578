"""How does a worker read what a job left on several hosts as if it all lay here?

On a host of a cluster a job has a folder of its own, and writes there as it does anywhere. What a task reports, others
know by a path that begins with the hosts that have it (`host_paths`).

A store reads such a path where it can best: on its own disk if that is one of the hosts, else from the others, one
after the other until one answers. Which host a reader begins with depends on reader and path, so that copies share the
load; one that did not answer comes last for the rest of the attempt, and one whose copy failed its checks is not asked
for it again. Paths without `@` are those of this host. Nothing but reading goes to other hosts.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from typing import BinaryIO, NamedTuple, Protocol, TypeVar
from zlib import crc32

from mapreduce.dataclass import dataclass, field
from mapreduce.storage.host_paths import split_path
from mapreduce.storage.mapping import CHUNK_BYTES, check, new_memory
from mapreduce.storage.segment_format import HEADER_BYTES
from mapreduce.storage.store import Store, map_whole

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer", int, bytes)

HEAD_BYTES = HEADER_BYTES
TAIL_BYTES = 64 << 10
"""What `open_segment` reads of a file, its READ_BYTES: on its way from the moment that the file will be opened."""


class Place(NamedTuple):
    """Bytes of a file on a host."""

    host: str
    path: str
    offset: int
    size: int


class OtherHosts(Protocol):
    """Reads files of other hosts, such as `wire.data_client`. A path begins with the name of a shared folder."""

    def size(self, host: str, path: str) -> int: ...

    def read(self, host: str, path: str, offset: int, size: int) -> bytes: ...

    def will_read(self, places: Sequence[Place]) -> None: ...

    def will_open(self, host: str, path: str) -> None: ...


@dataclass(slots=True)
class InPlace:
    """How much was read on this host's own disk."""

    bytes: int = 0


@dataclass(slots=True)
class Doubts:
    """What an attempt has seen of hosts that have the same files."""

    silent: set[str] = field(default_factory=set)  # did not answer: the others are asked first
    damaged: set[tuple[str, str]] = field(default_factory=set)  # hosts, and files that are no good there
    last: dict[str, str] = field(default_factory=dict)  # files, and who was read last

    def clear(self) -> None:
        self.silent.clear()
        self.damaged.clear()
        self.last.clear()


@dataclass(frozen=True, slots=True)
class HostStore:
    """The folder of a job on host `me`, which is `near`, and those on other hosts, where it is shared as `share`."""

    near: Store
    me: str
    share: str
    others: OtherHosts
    in_place: InPlace = field(default_factory=InPlace)
    doubts: Doubts = field(default_factory=Doubts)  # to be cleared now and then

    # --- reading

    def read(self, path: str, offset: int, size: int) -> bytes:
        hosts, rest = split_path(path)
        if not hosts:
            return self.near.read(rest, offset, size)
        return self._asked(hosts, rest, lambda host: self._read(host, rest, offset, size))

    def _read(self, host: str, rest: str, offset: int, size: int) -> bytes:
        if host != self.me:
            return self.others.read(host, self._shared(rest), offset, size)
        data = self.near.read(rest, offset, size)
        self.in_place.bytes += len(data)
        return data

    def size(self, path: str) -> int:
        hosts, rest = split_path(path)
        if not hosts:
            return self.near.size(rest)
        return self._asked(hosts, rest, lambda host: self._size(host, rest))

    def _size(self, host: str, rest: str) -> int:
        return self.near.size(rest) if host == self.me else self.others.size(host, self._shared(rest))

    def distrust(self, path: str) -> bool:
        """What was read of the file is wrong. Whether another host has it, which is read from now on."""
        hosts, rest = split_path(path)
        wrong = self.doubts.last.get(rest, "")
        if not wrong or (wrong, rest) in self.doubts.damaged:
            return False
        self.doubts.damaged.add((wrong, rest))
        left = [host for host in hosts if (host, rest) not in self.doubts.damaged]
        if left:
            _log.warning("the copy of %s on host %s is damaged; another is read", rest, wrong)
        return bool(left)

    def map_whole(self, path: str, size: int, checksum: int) -> memoryview:
        """See the function of this name in `store`."""
        hosts, rest = split_path(path)
        if not hosts or self.me in hosts:
            return map_whole(self.near, rest, size, checksum)
        data, end = new_memory(size), 0
        while end < size and (piece := self.read(path, end, min(CHUNK_BYTES, size - end))):
            data[end : end + len(piece)] = piece
            end += len(piece)
        return check(data[:end], size, checksum)

    def will_read(self, ranges: Sequence[tuple[str, int, int]]) -> None:
        """(path, offset, size) of ranges that are read next, all at the same time, each from front to back."""
        places = []
        for path, offset, size in ranges:
            hosts, rest = split_path(path)
            if hosts and (first := self._order(hosts, rest)[0]) != self.me:
                places.append(Place(first, self._shared(rest), offset, size))
        if places:
            self.others.will_read(places)

    def will_open(self, path: str) -> None:
        """The file is opened as a segment soon."""
        hosts, rest = split_path(path)
        if hosts and (first := self._order(hosts, rest)[0]) != self.me:
            self.others.will_open(first, self._shared(rest))

    def _asked(self, hosts: Sequence[str], rest: str, ask: Callable[[str], _Answer]) -> _Answer:
        """What the first host that has an answer says. Raises the last one's OSError."""
        if len(hosts) == 1:
            return ask(hosts[0])
        for host in self._order(hosts, rest):
            try:
                self.doubts.last[rest] = host
                return ask(host)
            except OSError as error:
                last = error
                if error.errno in (errno.EHOSTUNREACH, errno.ETIMEDOUT):
                    self.doubts.silent.add(host)
        raise last

    def _order(self, hosts: Sequence[str], rest: str) -> list[str]:
        """This host first, those that were silent last."""
        good = [host for host in choose_order(hosts, self.me, rest) if (host, rest) not in self.doubts.damaged]
        return sorted(good or hosts, key=lambda host: (host != self.me, host in self.doubts.silent))

    def _shared(self, rest: str) -> str:
        return f"{self.share}/{rest}"

    # --- writing, and what lies here

    def create(self, path: str) -> BinaryIO:
        return self.near.create(self._own(path))

    def append(self, path: str) -> BinaryIO:
        return self.near.append(self._own(path))

    def files(self, folder: str) -> list[str]:
        return self.near.files(self._own(folder))

    def make_folder(self, path: str) -> None:
        self.near.make_folder(self._own(path))

    def rename(self, old: str, new: str) -> None:
        self.near.rename(self._own(old), self._own(new))

    def remove(self, path: str) -> None:
        hosts, rest = split_path(path)
        if not hosts or self.me in hosts:
            self.near.remove(rest)

    def sync(self, path: str) -> None:
        self.near.sync(self._own(path))

    def locate(self, path: str) -> str:
        hosts, rest = split_path(path)
        return self.near.locate(rest) if not hosts or self.me in hosts else f"{'+'.join(hosts)}:{self._shared(rest)}"

    def _own(self, path: str) -> str:
        hosts, rest = split_path(path)
        if hosts and self.me not in hosts:
            raise OSError(errno.EROFS, "lies on another host", path)
        return rest


def choose_order(hosts: Sequence[str], reader: str, path: str) -> list[str]:
    """In which order a reader asks the hosts that have a file: begun at another one for other readers and files."""
    first = crc32(f"{reader}/{path}".encode()) % len(hosts)
    return [*hosts[first:], *hosts[:first]]

"""Which outputs of a job are to be copied, to which hosts, and when?

    committed --> waiting --order--> underway --copied--> has so many copies as are wanted
                     ^                  |
                     +---- not copied --+---- its host left; a host with a copy is gone

Pure: it is told what happens, and says what to order. A copy never lies where another is. Of the hosts that may have
one those on other machines come first, then those with the fewest bytes of copies. Where there are many hosts only some
are looked at, begun at another one for each output, which spreads nearly as well (Azar et al. 1999).

Each host has few orders at a time: what waits can still go elsewhere. A host that fails at copies again and again for
want of something there, such as space, is asked no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from zlib import crc32

from mapreduce.dataclass import dataclass, field
from mapreduce.dataflow.results import Output
from mapreduce.ids import AttemptId, TaskId
from mapreduce.storage.host_paths import join_path, split_path

UNDERWAY = 3
"""Orders that a host has at a time: one is carried out, the next begins without waiting for us."""

CHOICES = 16
"""Hosts that are looked at for an output."""

LOOK_AHEAD = 64
"""Outputs that are looked at while those before them wait for hosts that have enough to do."""

TRIES = 3
"""So often may a host fail for want of something there."""


@dataclass(frozen=True, slots=True)
class Order:
    """A host is to copy an output from those in its path."""

    host: str
    attempt: AttemptId
    path: str
    bytes: int


@dataclass(slots=True)
class _Host:
    machine: str
    bytes: int = 0  # of copies, those underway too
    underway: set[TaskId] = field(default_factory=set)
    failures: int = 0


@dataclass(slots=True)
class _File:
    """A committed output."""

    attempt: AttemptId
    rest: str
    bytes: int
    hosts: list[str]  # that have it
    asked: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)  # could not copy it

    def is_taken(self, host: str) -> bool:
        return host in self.hosts or host in self.asked or host in self.refused


class Copies:
    """`replicas` is on how many hosts an output shall be, where it was made counted."""

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas
        self._hosts: dict[str, _Host] = {}
        self._ring: list[str] = []  # their names
        self._files: dict[TaskId, _File] = {}
        self._at: dict[str, set[TaskId]] = {}  # what each host has
        self._waiting: deque[TaskId] = deque()
        self._short: set[TaskId] = set()  # of those that no host here can have
        self.most_hosts = 0

    # --- what happens

    def joined(self, host: str, machine: str = "") -> None:
        self._hosts[host] = _Host(machine or host)
        self._ring = sorted(self._hosts)
        self.most_hosts = max(self.most_hosts, len(self._hosts))
        for task in sorted(self._short & self._files.keys()):
            self._files[task].refused.discard(host)
            self._waiting.append(task)
        self._short.clear()

    def left(self, host: str) -> None:
        """It works for the job no more; what it has may still be read there."""
        known = self._hosts.pop(host, None)
        if known is None:
            return
        self._ring = sorted(self._hosts)
        for task in sorted(known.underway):
            if task in self._files:
                self._files[task].asked.discard(host)
                self._waiting.append(task)

    def gone(self, host: str) -> None:
        """What it had can't be read any more."""
        for task in sorted(self._at.pop(host, ())):
            file = self._files[task]
            file.hosts.remove(host)
            if file.hosts:
                self._waiting.append(task)
            else:
                self._forget(task)

    def committed(self, attempt: AttemptId, output: Output) -> None:
        """An output counts, in place of any other of its task."""
        self._forget(attempt.task)
        hosts, rest = split_path(output.path or "")
        if hosts:
            self._files[attempt.task] = _File(attempt, rest, output.bytes, list(hosts))
            for host in hosts:
                self._at.setdefault(host, set()).add(attempt.task)
            self._waiting.append(attempt.task)

    def copied(self, host: str, attempt: AttemptId) -> bool:
        """Whether it is a copy of what counts, and on a host that is here."""
        file = self._files.get(attempt.task)
        known = self._hosts.get(host)
        if file is None or known is None or file.attempt != attempt or host not in file.asked:
            return False
        self._answered(known, host, file)
        known.failures = 0
        file.hosts.append(host)
        self._at.setdefault(host, set()).add(attempt.task)
        return True

    def not_copied(self, host: str, attempt: AttemptId, *, ours: bool) -> None:
        """It could not; `ours`: for want of something there."""
        known = self._hosts.get(host)
        file = self._files.get(attempt.task)
        if known is None:
            return
        known.failures += ours
        if file is not None and file.attempt == attempt and host in file.asked:
            self._answered(known, host, file)
            known.bytes -= file.bytes
            file.refused.add(host)
            self._waiting.append(attempt.task)

    # --- what is to be done

    def orders(self, avoided: Container[str] = ()) -> list[Order]:
        """What to order now: nothing of it is said twice."""
        orders: list[Order] = []
        passed: list[TaskId] = []
        while self._waiting and len(passed) < LOOK_AHEAD:
            task = self._waiting.popleft()
            file = self._files.get(task)
            if file is None or len(file.hosts) + len(file.asked) >= self.replicas:
                continue
            able = list(islice(self._able(file, avoided), CHOICES))
            if not able:
                self._short.add(task)
                continue
            free = [host for host in able if len(self._hosts[host].underway) < UNDERWAY]
            if not free:
                passed.append(task)
                continue
            orders.append(self._order(self._best(free, file), task, file))
            self._waiting.appendleft(task)  # it may need another
        self._waiting.extendleft(reversed(passed))
        return orders

    @property
    def wanted(self) -> int:
        """On how many hosts an output can be: as many as were there at most."""
        return min(self.replicas, self.most_hosts)

    def counts(self) -> tuple[int, int]:
        """How many outputs there are, and how many of them on so many hosts as can be."""
        return len(self._files), sum(len(file.hosts) >= self.wanted for file in self._files.values())

    def _able(self, file: _File, avoided: Container[str]) -> Iterator[str]:
        """Hosts that may copy it, in the order of a ring, in which it has a place."""
        ring, start = self._ring, crc32(file.rest.encode())
        for place in range(start, start + len(ring)):
            host = ring[place % len(ring)]
            if not file.is_taken(host) and host not in avoided and self._hosts[host].failures < TRIES:
                yield host

    def _best(self, hosts: Sequence[str], file: _File) -> str:
        """Of equally good ones the first."""
        machines = {self._hosts[other].machine for other in (*file.hosts, *file.asked) if other in self._hosts}

        def rank(host: str) -> tuple[bool, int]:
            return self._hosts[host].machine in machines, self._hosts[host].bytes

        return min(hosts, key=rank)

    def _order(self, host: str, task: TaskId, file: _File) -> Order:
        known = self._hosts[host]
        known.underway.add(task)
        known.bytes += file.bytes
        file.asked.add(host)
        return Order(host, file.attempt, join_path(file.hosts, file.rest), file.bytes)

    def _answered(self, known: _Host, host: str, file: _File) -> None:
        known.underway.discard(file.attempt.task)
        file.asked.discard(host)

    def _forget(self, task: TaskId) -> None:
        """It is lost, or another is in its place: what is underway is of no use."""
        file = self._files.pop(task, None)
        if file is None:
            return
        for host in file.hosts:
            self._at.get(host, set()).discard(task)
        for host in file.asked:
            if host in self._hosts:
                self._hosts[host].underway.discard(task)

"""Which hosts lend their workers to a tracker that stays, and what are they told?

An agent joins with HELLO and is heard of every second. Each job has a process that listens for agents of its own; LEND
tells a host of all jobs that may use it. Which of its workers a job uses is between queue and job: see `leased`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from mapreduce.dataclass import dataclass
from mapreduce.engines.meeting import HEARTBEAT_SECONDS, SILENCE_SECONDS
from mapreduce.wire.messages import Hello, Kind, Message, Welcome
from mapreduce.wire.questions import encode_page
from mapreduce.wire.transport import PeerId

_log = logging.getLogger(__name__)

AWAY_SECONDS = 2.0
"""A tracker that has not looked for so long can't tell that a host was silent."""


MOST_WORKERS = 4096
"""Of a host: more is a mistake, and would cost the tracker time."""


@dataclass(slots=True)
class Host:
    """A host that has joined."""

    peer: PeerId
    name: str
    hello: Hello
    heard_at: float
    told_at: float = 0.0
    told: Mapping[str, str] | None = None


class Hosts:
    """The hosts that are here. `changed` is told the slots of one, whenever they change."""

    def __init__(
        self, send: Callable[[PeerId, Message], object], changed: Callable[[str, int], None], epoch: int
    ) -> None:
        self._send = send
        self._changed = changed
        self._epoch = epoch
        self._hosts: dict[PeerId, Host] = {}
        self._looked_at = 0.0

    def __contains__(self, peer: object) -> bool:
        return peer in self._hosts

    def join(self, peer: PeerId, hello: Hello, now: float) -> None:
        """An agent said hello, for the first time or again."""
        host = self._hosts.get(peer)
        if host is None:
            for other in [each for each in self._hosts.values() if each.hello.scratch == hello.scratch]:
                self._lose(other, "joined anew")
            host = Host(peer, self._free_name(hello.host), hello, now)
            self._hosts[peer] = host
            _log.info("host %s joined, with %d workers", host.name, hello.workers)
            self._changed(host.name, min(hello.workers, MOST_WORKERS))
        welcome = Welcome(hello.session, self._epoch, host.name)
        self._send(peer, Message(Kind.WELCOME, body=welcome.encode()))

    def hear(self, peer: PeerId, message: Message, now: float) -> None:
        """Whatever an agent says is a sign of life; only BYE means more."""
        host = self._hosts[peer]
        host.heard_at = now
        if message.kind == Kind.BYE:
            self._lose(host, "left")

    def look(self, jobs: Callable[[str], Mapping[str, str]], now: float) -> None:
        """Give up who was silent for too long, and tell the others what they lend to."""
        away = now - self._looked_at >= AWAY_SECONDS
        self._looked_at = now
        for host in list(self._hosts.values()):
            if away:
                host.heard_at = now
            if now - host.heard_at >= SILENCE_SECONDS:
                self._lose(host, f"has not been heard of for {SILENCE_SECONDS:g} s")
                continue
            lent = jobs(host.name)
            if lent != host.told:
                host.told = dict(lent)
                self._send(host.peer, Message(Kind.LEND, body=encode_page(dict(lent))))
            if now - host.told_at >= HEARTBEAT_SECONDS:
                host.told_at = now
                self._send(host.peer, Message(Kind.HEARTBEAT))

    def _lose(self, host: Host, why: str) -> None:
        del self._hosts[host.peer]
        _log.warning("host %s %s", host.name, why)
        self._changed(host.name, 0)

    def _free_name(self, wished: str) -> str:
        taken = {host.name for host in self._hosts.values()}
        wished = wished or "host"
        if wished not in taken:
            return wished
        return next(name for number in range(2, len(taken) + 3) if (name := f"{wished}.{number}") not in taken)

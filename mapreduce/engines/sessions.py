"""Which agents are connected, and what is heard of them and said to them?

Session: from an agent's HELLO to its BYE, to the moment at which nothing was heard of it for SILENCE_SECONDS, or to its
next HELLO. A peer without a session is told to say hello; whatever else it says is not listened to. So an agent that
was cut off and comes back can't commit what it did meanwhile.

What is posted waits for the next look at the wire, and goes to each agent in its order. Not for two threads at once.
"""

from __future__ import annotations

import logging
import pickle
import secrets
import struct
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from mapreduce import __version__
from mapreduce.engines.hub_books import TRACKER, AgentBook, choose_name
from mapreduce.engines.meeting import AWAY_SECONDS, HEARTBEAT_SECONDS, SILENCE_SECONDS
from mapreduce.errors import WireError
from mapreduce.storage.traffic import Link, Moved, Way
from mapreduce.wire.bundles import bundled, unbundled
from mapreduce.wire.messages import Hello, Kind, Message, Refused, Welcome, reason_to_refuse, size_of
from mapreduce.wire.transport import PeerId

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often it is looked who is silent and who must hear from us."""

GOODBYE_SECONDS = 0.5
"""So long agents have to answer: it takes a millisecond if they have nothing else to do."""

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NONSENSE = (WireError, ValueError, TypeError, LookupError, AttributeError, struct.error, pickle.PickleError, EOFError)
"""What decoding raises for a body that is not what its kind says."""


class Wire(Protocol):
    """The tracker's end of it: `wire.transport.Listener`, or what a test makes of it."""

    def receive(self, timeout_seconds: float) -> list[tuple[PeerId, Message]]: ...
    def send(self, peer: PeerId, message: Message) -> object: ...  # false if it was not taken
    def drop(self, peer: PeerId) -> None: ...
    def close(self) -> None: ...


class Ears(Protocol):
    """Whom sessions tell."""

    def entered(self, agent: AgentBook) -> None: ...

    def left(self, agent: AgentBook, why: str, kept: Sequence[str]) -> None:
        """`kept` are the jobs whose outputs can still be read there."""

    def heard(self, agent: AgentBook, message: Message) -> None:
        """Raises one of NONSENSE for what makes no sense: then the session is over."""


class Sessions:
    """The sessions of one wire."""

    def __init__(self, wire: Wire, clock: Callable[[], float], ears: Ears) -> None:
        self._wire = wire
        self._clock = clock
        self._ears = ears
        self._epoch = secrets.randbits(63)
        self._agents: dict[PeerId, AgentBook] = {}
        self._outbox: deque[tuple[AgentBook, Message]] = deque()
        self.looked_at = clock()
        self.passed: dict[Link, Moved] = {}
        """In messages, so far, with agents."""

    def agents(self) -> list[AgentBook]:
        return list(self._agents.values())

    def is_open(self, agent: AgentBook) -> bool:
        return self._agents.get(agent.peer) is agent

    def post(self, agent: AgentBook, message: Message) -> None:
        self._outbox.append((agent, message))

    def pump(self, timeout_seconds: float) -> None:
        """Send what is due, hear what comes within so long, and see who was silent."""
        self.flush()
        for peer, message in self._wire.receive(timeout_seconds):
            self._hear(peer, message)
        self.flush()
        now = self._clock()
        if now - self.looked_at >= LOOK_SECONDS:
            self._look(now)

    def flush(self) -> None:
        """Send what is due, to each agent in its order."""
        due: dict[PeerId, list[Message]] = {}
        while self._outbox:
            agent, message = self._outbox.popleft()
            due.setdefault(agent.peer, []).append(message)
        for peer, messages in due.items():
            for bundle in bundled(messages):
                there = self._agents.get(peer)
                if there is not None:
                    self._send(there, bundle)

    def end(self, agent: AgentBook, why: str, *, kept: Sequence[str] = ()) -> None:
        """The end of a session. A second one is harmless."""
        if self._agents.pop(agent.peer, None) is not None:
            _log.warning("host %s %s", agent.name, why)
            self._ears.left(agent, why, kept)

    def close(self) -> None:
        """Say goodbye to all, and close the wire when they have answered: what has come to an agent and was not read
        is lost to it when the connection ends."""
        self.flush()
        silent = {peer for peer in self._agents if self._wire.send(peer, Message(Kind.BYE))}
        self._agents.clear()
        deadline = self._clock() + GOODBYE_SECONDS
        while silent and (left := deadline - self._clock()) > 0:
            silent -= {peer for peer, message in self._wire.receive(left) if message.kind == Kind.BYE}
        self._wire.close()

    # --- the wire

    def _send(self, agent: AgentBook, message: Message) -> None:
        self._count(Link(TRACKER, agent.name, Way.MESSAGE), message)
        if not self._wire.send(agent.peer, message):
            self.end(agent, "can't be reached any more")

    def _count(self, link: Link, message: Message) -> None:
        self.passed[link] = self.passed.get(link, Moved()) + Moved(size_of(message))

    def _look(self, now: float) -> None:
        """Tell agents that we are there, and give up those that were silent for too long."""
        away = now - self.looked_at >= AWAY_SECONDS
        self.looked_at = now
        for agent in self.agents():
            if away:
                agent.heard_at = now
            if now - agent.heard_at >= SILENCE_SECONDS:
                self.end(agent, f"has not been heard of for {SILENCE_SECONDS:g} s")
            elif now - agent.told_at >= HEARTBEAT_SECONDS:
                agent.told_at = now
                self._send(agent, Message(Kind.HEARTBEAT))

    def _hear(self, peer: PeerId, message: Message) -> None:
        agent = self._agents.get(peer)
        try:
            if message.kind == Kind.HELLO:
                self._greet(peer, message, agent)
            elif agent is None:
                self._wire.send(peer, Message(Kind.REFUSED, body=Refused("this session is over", again=True).encode()))
            else:
                agent.heard_at = self._clock()
                self._count(Link(agent.name, TRACKER, Way.MESSAGE), message)
                for each in unbundled(message):
                    self._hear_agent(agent, each)
        except NONSENSE as error:
            _log.warning("a %s message of %s makes no sense: %r", message.kind.name, agent.name if agent else "", error)
            if agent is not None:
                self.end(agent, f"sent a {message.kind.name} message that makes no sense")
            self._wire.drop(peer)

    def _hear_agent(self, agent: AgentBook, message: Message) -> None:
        if message.kind == Kind.BYE:
            self.end(agent, bytes(message.body[0]).decode() if message.body else "left")
        elif message.kind != Kind.HEARTBEAT:
            self._ears.heard(agent, message)

    def _greet(self, peer: PeerId, message: Message, agent: AgentBook | None) -> None:
        hello = Hello.decode(message.body)
        reason = reason_to_refuse(hello, __version__, PYTHON)
        if reason is not None:
            _log.warning("refused: %s", reason)
            self._wire.send(peer, Message(Kind.REFUSED, body=Refused(reason).encode()))
            return
        if agent is None:
            for before in [other for other in self._agents.values() if other.hello.scratch == hello.scratch]:
                self.end(before, "joined anew", kept=hello.kept)
            agent = self._enter(peer, hello)
        welcome = Welcome(hello.session, self._epoch, agent.name)
        self._outbox.insert(0, (agent, Message(Kind.WELCOME, body=welcome.encode())))

    def _enter(self, peer: PeerId, hello: Hello) -> AgentBook:
        now = self._clock()
        agent = AgentBook(peer, choose_name(hello.host, {each.name for each in self._agents.values()}), hello, now, now)
        self._agents[peer] = agent
        _log.info("host %s joined, with %d workers", agent.name, hello.workers)
        self._ears.entered(agent)
        return agent

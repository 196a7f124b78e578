"""Which agents are there, which workers have they, and what is said to whom?

    driver --start, cancel--> ClusterExecutor --> Hub --START, CANCEL--> agent a --> its pool
                                   ^               |                     agent b --> its pool
                                   +---reports-----+ <--READY, FINISHED, LOST, heartbeats--

A hub lives as long as its engine and serves its jobs. Agents come and go when they like.

Session: from an agent's HELLO to its BYE, to the moment at which nothing was heard of it for SILENCE_SECONDS, or to its
next HELLO. A peer without a session is told to say hello; whatever else it says is not listened to. So an agent that
was cut off and comes back can't commit what it did meanwhile.

Worker: known to the tracker by a number that is never used again, and to its agent by the agent's own. A seat has both,
and the attempts that are there. What an agent says of an attempt that is not on the seat comes too late, and is not
listened to.

Time: the hub looks at its wire whenever the driver waits. When nobody waits (between jobs, or while an output is being
committed) a thread looks twice a second, so that agents don't think us dead.
"""

from __future__ import annotations

import logging
import pickle
import secrets
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from mapreduce import __version__
from mapreduce.dataflow.results import Failure
from mapreduce.engines.hub_books import (
    TRACKER,
    AgentBook,
    JobBook,
    Seat,
    choose_name,
    ending_of,
)
from mapreduce.engines.meeting import (
    AWAY_SECONDS,
    HEARTBEAT_SECONDS,
    SILENCE_SECONDS,
    Begin,
    Places,
    decode_lost,
    decode_pid,
    decode_progress,
)
from mapreduce.errors import UsageError, WireError
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.settings import MiB
from mapreduce.tracker.executor import (
    LogLines,
    Lost,
    NoWorkers,
    OutputsGone,
    Progress,
    Ready,
    Report,
)
from mapreduce.wire.bundles import bundled, unbundled
from mapreduce.wire.messages import Hello, Kind, Message, Refused, Welcome, reason_to_refuse
from mapreduce.wire.transport import MAX_MESSAGE_BYTES, PeerId

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often it is looked who is silent and who must hear from us."""

KEEPER_SECONDS = 0.5
ENDING_SECONDS = 2.0
"""At the end of a job agents have so long to say that nothing of it runs any more."""

LONELY_SECONDS = 30.0
"""So long a job waits for a first or another agent before it fails."""

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NONSENSE = (WireError, ValueError, TypeError, LookupError, AttributeError, struct.error, pickle.PickleError, EOFError)
"""What decoding raises for a body that is not what its kind says."""

PACKAGE_BYTES = MAX_MESSAGE_BYTES - MiB


class Wire(Protocol):
    """The tracker's end of it: `wire.transport.Listener`, or what a test makes of it."""

    def receive(self, timeout_seconds: float) -> list[tuple[PeerId, Message]]: ...
    def send(self, peer: PeerId, message: Message) -> object: ...  # false if it was not taken
    def drop(self, peer: PeerId) -> None: ...
    def close(self) -> None: ...


class Hub:
    """Books of agents, behind one wire. Safe to call from several threads."""

    def __init__(
        self, wire: Wire, *, clock: Callable[[], float] = time.monotonic, lonely_seconds: float = LONELY_SECONDS
    ) -> None:
        self._wire = wire
        self._clock = clock
        self._lonely_seconds = lonely_seconds
        self._epoch = secrets.randbits(63)
        self._lock = threading.RLock()
        self._agents: dict[PeerId, AgentBook] = {}
        self._seats: dict[WorkerId, Seat] = {}
        self._jobs: dict[int, JobBook] = {}
        self._outbox: deque[tuple[AgentBook, Message]] = deque()
        self._next_worker = 0
        self._next_job = 1
        self._looked_at = clock()
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None
        self.own_data = ""  # where this process serves data, if it does
        self.told_places: Callable[[dict[str, str]], None] = lambda places: None
        self.hopeless: Callable[[], str] = lambda: ""
        """Why no agent will come any more; empty as long as one may."""

    # --- what an engine does with it

    def keep_alive(self) -> None:
        """Look at the wire from a thread of our own whenever nobody else does."""
        self._keeper = threading.Thread(target=self._keep, name="hub", daemon=True)
        self._keeper.start()

    def agents(self) -> list[AgentBook]:
        with self._lock:
            return list(self._agents.values())

    def worker_count(self) -> int:
        with self._lock:
            return len(self._seats)

    def host_of(self, worker: WorkerId) -> str:
        """The name of the host that a worker is on; empty once it is gone."""
        seat = self._seats.get(worker)
        return "" if seat is None else seat.agent.name

    def is_here(self, name: str) -> bool:
        return any(agent.name == name for agent in self._agents.values())

    def keeps(self, name: str, key: str) -> bool:
        """Whether the host is there, and had outputs of this job when it joined."""
        return any(agent.name == name and key in agent.hello.kept for agent in self.agents())

    def wait_for_workers(self, wanted: int, seconds: float) -> int:
        """Wait until so many workers are there, for so long at the most. How many there are."""
        self.wait_until(lambda: self.worker_count() >= wanted or bool(self.hopeless()), seconds)
        return self.worker_count()

    def wait_until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait for something to come about, for so long at the most. Whether it has."""
        deadline = self._clock() + seconds
        while not (found := is_so()) and self._clock() < deadline:
            with self._lock:
                self._pump(0.1)
        return found

    def close(self) -> None:
        """Say goodbye to all agents. A second call is harmless."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._keeper is not None:
            self._keeper.join()
        with self._lock:
            self._flush()
            for agent in list(self._agents.values()):
                self._wire.send(agent.peer, Message(Kind.BYE))
            self._agents.clear()
            self._seats.clear()
            self._wire.close()

    # --- what an executor does with it

    def open_job(self, begin: Begin, package: bytes) -> int:
        """Begin a job on all agents, and on those that come later. Its number. Raises UsageError if it is too large."""
        if len(package) > PACKAGE_BYTES:
            raise UsageError(
                f"the job is {len(package) / 1e6:,.0f} MB, and at most {PACKAGE_BYTES / 1e6:,.0f} MB are sent to other "
                "hosts; have it read large data from a file, in setup()"
            )
        with self._lock:
            job = JobBook(self._next_job, begin, package, attended_at=self._clock())
            self._next_job += 1
            self._jobs[job.number] = job
            for agent in list(self._agents.values()):
                self._allot(agent)
            return job.number

    def workers(self, job: int) -> list[WorkerId]:
        """Those that are ready for the job now."""
        with self._lock:
            return [seat.id for seat in self._seats.values() if seat.agent.job == job]

    def start(self, job: int, attempt: AttemptId, worker: WorkerId, spec: bytes) -> None:
        """Queue an attempt for a worker; it is sent by the next `wait`. Its end is reported, or the worker's: if that
        has been reported already, nothing happens."""
        with self._lock:
            seat = self._seats.get(worker)
            if seat is not None and seat.agent.job == job:
                seat.attempts.append(attempt)
                self._outbox.append((seat.agent, Message(Kind.START, job, attempt, seat.number, (spec,))))

    def cancel(self, job: int, attempt: AttemptId, worker: WorkerId) -> None:
        """Ask for the attempt's end. Harmless if it is over."""
        with self._lock:
            seat = self._seats.get(worker)
            if seat is not None and attempt in seat.attempts:
                self._outbox.append((seat.agent, Message(Kind.CANCEL, job, attempt, seat.number)))

    def wait(self, job: int, timeout_seconds: float) -> list[Report]:
        """Reports of the job in order; waits for something to happen, but not longer than told."""
        with self._lock:
            book = self._jobs[job]
            self._pump(0 if book.reports else timeout_seconds)
            self._check_attended(book)
            reports, book.reports = book.reports, []
            return reports

    def host_is_gone(self, job: int, name: str) -> bool:
        """Whether outputs that lay on this host were lost to the job, and it has not come back since."""
        return name in self._jobs[job].gone

    def close_job(self, job: int) -> None:
        """The job is over: see that nothing of it runs any more, and keep its files where they are."""
        with self._lock:
            book = self._jobs.pop(job, None)
            if book is None:
                return
            working = [agent for agent in self._agents.values() if agent.job == job]
            for agent in working:
                self._outbox.append((agent, Message(Kind.END, job)))
            deadline = self._clock() + ENDING_SECONDS
            while self._clock() < deadline and any(seat.attempts for agent in working for seat in agent.seats.values()):
                self._pump(0.1)
            for agent in working:
                agent.job = 0
                for seat in agent.seats.values():
                    seat.attempts.clear()
                if agent.peer in self._agents:
                    self._allot(agent)

    def forget_job(self, key: str) -> None:
        """Nobody will ask for the files of the job any more."""
        with self._lock:
            for agent in self._agents.values():
                self._outbox.append((agent, Message(Kind.FORGET, body=(key.encode(),))))
            self._flush()

    # --- the wire

    def _keep(self) -> None:
        while not self._closed.wait(KEEPER_SECONDS):
            if self._clock() - self._looked_at >= KEEPER_SECONDS:
                with self._lock:
                    self._pump(0)

    def _pump(self, timeout_seconds: float) -> None:
        self._flush()
        for peer, message in self._wire.receive(timeout_seconds):
            self._hear(peer, message)
        self._flush()
        now = self._clock()
        if now - self._looked_at >= LOOK_SECONDS:
            self._look(now)

    def _flush(self) -> None:
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

    def _send(self, agent: AgentBook, message: Message) -> None:
        if not self._wire.send(agent.peer, message):
            self._lose(agent, "can't be reached any more")

    def _look(self, now: float) -> None:
        """Tell agents that we are there, and give up those that were silent for too long."""
        away = now - self._looked_at >= AWAY_SECONDS
        self._looked_at = now
        for agent in list(self._agents.values()):
            if away:
                agent.heard_at = now
            if now - agent.heard_at >= SILENCE_SECONDS:
                self._lose(agent, f"has not been heard of for {SILENCE_SECONDS:g} s")
            elif now - agent.told_at >= HEARTBEAT_SECONDS:
                agent.told_at = now
                self._send(agent, Message(Kind.HEARTBEAT))

    # --- agents come and go

    def _hear(self, peer: PeerId, message: Message) -> None:
        agent = self._agents.get(peer)
        try:
            if message.kind == Kind.HELLO:
                self._greet(peer, message, agent)
            elif agent is None:
                self._wire.send(peer, Message(Kind.REFUSED, body=Refused("this session is over", again=True).encode()))
            else:
                agent.heard_at = self._clock()
                for each in unbundled(message):
                    self._hear_agent(agent, each)
        except NONSENSE as error:
            _log.warning("a %s message of %s makes no sense: %r", message.kind.name, agent.name if agent else "", error)
            if agent is not None:
                self._lose(agent, f"sent a {message.kind.name} message that makes no sense")
            self._wire.drop(peer)

    def _greet(self, peer: PeerId, message: Message, agent: AgentBook | None) -> None:
        hello = Hello.decode(message.body)
        reason = reason_to_refuse(hello, __version__, PYTHON)
        if reason is not None:
            _log.warning("refused: %s", reason)
            self._wire.send(peer, Message(Kind.REFUSED, body=Refused(reason).encode()))
            return
        if agent is None:
            for before in [other for other in self._agents.values() if other.hello.scratch == hello.scratch]:
                self._lose(before, "joined anew", kept=hello.kept)
            agent = self._enter(peer, hello)
        welcome = Welcome(hello.session, self._epoch, agent.name, HEARTBEAT_SECONDS, SILENCE_SECONDS)
        self._outbox.insert(0, (agent, Message(Kind.WELCOME, body=welcome.encode())))

    def _enter(self, peer: PeerId, hello: Hello) -> AgentBook:
        now = self._clock()
        agent = AgentBook(peer, choose_name(hello.host, {each.name for each in self._agents.values()}), hello, now, now)
        self._agents[peer] = agent
        _log.info("host %s joined, with %d workers", agent.name, hello.workers)
        for job in self._jobs.values():
            job.gone.discard(agent.name)
        self._tell_places()
        self._allot(agent)
        return agent

    def _tell_places(self) -> None:
        """Tell everybody where the data of each host is served."""
        places = {agent.name: agent.hello.data_address for agent in self._agents.values() if agent.hello.data_address}
        if self.own_data:
            places[TRACKER] = self.own_data
        self.told_places(places)
        message = Message(Kind.PLACES, body=Places(tuple(places), tuple(places.values())).encode())
        self._outbox += [(agent, message) for agent in self._agents.values()]

    def _allot(self, agent: AgentBook) -> None:
        """Give an agent without a job to the one that runs."""
        job = next(iter(self._jobs.values()), None)
        if agent.job or job is None:
            return
        agent.job = job.number
        self._outbox.append((agent, job.message()))
        job.reports += [Ready(seat.id, seat.pid) for seat in agent.seats.values()]

    def _lose(self, agent: AgentBook, why: str, *, kept: Sequence[str] = ()) -> None:
        """The end of a session. `kept` are the jobs whose outputs can still be read there."""
        if self._agents.pop(agent.peer, None) is None:
            return
        _log.warning("host %s %s", agent.name, why)
        job = self._jobs.get(agent.job)
        for seat in agent.seats.values():
            del self._seats[seat.id]
            if job is not None:
                running = seat.attempts[0] if seat.attempts else None
                job.reports.append(Lost(seat.id, f"host {agent.name} {why}", running))
        for job in self._jobs.values():
            if job.begin.key not in kept and not job.begin.shared:
                job.gone.add(agent.name)
                job.reports.append(OutputsGone(agent.name))

    # --- what agents say

    def _hear_agent(self, agent: AgentBook, message: Message) -> None:
        match message.kind:
            case Kind.HEARTBEAT:
                return
            case Kind.BYE:
                self._lose(agent, bytes(message.body[0]).decode() if message.body else "left")
            case Kind.READY:
                self._seat(agent, message)
            case Kind.END:
                for each in agent.seats.values() if message.job == agent.job else ():
                    each.attempts.clear()
            case Kind.NO_WORKERS:
                agent.why_no_workers = f"host {agent.name}: {bytes(message.body[0]).decode(errors='replace')}"
            case _:
                seat = agent.seats.get(message.worker)
                if seat is not None:
                    self._hear_worker(seat, message)

    def _seat(self, agent: AgentBook, message: Message) -> None:
        if message.worker in agent.seats:
            return
        seat = Seat(WorkerId(self._next_worker), agent, message.worker, decode_pid(message.body))
        self._next_worker += 1
        agent.seats[message.worker] = self._seats[seat.id] = seat
        agent.why_no_workers = ""
        job = self._jobs.get(agent.job)
        if job is not None:
            job.reports.append(Ready(seat.id, seat.pid))

    def _hear_worker(self, seat: Seat, message: Message) -> None:
        attempt, body = message.attempt, message.body
        job = self._jobs.get(message.job) if message.job == seat.agent.job else None
        if message.kind == Kind.LOST:
            self._unseat(seat, *decode_lost(body))
            return
        if message.kind == Kind.LOG:
            if job is not None:
                job.reports.append(LogLines(seat.id, attempt, bytes(body[0]).decode(errors="backslashreplace")))
            return
        if attempt is None or attempt not in seat.attempts or message.job != seat.agent.job:
            return
        report: Report
        if message.kind == Kind.PROGRESS:
            report = Progress(decode_progress(body, seat.id, seat.pid, attempt))
        else:
            report = ending_of(seat.id, attempt, message)
            seat.attempts.remove(attempt)
        if job is not None:  # else it is just ending
            job.reports.append(report)

    def _unseat(self, seat: Seat, reason: str, failure: Failure | None) -> None:
        del self._seats[seat.id]
        del seat.agent.seats[seat.number]
        job = self._jobs.get(seat.agent.job)
        if job is not None:
            running = seat.attempts[0] if seat.attempts else None
            job.reports.append(Lost(seat.id, f"host {seat.agent.name}: {reason}", running, failure))

    def _check_attended(self, job: JobBook) -> None:
        """A job without a worker waits for one, but not for ever."""
        now = self._clock()
        mine = [agent for agent in self._agents.values() if agent.job == job.number]
        if any(agent.seats for agent in mine):
            job.attended_at = now
            return
        reasons = [agent.why_no_workers for agent in mine if agent.why_no_workers]
        if mine and len(reasons) == len(mine):
            job.reports.append(NoWorkers("\n".join(reasons)))
        elif not mine and (why := self.hopeless()):
            job.reports.append(NoWorkers(why))
        elif now - job.attended_at >= self._lonely_seconds:
            job.reports.append(NoWorkers(f"no host has been connected for {self._lonely_seconds:g} s"))

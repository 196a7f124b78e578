"""Which agents are there, which workers have they, and what is said to whom?

    driver --start, cancel--> ClusterExecutor --> Hub --START, CANCEL--> agent a --> its pool
                                   ^               |                     agent b --> its pool
                                   +---reports-----+ <--READY, FINISHED, LOST, heartbeats--

A hub lives as long as its engine and serves its jobs. Agents come and go when they like (`sessions`).

Worker: known to the tracker by a number that is never used again, and to its agent by the agent's own. A seat has both,
and the attempts that are there. What an agent says of an attempt that is not on the seat comes too late, and is not
listened to.

Time: the hub looks at its wire whenever the driver waits. When nobody waits (between jobs, or while an output is being
committed) a thread looks twice a second, so that agents don't think us dead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from mapreduce.dataclass import replace
from mapreduce.dataflow.results import Failure
from mapreduce.engines.hub_books import (
    TRACKER,
    AgentBook,
    CopyFailed,
    CopyMade,
    HostJoined,
    HostLeft,
    HubReport,
    JobBook,
    Seat,
    ending_of,
    machine_of,
)
from mapreduce.engines.meeting import (
    Begin,
    CopyOrder,
    CopyTrouble,
    Have,
    Places,
    decode_lost,
    decode_pid,
    decode_progress,
)
from mapreduce.engines.segment_lists import SegmentLists
from mapreduce.engines.sessions import Sessions, Wire
from mapreduce.errors import UsageError
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.settings import MiB
from mapreduce.storage.traffic import Link, Moved
from mapreduce.tracker.executor import LogLines, Lost, NoWorkers, OutputsGone, Progress, Ready, Report
from mapreduce.wire.messages import Kind, Message
from mapreduce.wire.transport import MAX_MESSAGE_BYTES

KEEPER_SECONDS = 0.5
ENDING_SECONDS = 2.0
"""At the end of a job agents have so long to say that nothing of it runs any more."""

LONELY_SECONDS = 30.0
"""So long a job waits for a first or another agent before it fails."""

PACKAGE_BYTES = MAX_MESSAGE_BYTES - MiB


class Hub:
    """Books of agents, behind one wire. Safe to call from several threads."""

    def __init__(
        self, wire: Wire, *, clock: Callable[[], float] = time.monotonic, lonely_seconds: float = LONELY_SECONDS
    ) -> None:
        self._clock = clock
        self._lonely_seconds = lonely_seconds
        self._lock = threading.RLock()
        self._sessions = Sessions(wire, clock, self)
        self._seats: dict[WorkerId, Seat] = {}
        self._jobs: dict[int, JobBook] = {}
        self._next_worker = 0
        self._next_job = 1
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
            return self._sessions.agents()

    def passed(self) -> dict[Link, Moved]:
        """What went in messages so far, of all jobs."""
        with self._lock:
            return dict(self._sessions.passed)

    def worker_count(self) -> int:
        with self._lock:
            return len(self._seats)

    def host_of(self, worker: WorkerId) -> str:
        """The name of the host that a worker is on; empty once it is gone."""
        seat = self._seats.get(worker)
        return "" if seat is None else seat.agent.name

    def is_here(self, name: str) -> bool:
        return any(agent.name == name for agent in self.agents())

    def keeps(self, name: str, key: str) -> bool:
        """Whether the host is there, and has outputs of this job, of an earlier run."""
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
                self._sessions.pump(0.1)
        return found

    def close(self) -> None:
        """Say goodbye to all agents. A second call is harmless."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._keeper is not None:
            self._keeper.join()
        with self._lock:
            self._sessions.close()
            self._seats.clear()

    # --- what an executor does with it

    def open_job(self, begin: Begin, package: bytes, *, tells_hosts: bool = False) -> int:
        """Begin a job on all agents, and on those that come later. Its number. `tells_hosts`: which hosts come and go
        is reported, too. Raises UsageError if it is too large."""
        if len(package) > PACKAGE_BYTES:
            raise UsageError(
                f"the job is {len(package) / 1e6:,.0f} MB, and at most {PACKAGE_BYTES / 1e6:,.0f} MB are sent to other "
                "hosts; have it read large data from a file, in setup()"
            )
        with self._lock:
            job = JobBook(self._next_job, begin, package, tells_hosts=tells_hosts, attended_at=self._clock())
            self._next_job += 1
            self._jobs[job.number] = job
            for agent in self._sessions.agents():
                self._allot(agent)
            return job.number

    def workers(self, job: int) -> list[WorkerId]:
        """Those that are ready for the job now."""
        with self._lock:
            return [seat.id for seat in self._seats.values() if seat.agent.job == job]

    def start(
        self, job: int, attempt: AttemptId, worker: WorkerId, spec: bytes, lists: SegmentLists | None = None
    ) -> None:
        """Queue an attempt for a worker; it is sent by the next `wait`, after those lists that its host does not have.
        Its end is reported, or the worker's: if that has been reported already, nothing happens."""
        with self._lock:
            seat = self._seats.get(worker)
            if seat is not None and seat.agent.job == job:
                seat.attempts.append(attempt)
                if lists is not None:
                    self._send_lists(seat.agent, lists)
                self._sessions.post(seat.agent, Message(Kind.START, job, attempt, seat.number, (spec,)))

    def _send_lists(self, agent: AgentBook, lists: SegmentLists) -> None:
        for number in range(agent.lists, len(lists.lists)):
            body = (f"{lists.name}-{number}".encode(), lists.lists[number])
            self._sessions.post(agent, Message(Kind.LIST, agent.job, body=body))
        agent.lists = len(lists.lists)

    def cancel(self, job: int, attempt: AttemptId, worker: WorkerId) -> None:
        """Ask for the attempt's end. Harmless if it is over."""
        with self._lock:
            seat = self._seats.get(worker)
            if seat is not None and attempt in seat.attempts:
                self._sessions.post(seat.agent, Message(Kind.CANCEL, job, attempt, seat.number))

    def copy(self, job: int, attempt: AttemptId, host: str, order: CopyOrder) -> None:
        """Have a host copy an output that is on others. It is reported how that went, or that the host has left."""
        with self._lock:
            for agent in self._sessions.agents():
                if agent.name == host and agent.job == job:
                    self._sessions.post(agent, Message(Kind.COPY, job, attempt, body=order.encode()))

    def wait(self, job: int, timeout_seconds: float) -> list[HubReport]:
        """Reports of the job in order; waits for something to happen, but not longer than told."""
        with self._lock:
            book = self._jobs[job]
            self._sessions.pump(0 if book.reports else timeout_seconds)
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
            working = [agent for agent in self._sessions.agents() if agent.job == job]
            for agent in working:
                self._sessions.post(agent, Message(Kind.END, job))
            deadline = self._clock() + ENDING_SECONDS
            while self._clock() < deadline and any(seat.attempts for agent in working for seat in agent.seats.values()):
                self._sessions.pump(0.1)
            for agent in working:
                agent.job = 0
                agent.hello = replace(agent.hello, kept=(*agent.hello.kept, book.begin.key))
                for seat in agent.seats.values():
                    seat.attempts.clear()
                if self._sessions.is_open(agent):
                    self._allot(agent)

    def forget_job(self, key: str) -> None:
        """Nobody will ask for the files of the job any more."""
        with self._lock:
            for agent in self._sessions.agents():
                left = tuple(kept for kept in agent.hello.kept if kept != key)
                agent.hello = replace(agent.hello, kept=left)
                self._sessions.post(agent, Message(Kind.FORGET, body=(key.encode(),)))
            self._sessions.flush()

    def _keep(self) -> None:
        while not self._closed.wait(KEEPER_SECONDS):
            if self._clock() - self._sessions.looked_at >= KEEPER_SECONDS:
                with self._lock:
                    self._sessions.pump(0)

    # --- agents come and go

    def entered(self, agent: AgentBook) -> None:
        for job in self._jobs.values():
            job.gone.discard(agent.name)
        self._tell_places()
        self._allot(agent)

    def left(self, agent: AgentBook, why: str, kept: Sequence[str]) -> None:
        job = self._jobs.get(agent.job)
        for seat in agent.seats.values():
            del self._seats[seat.id]
            if job is not None:
                running = seat.attempts[0] if seat.attempts else None
                job.reports.append(Lost(seat.id, f"host {agent.name} {why}", running))
        if job is not None and job.tells_hosts:
            job.reports.append(HostLeft(agent.name))
        for job in self._jobs.values():
            if job.begin.key not in kept and not job.begin.shared:
                job.gone.add(agent.name)
                job.reports.append(OutputsGone(agent.name))

    def _tell_places(self) -> None:
        """Tell everybody where the data of each host is served."""
        agents = self._sessions.agents()
        places = {agent.name: agent.hello.data_address for agent in agents if agent.hello.data_address}
        if self.own_data:
            places[TRACKER] = self.own_data
        self.told_places(places)
        message = Message(Kind.PLACES, body=Places(tuple(places), tuple(places.values())).encode())
        for agent in agents:
            self._sessions.post(agent, message)

    def _allot(self, agent: AgentBook) -> None:
        """Give an agent without a job to the one that runs."""
        job = next(iter(self._jobs.values()), None)
        if agent.job or job is None:
            return
        agent.job, agent.lists = job.number, 0
        self._sessions.post(agent, job.message())
        if job.tells_hosts:
            job.reports.append(HostJoined(agent.name, machine_of(agent.hello.data_address)))
        job.reports += [Ready(seat.id, seat.pid) for seat in agent.seats.values()]

    # --- what agents say

    def heard(self, agent: AgentBook, message: Message) -> None:
        match message.kind:
            case Kind.READY:
                self._seat(agent, message)
            case Kind.END:
                for each in agent.seats.values() if message.job == agent.job else ():
                    each.attempts.clear()
            case Kind.NO_WORKERS:
                agent.why_no_workers = f"host {agent.name}: {bytes(message.body[0]).decode(errors='replace')}"
            case Kind.HAVE | Kind.NO_COPY:
                self._hear_of_copy(agent, message)
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

    def _hear_of_copy(self, agent: AgentBook, message: Message) -> None:
        job = self._jobs.get(message.job)
        if job is None or message.job != agent.job or message.attempt is None:
            return
        if message.kind == Kind.HAVE:
            job.reports.append(CopyMade(agent.name, message.attempt, Have.decode(message.body)))
        else:
            job.reports.append(CopyFailed(agent.name, message.attempt, CopyTrouble.decode(message.body)))

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
        mine = [agent for agent in self._sessions.agents() if agent.job == job.number]
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

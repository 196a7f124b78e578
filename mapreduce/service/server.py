"""What does a tracker that stays do? It keeps the books of jobs, and carries out what the queue decides.

```text
clients ==wire==> +----------+ --events--> JobQueue (pure)
                  |  Service | <-commands--
job processes <=> +----------+ --> StateFolder
```

One thread, one loop. Nothing that a client sent is unpickled here. A job's state is written down and synced before
anything else is done about it, so whoever kills the tracker finds every job again: waiting ones wait, those that ran go
on from their journals, and those that have ended are listed.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mapreduce.dataclass import replace
from mapreduce.errors import ResourceError
from mapreduce.service.jobs import JobState
from mapreduce.service.process import JobProcess, why_it_died
from mapreduce.service.queue import (
    Command,
    Event,
    JobDied,
    JobEnded,
    JobQueue,
    KillAsked,
    Lease,
    LeaseReturned,
    NoteState,
    Refuse,
    SlotsChanged,
    StartJob,
    StopJob,
    Submitted,
    Tick,
)
from mapreduce.service.runner import HERE
from mapreduce.service.state import ENDED, JobRecord, JobStatus, KeptJob, StateFolder, read_ended

if TYPE_CHECKING:
    from mapreduce.wire.messages import Message
    from mapreduce.wire.transport import PeerId

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
END_SECONDS = 5.0
"""At the tracker's own end its jobs have so long to stop in order; they go on another time either way."""


class Door(Protocol):
    """What answers clients; see `service.desk`."""

    def handle(self, peer: PeerId, message: Message) -> None: ...
    def look(self) -> None: ...


class ClusterPlace(NamedTuple):
    """Where the process of a job listens for agents, and the file of their key."""

    address: str
    port: int
    key: str


class Service:
    """The books and the loop. `close` ends the processes of jobs, which go on when the next tracker starts."""

    def __init__(
        self,
        state: StateFolder,
        queue: JobQueue,
        workers: int,
        *,
        cluster: Callable[[int], ClusterPlace] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        start: Callable[..., JobProcess] = JobProcess,
    ) -> None:
        self.state = state
        self.queue = queue
        self.workers = workers
        self.lends_to: dict[int, str] = {}  # jobs that agents may join, and where they listen
        self._at_hosts: dict[int, set[str]] = {}  # where they had slots
        self._cluster = cluster
        self.jobs: dict[int, KeptJob] = {}
        self.tokens: dict[str, int] = {}
        self._clock = clock
        self._wall_clock = wall_clock
        self._start = start
        self._processes: dict[int, JobProcess] = {}
        self._unstarted: list[JobDied] = []
        self._selector = selectors.DefaultSelector()

    # --- the beginning and the end

    def restore(self) -> None:
        """Take up what the tracker before us left, and lend our own slots."""
        for kept in self.state.jobs():
            self._enter(kept)
            if not kept.status.state.ended:
                was, number = kept.status.state, kept.record.number
                self._note(number, replace(kept.status, state=JobState.QUEUED))
                self.tell(Submitted(self._clock(), number, kept.record.claim, restored=True))
                if was is JobState.STOPPING:
                    self.tell(KillAsked(self._clock(), number))
            elif kept.status.ended_at:
                self.state.note(kept.record.number, kept.status)  # its process may have said so after our end
        if self.workers:
            self.tell(SlotsChanged(self._clock(), HERE, self.workers, gone=True))

    def run(self, listener: Listener, door: Door) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        with _Signals() as signals:
            self._selector.register(listener.fileno(), selectors.EVENT_READ)
            self._selector.register(signals.fileno(), selectors.EVENT_READ)
            while not signals.noted:
                for peer, message in listener.receive(0):
                    door.handle(peer, message)
                self.look()
                door.look()
                self._selector.select(self._patience())

    def close(self) -> None:
        """A second call is harmless."""
        for process in self._processes.values():
            process.stop()
        deadline = self._clock() + END_SECONDS
        for process in self._processes.values():
            if not process.wait(max(0.0, deadline - self._clock())):
                process.stop(at_once=True)
                process.wait(END_SECONDS)
            process.close()
        self._processes.clear()
        self._selector.close()
        self.state.close()

    def _patience(self) -> float:
        wake = self.queue.wake_time()
        return LOOK_SECONDS if wake is None else min(LOOK_SECONDS, max(0.0, wake - self._clock()))

    # --- what happens

    def look(self) -> None:
        """See to the processes of jobs, and to the time."""
        for number, process in list(self._processes.items()):
            code = process.exit_code()  # before it is read: what it said last is there then
            for page in process.read():
                self.tell(LeaseReturned(self._clock(), number, str(page["returned"]), int(page["slots"])))
            if code is not None:
                self._bury(number, process, code)
        wake = self.queue.wake_time()
        if wake is not None and wake <= self._clock():
            self.tell(Tick(self._clock()))

    def _bury(self, number: int, process: JobProcess, code: int) -> None:
        del self._processes[number]
        self._selector.unregister(process.channel)
        process.stop(at_once=True)  # of what it started nothing stays
        process.close()
        ended = read_ended(self.state.folder(number))
        if ended is not None:
            self.tell(JobEnded(self._clock(), number, ended.exit_code == 0))
        else:
            self.tell(JobDied(self._clock(), number, why_it_died(code)))

    def submit(self, record: JobRecord, package: bytes) -> int:
        """Take a job; its number. Raises ResourceError if there is no room for it."""
        known = self.tokens.get(record.token)
        if known is not None:
            return known
        number = max(self.jobs, default=0) + 1
        record = replace(record, number=number, submitted_at=self._wall_clock())
        reason = self.queue.reason_to_refuse()
        if reason:
            raise ResourceError(reason)
        self.state.take(record, package)
        self._enter(KeptJob(record, JobStatus()))
        self.tell(Submitted(self._clock(), number, record.claim))
        _log.info("job %d (%s) was submitted", number, record.name)
        return number

    def lent(self, host: str) -> dict[str, str]:
        """The jobs that a host lends to, and where each listens; of those that will go on another time, nothing."""
        jobs = {}
        for number, kept in self.jobs.items():
            if kept.status.state.ended or not kept.status.starts:
                continue
            here = number in self.lends_to and host in self._at_hosts.get(number, ())
            jobs[str(number)] = self.lends_to[number] if here else ""
        return jobs

    def kill(self, number: int) -> None:
        """Harmless for a job that has ended."""
        self.tell(KillAsked(self._clock(), number))

    def _enter(self, kept: KeptJob) -> None:
        self.jobs[kept.record.number] = kept
        self.tokens[kept.record.token] = kept.record.number

    # --- what follows

    def tell(self, event: Event) -> None:
        for command in self.queue.handle(event):
            self._carry_out(command)
        while self._unstarted:
            self.tell(self._unstarted.pop())

    def _carry_out(self, command: Command) -> None:
        match command:
            case NoteState(job, state, reason):
                self._note_state(job, state, reason)
            case StartJob(job):
                self._start_job(job)
            case Lease(job, host, slots):
                process = self._processes.get(job)
                if process is not None:
                    self._at_hosts.setdefault(job, set()).add(host)
                    process.lend(host, slots)
            case StopJob(job, at_once):
                process = self._processes.get(job)
                if process is not None:
                    process.stop(at_once=at_once)
            case Refuse():
                raise ResourceError(command.reason)

    def _start_job(self, number: int) -> None:
        folder = self.state.folder(number)
        (folder / ENDED).unlink(missing_ok=True)
        try:
            if self._cluster is None:
                process = self._start(folder, self.workers)
            else:
                place = self._cluster(self.jobs[number].status.port)
                process = self._start(folder, sum(self.queue.slots().values()), place.address, place.key)
                self.lends_to[number] = place.address
                self._note(number, replace(self.jobs[number].status, port=place.port))
        except ResourceError as error:
            _log.warning("job %d: %s", number, error)
            self._unstarted.append(JobDied(self._clock(), number, str(error)))
            return
        self._processes[number] = process
        self._selector.register(process.channel, selectors.EVENT_READ)

    def _note_state(self, number: int, state: JobState, reason: str) -> None:
        status = self.jobs[number].status
        now = self._wall_clock()
        if state is JobState.RUNNING:
            status = replace(status, started_at=status.started_at or now, starts=status.starts + 1)
        elif state.ended:
            ended = read_ended(self.state.folder(number))
            code = KILLED_CODE if state is JobState.KILLED else 1
            if ended is not None and state is not JobState.KILLED:
                code, reason = ended.exit_code, ended.reason
            status = replace(status, ended_at=now, exit_code=code)
        self._note(number, replace(status, state=state, reason=reason))
        _log.info("job %d (%s) is %s%s", number, self.jobs[number].record.name, state.value, reason and f": {reason}")
        if state.ended:
            self.lends_to.pop(number, None)
            self._at_hosts.pop(number, None)
            for old in self.state.forget_old(sorted(self.jobs.values(), key=lambda job: job.record.number)):
                del self.tokens[self.jobs.pop(old).record.token]

    def _note(self, number: int, status: JobStatus) -> None:
        self.jobs[number] = KeptJob(self.jobs[number].record, status)
        try:
            self.state.note(number, status)
        except ResourceError as error:  # the job goes on; after a restart it stands as it was written last
            _log.error("job %d: %s", number, error)


KILLED_CODE = 143
"""As of a command that SIGTERM ended."""


class Listener(Protocol):
    """The tracker's end of the wire."""

    def fileno(self) -> int: ...
    def receive(self, timeout_seconds: float) -> list[tuple[PeerId, Message]]: ...


class _Signals:
    """SIGTERM and SIGINT as a byte in a pipe, so that the loop's one wait hears them; SIGCHLD wakes it, too."""

    def __init__(self) -> None:
        self.noted = False

    def __enter__(self) -> _Signals:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def fileno(self) -> int:
        return self._reader

    def _note(self, number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            self.noted = True
        try:
            os.read(self._reader, 64)
        except BlockingIOError:
            return

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._reader)
        os.close(self._writer)

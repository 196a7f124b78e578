"""Who keeps the worker processes: starts them, talks to them, notices their end, replaces and ends them?

    caller's process                                                   worker processes
    +------------------------------------------+
    |  driver --start, cancel--> Pool          |   channel (socket pair)    +------------------------------+
    |    ^                        | member 0  <=====BEGIN START CANCEL=====>|  main thread: attempts       |
    |    |                        |           |<====FINISHED PROGRESS LOG===|  watch thread                |
    |    +-------reports----------+           |                             |  stdout+stderr -> log pipe   |
    |                             |  pid fd <- - - - - its end - - - - - - -|                              |
    |                             |  log pipe<- - - - -its last words- - - -+------------------------------+
    |                             | member 1  <====...
    +------------------------------------------+

Pool: one object, one thread, no globals. Its only wait is `wait`, on all channels and all process descriptors at once,
so nothing that a worker does or suffers goes unnoticed, and nothing is ever polled. It never blocks on a worker: what a
channel does not take at once waits in the member's outbox, which holds what two attempts need and no more.

Member: what the pool knows of one worker. It starts, says HELLO, is ready, holds up to two attempts, and ends. Its end
shows as the end of its channel or on its process descriptor, whichever comes first; then everything that it still sent
is read, it is buried (its process group killed, its exit status taken), its end is reported once, and a new member with
a new number takes its place.

Worker: see `worker`. It ends by itself when its channel does, so a pool that is killed leaves no orphan. Nobody but the
pool ever holds the pool's end of a channel: see `process`.

What bounds the replacing: workers that end before they have finished anything count; after three in a row no more are
made, and when none is left the pool says so, with the last words of the last. A job's begin clears the count.

What bounds a cancel: a worker that has not let go of a cancelled attempt after a second is killed and replaced, also
one that is stopped: SIGKILL ends it all the same. What bounds a stop: see STOPPED_SECONDS.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import selectors
import signal
import time
from collections.abc import Callable, Sequence

from mapreduce.dataflow.results import Failure
from mapreduce.errors import ResourceError
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.tracker.executor import (
    Cancelled,
    Failed,
    Finished,
    LogLines,
    Lost,
    NoWorkers,
    Progress,
    Ready,
    Report,
)
from mapreduce.tracker.interrupts import Interrupts
from mapreduce.workers.member import Member, failure_of, why_it_ended, without_our_frames
from mapreduce.workers.messages import Kind, Message, decode_figures, decode_result, encode
from mapreduce.workers.process import Entry, Start, start_worker
from mapreduce.workers.tally import Tally

_log = logging.getLogger(__name__)

HELLO_SECONDS = 60.0
"""A worker that has not said hello by then never will: its imports hang, on a file server that is gone, say."""

CANCEL_SECONDS = 1.0
"""Tasks look for a cancel at every block and batch, many times a second; what takes longer is user code, or stuck."""

CLOSE_SECONDS = 0.5
"""From SIGTERM to SIGKILL at the end: for what user code started. A worker itself ends at once."""

MAX_IDLE_DEATHS = 3
"""One may be bad luck, two a coincidence. A start takes 2 to 30 ms, so a hopeless pool says so within a second."""

LAST_WORDS_LINES = 15
"""A traceback's end, which tells what is missing."""

STOPPED_SECONDS = 30.0
"""A worker that has an attempt, said nothing for so long, and is in the state 'stopped' (SIGSTOP) is killed and
replaced. By then its task has a backup, if there was a worker for it; with one worker nothing else would go on. A
worker that works sends a sign of life five times a second, and one under a debugger is in another state."""

LOOK_SECONDS = 1.0
"""How often silent workers are looked for."""


def _nothing() -> None:
    """The package of no job."""


class Pool:
    """`workers` processes that live until `close`, for any number of jobs, one after the other. Not for two threads at
    once. Reports of attempts of a job that is over are dropped."""

    def __init__(
        self, workers: int, *, memory_bytes: int = 0, entry: Entry | None = None, start: Start | None = None
    ) -> None:
        """Start the processes; returns before they are ready. Raises ResourceError if the system allows not one.

        `memory_bytes` is what each may use, 0 for any amount; `start` forces a way to begin, for tests."""
        self._size = workers
        self._memory_bytes = self._limit_bytes = memory_bytes
        self._entry = entry or Entry()
        self._way = start
        self._owner = os.getpid()
        self._selector = selectors.DefaultSelector()
        self._members: dict[WorkerId, Member] = {}
        self._to_send: dict[WorkerId, Member] = {}
        self._reports: list[Report] = []
        self._next_id = 0
        self._idle_deaths = 0
        self._last_words = ""
        self._job = 0
        self._pack: Callable[[], object] = _nothing
        self._inherited: object = None
        self._begins: dict[bool, bytes] = {}  # messages; of inherited and of packed jobs
        self.inherits = True  # until the caller's code runs again: forked workers have all that this process has
        self._cancels = self._starting = 0  # attempts with a deadline; members that have not said hello
        self._looked_at = time.monotonic()  # for silent members
        self.tally = Tally()  # of the current job
        try:
            with Interrupts():  # between a start and its entry in our books an exception would leave a process behind
                self._fill()
        except BaseException:
            self.close()
            raise

    # --- what an executor does with it

    def fileno(self) -> int:
        """Readable when `wait` has something to hear. What time brings (a cancel not obeyed) it doesn't tell."""
        return self._selector.fileno()

    def begin(self, pack: Callable[[], object], memory_bytes: int | None = None, inherited: object = None) -> int:
        """A new job, and its number. What `pack` makes is unpacked in each worker before its first attempt. A worker
        that was forked from this process while the pool `inherits` gets what is `inherited`, unless that is None; then
        `pack` is called when another kind of worker is to be told, if ever. `memory_bytes` is what a worker may use, 0
        for any amount, None for the pool's. The job before must have been settled."""
        self._limit_bytes = self._memory_bytes if memory_bytes is None else memory_bytes
        self._job += 1
        self._idle_deaths = 0
        self.tally = Tally()
        self._pack, self._inherited = pack, inherited
        self._begins.clear()
        self.wait(0)  # whoever died meanwhile is replaced now
        self._fill()
        for member in self._members.values():
            self._begin_of(member)  # what can't be packed is refused now
        return self._job

    def _begin_of(self, member: Member) -> bytes:
        """The message by which a worker learns of the job."""
        inherits = self._inherited is not None and self.inherits and member.process.start is Start.FORK
        message = self._begins.get(inherits)
        if message is None:
            package = self._inherited if inherits else self._pack()
            body = pickle.dumps((pickle.dumps(package, 5), self._limit_bytes), 5)
            message = self._begins[inherits] = encode(Kind.BEGIN, self._job, None, body)
        return message

    def ready(self) -> Sequence[WorkerId]:
        """Workers that have said hello."""
        return [member.id for member in self._members.values() if member.ready]

    def pid(self, worker: WorkerId) -> int | None:
        """The worker's process; None once it is gone."""
        member = self._members.get(worker)
        return None if member is None else member.process.pid

    def start(self, attempt: AttemptId, worker: WorkerId, spec: bytes) -> None:
        """Queue an attempt of the current job for a worker; it is sent by the next `wait`. Its end is reported, or the
        worker's: if that has been reported already, nothing happens."""
        member = self._members.get(worker)
        if member is None:
            return
        if member.job != self._job:
            member.job = self._job
            member.outbox += self._begin_of(member)
        if not member.attempts:
            member.heard_at = time.monotonic()
            member.peak_bytes = 0
        member.attempts[attempt] = None
        member.outbox += encode(Kind.START, self._job, attempt, spec)
        self._to_send[worker] = member

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        """Ask for the attempt's end, now and within CANCEL_SECONDS, or of its turn if it waits behind another: a worker
        in C code that keeps the interpreter can't answer, and must not die for what waits. Harmless if it is over."""
        member = self._members.get(worker)
        if member is None or member.attempts.get(attempt, 0.0) is not None:
            return
        runs = attempt == next(iter(member.attempts))
        member.attempts[attempt] = time.monotonic() + CANCEL_SECONDS if runs else math.inf
        self._cancels += 1
        member.outbox += encode(Kind.CANCEL, self._job, attempt)
        self._to_send[worker] = member

    def wait(self, timeout_seconds: float) -> list[Report]:
        """Reports in order; waits for the first of them, but not longer than told."""
        for member in list(self._to_send.values()):
            self._send(member)
        self._to_send.clear()
        if self._cancels or self._starting:
            timeout_seconds = min(timeout_seconds, self._enforce_deadlines())
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._replace_stopped()
        if self._reports:
            timeout_seconds = 0
        for key, mask in self._selector.select(timeout_seconds):
            member = key.data
            if member.id not in self._members:
                continue  # its other descriptor came first
            if key.fd == member.process.pid_fd:
                self._bury(member)
            else:
                if mask & selectors.EVENT_WRITE:
                    self._send(member)
                if mask & selectors.EVENT_READ and self._receive(member) == 0:
                    self._bury(member)
        reports, self._reports = self._reports, []
        return reports

    def settle(self, seconds: float) -> None:
        """End the current job: cancel what still runs, and kill workers that don't let go within so many seconds of
        having been asked."""
        for member in self._members.values():
            for attempt in list(member.attempts):
                self.cancel(attempt, member.id)
        while dues := self._dues():
            left = max(dues) - CANCEL_SECONDS + seconds - time.monotonic()
            if left <= 0:
                break
            self.wait(left)
        for member in [member for member in self._members.values() if member.attempts]:
            self._kill(member, "did not let go of a job that is over")
        self._job += 1  # whatever still comes is late
        self._reports.clear()
        self._pack, self._inherited = _nothing, None  # which hold the job
        self._begins.clear()
        self.inherits = False

    def _dues(self) -> list[float]:
        """By when cancels of running attempts must be obeyed."""
        dues = (due for member in self._members.values() for due in member.attempts.values())
        return [due for due in dues if due is not None and due < math.inf]

    def close(self) -> None:
        """End all workers and what they started, at the latest after CLOSE_SECONDS. A second call is harmless."""
        if os.getpid() == self._owner:  # else we are a fork, and the workers are not our children
            with Interrupts():
                self._close()

    def _close(self) -> None:
        members, self._members = list(self._members.values()), {}
        for member in members:
            member.process.signal_group(signal.SIGTERM)
        deadline = time.monotonic() + CLOSE_SECONDS
        for member in members:
            member.process.ended_within(deadline - time.monotonic())
            self._unregister(member)
            member.process.bury()
        self._selector.close()

    # --- members

    def _fill(self) -> None:
        while len(self._members) < self._size and self._idle_deaths < MAX_IDLE_DEATHS:
            try:
                process = start_worker(self._entry, self._way)
            except ResourceError as error:
                self._idle_deaths = MAX_IDLE_DEATHS  # fewer will do, until the next job begins
                if not self._members and not self._job:
                    raise
                self._last_words = str(error)
                break
            member = Member(WorkerId(self._next_id), process)
            self._next_id += 1
            self._members[member.id] = member
            self._starting += 1
            self._selector.register(process.channel, selectors.EVENT_READ, member)
            if process.pid_fd >= 0:
                self._selector.register(process.pid_fd, selectors.EVENT_READ, member)
        if not self._members:
            self._reports.append(NoWorkers(self._why_none()))

    def _why_none(self) -> str:
        last = "\n".join(self._last_words.strip().splitlines()[-LAST_WORDS_LINES:])
        return f"workers die at their start, {MAX_IDLE_DEATHS} in a row; the last one said:\n{last or '(nothing)'}"

    def _kill(self, member: Member, reason: str) -> None:
        member.ended_because = reason
        member.process.signal_group(signal.SIGKILL)
        self._bury(member)

    def _bury(self, member: Member) -> None:
        """The worker has ended, or its channel has: report what it still sent, then its end, and replace it."""
        if not member.process.ended_within(0.05):
            member.ended_because = member.ended_because or "closed its channel to the tracker"
        while self._receive(member) > 0:
            pass
        del self._members[member.id]
        self._starting -= not member.ready
        self._to_send.pop(member.id, None)
        self._unregister(member)
        words = without_our_frames(member.process.last_words())
        member.process.bury()
        running = next(iter(member.attempts), None)
        self._cancels -= sum(due is not None for due in member.attempts.values())
        if words:
            self._last_words = words
            self._reports.append(LogLines(member.id, running, words if words.endswith("\n") else words + "\n"))
        self._idle_deaths = 0 if member.attempts else self._idle_deaths + 1
        why = why_it_ended(member, self._limit_bytes)
        _log.info("%s", why)
        if member.ready:
            failure = None if running is None else failure_of(member, why, self._limit_bytes)
            self._reports.append(Lost(member.id, why, running, failure))
        elif not words:
            self._last_words = why
        self._fill()

    def _unregister(self, member: Member) -> None:
        self._selector.unregister(member.process.channel)
        if member.process.pid_fd >= 0:
            self._selector.unregister(member.process.pid_fd)

    def _enforce_deadlines(self) -> float:
        """Kill workers that ignored a cancel, or said nothing at all, for too long. Seconds until the next would be."""
        now = time.monotonic()
        earliest = now + CANCEL_SECONDS
        for member in list(self._members.values()):
            due = min((due for due in member.attempts.values() if due is not None), default=now + CANCEL_SECONDS)
            if not member.ready and member.started + HELLO_SECONDS <= now:
                self._kill(member, f"did not start within {HELLO_SECONDS:g} s")
            elif due <= now:
                self._kill(member, f"did not end a cancelled attempt within {CANCEL_SECONDS:g} s")
            else:
                earliest = min(earliest, due)
        return earliest - now

    def _replace_stopped(self) -> None:
        """Kill workers that somebody stopped and nobody lets go on."""
        self._looked_at = now = time.monotonic()
        for member in list(self._members.values()):
            if member.attempts and now - member.heard_at >= STOPPED_SECONDS and member.process.is_stopped():
                self._kill(member, f"was stopped by a signal, and did not go on for {STOPPED_SECONDS:g} s")

    # --- channels

    def _send(self, member: Member) -> None:
        """Send what the channel takes; the selector waits for room for the rest."""
        started = time.perf_counter()
        try:
            sent = member.process.channel.send(member.outbox)
            del member.outbox[:sent]
            self.tally.sent(sent, started)
        except BlockingIOError:
            pass  # full: the rest goes when there is room
        except OSError:
            member.outbox.clear()  # it has ended, which its descriptors show
        if bool(member.outbox) != member.writing:
            member.writing = bool(member.outbox)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if member.writing else 0)
            self._selector.modify(member.process.channel, events, member)

    def _receive(self, member: Member) -> int:
        """Read once. How many bytes: 0 if the channel has ended, -1 if there is nothing to read."""
        started = time.perf_counter()
        try:
            data = member.process.channel.recv(member.inbox.wanted)
        except BlockingIOError:
            return -1
        except OSError:  # reset by its end
            return 0
        member.heard_at = time.monotonic()
        self.tally.received(len(data), started)
        for message in member.inbox.feed(data):
            if message.kind == Kind.HELLO:
                member.ready = True
                self._starting -= 1
                self._reports.append(Ready(member.id, member.process.pid))
            else:
                self._hear(member, message)
        return len(data)

    def _hear(self, member: Member, message: Message) -> None:
        attempt = message.attempt
        kind = message.kind
        if attempt is None or message.job != self._job:
            self._hear_late(member, message)
        elif kind == Kind.FINISHED:
            self._over(member, attempt)
            self._reports.append(Finished(member.id, attempt, decode_result(message.body)))
        elif kind == Kind.PROGRESS:
            self._reports.append(Progress(member.looked_at(decode_figures(message.body), attempt)))
        elif kind == Kind.LOG:
            self._reports.append(LogLines(member.id, attempt, message.body.decode(errors="backslashreplace")))
        elif kind == Kind.FAILED:
            self._over(member, attempt)
            self._reports.append(Failed(member.id, attempt, pickle.loads(message.body)))
        elif kind == Kind.CANCELLED:
            self._over(member, attempt)
            self._reports.append(Cancelled(member.id, attempt))
        elif kind == Kind.LEAVING:
            failure: Failure = pickle.loads(message.body)
            member.ended_because = f"was ended for its memory: {failure.message}"
            member.leaving = failure if attempt in member.attempts else None

    def _hear_late(self, member: Member, message: Message) -> None:
        """Of a job that is over: only that the attempt is, too."""
        if message.attempt is not None and message.kind in (Kind.FINISHED, Kind.FAILED, Kind.CANCELLED):
            self._over(member, message.attempt)

    def _over(self, member: Member, attempt: AttemptId) -> None:
        self._idle_deaths = 0
        member.peak_bytes = 0
        if member.attempts.pop(attempt, None) is not None:
            self._cancels -= 1
        following = next(iter(member.attempts), None)
        if following is not None and member.attempts[following] == math.inf:
            member.attempts[following] = time.monotonic() + CANCEL_SECONDS

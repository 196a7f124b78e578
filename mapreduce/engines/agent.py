"""What does an agent do? It lends the workers of its host to a tracker, and obeys.

    tracker <==wire==> agent --channels--> its pool's workers
                         |
                         +--> scratch folder, where the workers leave what others will read

A session begins with HELLO and WELCOME. Then the tracker's BEGIN, START, CANCEL and END become calls of the pool, and
what the pool reports goes back. The agent opens no pickle that the tracker sent: its workers do.

When nothing was heard of the tracker for SILENCE_SECONDS, or it says that it knows no session of ours, the session is
over: what runs is cancelled, since others will run it, and a new one is asked for, on a new connection. The files of
jobs stay for a while: a tracker that comes back may still need them.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from mapreduce.dataclass import dataclass, replace
from mapreduce.engines.agent_data import Reach
from mapreduce.engines.agent_job import AgentPackage
from mapreduce.engines.copier import Answer, Wish
from mapreduce.engines.meeting import (
    AWAY_SECONDS,
    HEARTBEAT_SECONDS,
    SILENCE_SECONDS,
    Begin,
    CopyOrder,
    Have,
    Places,
    message_of,
)
from mapreduce.engines.scratch import Scratch
from mapreduce.engines.segment_lists import keep_list
from mapreduce.errors import UsageError
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.tracker.executor import Lost, Ready, Report
from mapreduce.wire.bundles import bundled, unbundled
from mapreduce.wire.messages import Frame, Hello, Kind, Message, Refused, Welcome
from mapreduce.wire.questions import decode_page

_log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.5
SWEEP_SECONDS = 10.0
REFUSALS = 4
"""Handshakes that fail in a row: one may be of a tracker that was just ending. They take two seconds."""

OUTBOX_MESSAGES = 1000
"""What waits for a slow line: of attempts never more than workers hold, of what they print no more than this."""


class Line(Protocol):
    """The agent's end of the wire: `wire.transport.Connection`, or what a test makes of it."""

    sessions: int
    connected: bool
    trouble: str
    refusals: int

    def fileno(self) -> int: ...
    def send(self, message: Message) -> bool: ...
    def receive(self, timeout_seconds: float) -> list[Message]: ...
    def close(self) -> None: ...


class Workers(Protocol):
    """A pool, as far as an agent needs it."""

    def begin(self, pack: Callable[[], object], memory_bytes: int | None = None) -> int: ...
    def ready(self) -> Sequence[WorkerId]: ...
    def pid(self, worker: WorkerId) -> int | None: ...
    def start(self, attempt: AttemptId, worker: WorkerId, spec: bytes) -> None: ...
    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None: ...
    def wait(self, timeout_seconds: float) -> list[Report]: ...
    def settle(self, seconds: float) -> None: ...


class Data(Protocol):
    """What this host serves to others: `agent_data.AgentData`."""

    def open_job(self, key: str, root: str, me: str) -> Reach: ...
    def forget_job(self, key: str) -> None: ...
    def set_places(self, places: dict[str, str]) -> None: ...
    def copy(self, wish: Wish) -> None: ...
    def copied(self) -> list[Answer]: ...
    def stop_copies(self) -> None: ...


class State(Enum):
    """Of a session."""

    ASKING = "asking"  # HELLO was sent
    JOINED = "joined"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Habits:
    """How an agent behaves. `stays`: it waits for the next tracker when one has said goodbye."""

    keep_seconds: float = 600.0
    stays: bool = True
    memory_bytes: int = 0  # the most that a worker may use, whatever a job says; 0: what the job says


class Agent:
    """One agent. `connect` makes a new line to the tracker; `step` is called until it returns False."""

    def __init__(
        self,
        connect: Callable[[], Line],
        pool: Workers,
        scratch: Scratch,
        hello: Hello,
        habits: Habits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], int] = lambda: secrets.randbits(63),
        data: Data | None = None,
    ) -> None:
        self._connect = connect
        self._pool = pool
        self._scratch = scratch
        self._hello = hello
        self._habits = habits or Habits()
        self._clock = clock
        self._draw = draw
        self._data = data
        self._job = 0
        self._key = self._root = ""  # the name of its files' folder, and the folder
        self._epoch = -1  # of the tracker
        self._known: set[WorkerId] = set()  # of whom the tracker was told
        self._stopping = ""
        self._looked_at = self._swept_at = clock()
        self._heard_at = self._told_at = clock()
        self._trouble = ""
        self._outbox: list[Message] = []
        self._unsent: deque[Message] = deque()  # bundles of them that the line did not take
        self._state = State.ASKING
        self._line_sessions = 0
        self.lend: Callable[[dict[str, str]], None] | None = None
        """Takes the jobs of a tracker that stays, by number, and where each listens; see `lender`."""

        self.line = connect()

    # --- the loop

    def step(self) -> bool:
        """Handle what has come from either side, and the time. Whether to go on. Raises UsageError if refused."""
        messages = self.line.receive(0)
        if self.line.sessions != self._line_sessions:
            self._reconnected()
        for message in (each for message in messages for each in unbundled(message)):
            if self._state is State.OVER:
                break
            self._hear(message)
        for report in self._pool.wait(0):
            self._tell(report)
        self._tell_of_copies()
        self._flush()
        self._look()
        if self._stopping:
            self._leave()
            return False
        if self._state is State.OVER:
            self._begin_anew()
        return True

    def stop(self, reason: str) -> None:
        """Leave at the next step. Harmless in a signal handler."""
        self._stopping = reason

    def _leave(self) -> None:
        self._flush()
        self._pool.settle(SETTLE_SECONDS)
        if self._state is State.JOINED:
            self.line.send(Message(Kind.BYE, body=(f"left: {self._stopping}".encode(),)))
        self.line.close()

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked_at >= AWAY_SECONDS:  # we were stopped, and can't tell that the tracker was silent
            self._heard_at = now
        self._looked_at = now
        if self._state is State.JOINED and now - self._heard_at >= SILENCE_SECONDS:
            self._end_session(f"the tracker has not been heard of for {SILENCE_SECONDS:g} s")
        elif now - self._told_at >= HEARTBEAT_SECONDS:
            self._told_at = now
            if self._state is State.JOINED:
                self.line.send(Message(Kind.HEARTBEAT))
            elif self._state is State.ASKING:
                self._ask()
        if self._key and self._state is State.JOINED:
            self._scratch.use(self._key, now)
        if now - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = now
            for key in self._scratch.stale(now, self._habits.keep_seconds):
                self._forget(key)
        if self._state is not State.JOINED:
            self._look_at_trouble()
        alone = self._state is not State.JOINED and now - self._heard_at >= self._habits.keep_seconds
        if alone and not self._habits.stays:
            self.stop("the tracker did not come back")

    def _look_at_trouble(self) -> None:
        """Say once why there is no tracker, and give up where patience is of no use. Raises UsageError."""
        trouble = self.line.trouble
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                _log.info("waiting for a tracker: %s", trouble)
        if self.line.refusals >= REFUSALS:
            raise UsageError(f"can't join the tracker: {trouble}; see --key")

    # --- sessions

    def _ask(self) -> None:
        self._state = State.ASKING
        self._hello = replace(self._hello, session=self._draw(), kept=self._scratch.kept())
        self.line.send(Message(Kind.HELLO, body=self._hello.encode()))  # if it can't be sent, the next may

    def _reconnected(self) -> None:
        """The line has broken, and is there again: for the tracker we are somebody new."""
        self._line_sessions = self.line.sessions
        if self._state is State.JOINED:
            _log.warning("the connection to the tracker broke; what ran here is ended")
            self._end_job()
        self._ask()

    def _end_session(self, why: str) -> None:
        """Let go of what runs: somebody else will be told to run it."""
        if self._job:
            _log.warning("%s; what runs here is ended", why)
        else:
            _log.info("%s", why)
        self._state = State.OVER
        self._end_job()

    def _begin_anew(self) -> None:
        self.line.close()
        self.line, self._line_sessions = self._connect(), 0
        self._outbox.clear()
        self._unsent.clear()
        self._ask()

    def _end_job(self) -> None:
        if self._job:
            self._job = 0
            self._key = ""
            if self._data is not None:
                self._data.stop_copies()
            self._pool.settle(SETTLE_SECONDS)
            self._tell_of_workers()

    # --- what the tracker says

    def _hear(self, message: Message) -> None:
        self._heard_at = self._clock()
        match message.kind:
            case Kind.HEARTBEAT:
                return
            case Kind.WELCOME:
                self._welcomed(Welcome.decode(message.body))
            case Kind.REFUSED:
                self._refused(Refused.decode(message.body))
            case Kind.BYE:
                self.line.send(Message(Kind.BYE))  # it waits for that
                self._end_session("the tracker said goodbye")
                if not self._habits.stays:
                    self.stop("the tracker has ended")
            case Kind.LEND:
                if self.lend is not None:
                    self.lend({str(job): str(where) for job, where in decode_page(message.body).words.items()})
            case Kind.FORGET:
                self._forget(bytes(message.body[0]).decode())
            case Kind.PLACES:
                if self._data is not None:
                    self._data.set_places(Places.decode(message.body).as_dict())
            case _:
                self._obey(message)

    def _welcomed(self, welcome: Welcome) -> None:
        if self._state is not State.ASKING or welcome.session != self._hello.session:
            return
        self._state = State.JOINED
        if welcome.epoch != self._epoch:
            self._epoch = welcome.epoch
            self._scratch.forget_caches()
        self._hello = replace(self._hello, host=welcome.host)  # the name to ask for the next time
        _log.info("joined the tracker as %s", welcome.host)
        self._known.clear()
        self._tell_of_workers()

    def _refused(self, refused: Refused) -> None:
        if not refused.again:
            raise UsageError(f"the tracker refused: {refused.reason}")
        if self._state is State.JOINED:
            self._end_session(f"the tracker says: {refused.reason}")

    def _obey(self, message: Message) -> None:
        attempt, worker = message.attempt, WorkerId(message.worker)
        if message.kind == Kind.BEGIN:
            self._begin(message)
        elif message.job != self._job:
            return  # of a job that has ended here
        elif message.kind == Kind.START and attempt is not None:
            self._pool.start(attempt, worker, bytes(message.body[0]))
        elif message.kind == Kind.CANCEL and attempt is not None:
            self._pool.cancel(attempt, worker)
        elif message.kind == Kind.COPY and attempt is not None and self._data is not None:
            self._data.copy(Wish(self._job, attempt, self._root, self._key, CopyOrder.decode(message.body)))
        elif message.kind == Kind.LIST:
            self._keep_list(bytes(message.body[0]).decode(), message.body[1])
        elif message.kind == Kind.END:
            self._end_job()
            self._say(Message(Kind.END, message.job))  # nothing of it runs any more

    def _begin(self, message: Message) -> None:
        self._end_job()
        begin = Begin.decode(message.body[:1])
        root = begin.shared or str(self._scratch.open_job(begin.key, self._clock()))
        limits = [limit for limit in (begin.memory_bytes, self._habits.memory_bytes) if limit]
        self._job, self._key, self._root = message.job, begin.key, root
        reach = None if self._data is None else self._data.open_job(begin.key, root, self._hello.host)
        package = AgentPackage(bytes(message.body[1]), root, reach)
        self._pool.begin(lambda: package, min(limits, default=0))
        self._tell_of_workers()

    def _keep_list(self, name: str, data: Frame) -> None:
        try:
            keep_list(self._root, name, data)
        except OSError as error:  # who needs it says so
            _log.warning("a list of segments is not kept: %s", error)

    def _forget(self, key: str) -> None:
        if self._data is not None:
            self._data.forget_job(key)
        self._scratch.forget(key)

    # --- what the pool reports

    def _tell(self, report: Report) -> None:
        if isinstance(report, Ready):
            self._known.add(report.worker)
        elif isinstance(report, Lost):
            self._known.discard(report.worker)
        if self._state is State.JOINED:
            self._say(message_of(report, self._job))

    def _tell_of_copies(self) -> None:
        for job, attempt, told in self._data.copied() if self._data is not None else ():
            if job == self._job and self._state is State.JOINED:
                kind = Kind.HAVE if isinstance(told, Have) else Kind.NO_COPY
                self._say(Message(kind, job, attempt, body=told.encode()))

    def _say(self, message: Message) -> None:
        if len(self._outbox) + len(self._unsent) < OUTBOX_MESSAGES or message.kind not in (Kind.LOG, Kind.PROGRESS):
            self._outbox.append(message)

    def _flush(self) -> None:
        """Send what the line takes; the rest waits here."""
        if self._outbox and self._state is State.JOINED:
            self._unsent += bundled(self._outbox)
        self._outbox.clear()
        while self._unsent and self._state is State.JOINED:
            if not self.line.send(self._unsent[0]) and self.line.connected:
                return
            self._unsent.popleft()  # what is not sent when the line breaks is of no use to the next session
        self._unsent.clear()

    def _tell_of_workers(self) -> None:
        """Between jobs a pool reports nothing: tell who came and who went meanwhile."""
        ready = set(self._pool.ready())
        for worker in self._known - ready:
            self._tell(Lost(worker, "ended between jobs"))
        for worker in sorted(ready - self._known):
            self._tell(Ready(worker, self._pool.pid(worker) or 0))

"""How does a host answer many readers on sealed streams, and what can somebody do who connects there without a ticket?

    reader --CURVE: may I have a stream?--> data server --> Streams.offer: ticket and keys, back inside CURVE
    reader ------TCP: ticket--------------> Streams     --> its stream, until either side closes it
    anybody -----TCP: anything else-------> closed

He can have his connection closed. One that has not shown a ticket within TICKET_SECONDS is closed, and so is the oldest
of those that wait when there are more than MOST_WAITING. Whoever catches a ticket on its way, and is faster than its
reader, gets a stream on which he can neither ask nor understand anything, since he lacks the keys. What does not open,
or is no question, ends its stream.

All of it in the data server's thread; nothing waits.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from mapreduce.wire.data_messages import Answer, DataError, Question
from mapreduce.wire.sealing import (
    HELLO_BYTES,
    RECORD_BYTES,
    TAG_BYTES,
    Offer,
    Opener,
    Sealer,
    head_of,
    make_offer,
    ticket_in,
)
from mapreduce.wire.shared_folders import OpenPiece

_log = logging.getLogger(__name__)

TICKET_SECONDS = 5.0
MOST_WAITING = 64
BACKLOG = 64

MOST_OFFERS = 4096
"""Tickets that nobody has shown yet. The oldest goes: its reader goes on through CURVE."""

TURN_BYTES = 1 << 20
"""Sent to one reader before it is another's turn."""

HEARD_BYTES = 32 << 10
"""Taken in of one reader's questions at a time."""

MOST_RECORDS = 1 << 20
"""Of one key (256 GB): far below what AES-GCM allows. The stream ends then, and its reader asks for another."""

GONE_SECONDS = 60
"""A reader that has taken nothing for so long is gone, or computes: then it asks again for what it lacks."""

LOG_SECONDS = 60.0


class _Waiting:
    """A connection that has not shown its ticket yet."""

    __slots__ = ("connection", "hello", "since")

    def __init__(self, connection: socket.socket, since: float) -> None:
        self.connection = connection
        self.since = since
        self.hello = b""


class Stream:
    """A reader's connection, and what is to be sent on it. Files are read record by record, just before they are
    sealed and sent: their bytes stay in the processor's cache, and nothing waits in memory for a slow reader."""

    def __init__(self, reader: bytes, connection: socket.socket, offer: Offer) -> None:
        self.reader = reader
        self.connection = connection
        self.is_open = True
        self._sealer = Sealer(offer.answers_key)
        self._opener = Opener(offer.questions_key)
        self._heard = b""  # of a question that has not come as a whole
        self._answers: deque[tuple[Answer, bytes | OpenPiece]] = deque()
        self._body: bytes | OpenPiece = b""
        self._left = self._at = 0  # of the body: what is not sealed yet, and where that begins
        self._record = memoryview(b"")  # sealed, and not sent yet
        self._buffer = memoryview(b"")

    @property
    def waiting(self) -> int:
        """How many answers are to be sent, of which the first may be under way."""
        return len(self._answers) + bool(self._record or self._left)

    @property
    def is_worn(self) -> bool:
        return self._sealer.records >= MOST_RECORDS

    def hear(self) -> list[Question]:
        """What the reader asks. Raises OSError or DataError if the stream is over."""
        data = self.connection.recv(HEARD_BYTES)
        if not data:
            raise ConnectionResetError
        questions, self._heard = self._opener.open_questions(self._heard + data)
        return questions

    def give(self, answer: Answer, body: bytes | OpenPiece) -> None:
        """Send an answer when its turn comes; a file is closed then."""
        self._answers.append((answer, body))

    def send(self) -> None:
        """Send what the connection takes, but no more than a turn's. Raises OSError."""
        sent = 0
        while sent < TURN_BYTES and (self._record or self._seal_next()):
            try:
                size = self.connection.send(self._record)
            except BlockingIOError:
                return
            self._record = self._record[size:]
            sent += size

    def _seal_next(self) -> bool:
        """Seal the next record. Whether there is one."""
        if not self._left and not self._answers:
            self._buffer = memoryview(b"")  # thousands of readers that ask nothing take no memory
            return False
        if not self._buffer:
            self._buffer = memoryview(bytearray(RECORD_BYTES + TAG_BYTES))
        data: bytes | memoryview
        if self._left:
            data = self._read_next()
        else:
            answer, self._body = self._answers.popleft()
            self._at, self._left = 0, len(self._body)
            data = head_of(answer, self._left)
            if not self._left:
                self._close_body()
        self._record = self._sealer.seal(data, self._buffer)
        return True

    def _read_next(self) -> bytes | memoryview:
        """The next record's worth of the body; of a file where it is to be sealed. Raises OSError if that has become
        shorter."""
        size = min(self._left, RECORD_BYTES)
        if isinstance(self._body, bytes):
            data: bytes | memoryview = self._body[self._at : self._at + size]
        else:
            data = self._buffer[: self._body.read_into(self._buffer[:size], self._at)]
        self._at += len(data)
        self._left -= len(data)
        if not self._left:
            self._close_body()
        return data

    def _close_body(self) -> None:
        if isinstance(self._body, OpenPiece):
            self._body.close()
        self._body = b""

    def close(self) -> None:
        self.is_open = False
        self.connection.close()
        self._close_body()
        for _, body in self._answers:
            if isinstance(body, OpenPiece):
                body.close()
        self._answers.clear()


class Streams:
    """The streams of one data server: listens at any free port of `host`. Raises OSError."""

    def __init__(self, host: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=BACKLOG)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waiting: dict[socket.socket, _Waiting] = {}
        self._offers: dict[bytes, tuple[bytes, Offer]] = {}  # by ticket: the reader
        self._streams: dict[bytes, Stream] = {}
        self.strangers = 0
        self._told_at = float("-inf")

    @property
    def connections(self) -> int:
        """Open now, of readers and of those who have shown no ticket yet."""
        return len(self._streams) + len(self._waiting)

    # --- what the data server does with it

    def offer(self, reader: bytes) -> bytes:
        """For a member, to be told him inside CURVE: how he comes by a stream. One that he had ends."""
        self.drop(reader)
        offer = make_offer(self.port)
        while len(self._offers) >= MOST_OFFERS:
            del self._offers[next(iter(self._offers))]
        self._offers[offer.ticket] = reader, offer
        return offer.encode()

    def give(self, stream: Stream, answer: Answer, body: bytes | OpenPiece) -> None:
        """Send an answer when its turn comes."""
        if not stream.waiting:
            self._selector.modify(stream.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, stream)
        stream.give(answer, body)

    def fileno(self) -> int:
        """A descriptor that is readable when `serve` has something to do."""
        return self._selector.fileno()

    def timeout(self) -> float | None:
        """After how many seconds to serve in any case."""
        if not self._waiting:
            return None
        return max(0.0, next(iter(self._waiting.values())).since + TICKET_SECONDS - self._clock())

    def serve(self) -> list[tuple[Stream, Question]]:
        """Handle who has come, send where there is room; what was asked."""
        asked: list[tuple[Stream, Question]] = []
        for key, events in self._selector.select(0):
            if key.data is None:
                self._accept()
            elif isinstance(key.data, _Waiting):
                if key.data.connection in self._waiting:
                    self._hear_ticket(key.data)
            elif key.data.is_open:
                asked += self._serve_stream(key.data, events)
        now = self._clock()
        for waiting in list(self._waiting.values()):
            if now - waiting.since < TICKET_SECONDS:
                break
            self._turn_away(waiting)
        return asked

    def drop(self, reader: bytes) -> None:
        """End a reader's stream; what was to be sent on it is not. Harmless if there is none."""
        stream = self._streams.pop(reader, None)
        if stream is not None:
            self._selector.unregister(stream.connection)
            stream.close()

    def close(self) -> None:
        for reader in list(self._streams):
            self.drop(reader)
        for waiting in self._waiting.values():
            waiting.connection.close()
        self._waiting.clear()
        self._selector.close()
        self._listener.close()

    # --- those who come

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                connection, _ = self._listener.accept()
            except OSError:  # nobody is left, or he has gone again
                return
            connection.setblocking(False)
            if len(self._waiting) >= MOST_WAITING:
                self._turn_away(next(iter(self._waiting.values())))
            waiting = self._waiting[connection] = _Waiting(connection, self._clock())
            self._selector.register(connection, selectors.EVENT_READ, waiting)
            self._hear_ticket(waiting)  # most have said it already

    def _hear_ticket(self, waiting: _Waiting) -> None:
        try:
            data = waiting.connection.recv(HELLO_BYTES - len(waiting.hello))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        waiting.hello += data
        if data and len(waiting.hello) < HELLO_BYTES:
            return
        ticket = ticket_in(waiting.hello)
        known = None if ticket is None else self._offers.pop(ticket, None)
        if known is None:
            self._turn_away(waiting)
        else:
            self._let_in(waiting.connection, *known)

    def _let_in(self, connection: socket.socket, reader: bytes, offer: Offer) -> None:
        self.drop(reader)
        del self._waiting[connection]
        with suppress(OSError, AttributeError):  # not every system has the second
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * GONE_SECONDS)
        stream = self._streams[reader] = Stream(reader, connection, offer)
        self._selector.modify(connection, selectors.EVENT_READ, stream)

    def _turn_away(self, waiting: _Waiting) -> None:
        del self._waiting[waiting.connection]
        self._selector.unregister(waiting.connection)
        waiting.connection.close()
        self.strangers += 1
        now = self._clock()
        if now - self._told_at >= LOG_SECONDS:
            self._told_at = now
            _log.warning("port %d did not let in who showed no ticket; %d so far", self.port, self.strangers)

    # --- readers

    def _serve_stream(self, stream: Stream, events: int) -> list[tuple[Stream, Question]]:
        asked: list[Question] = []
        try:
            if events & selectors.EVENT_READ:
                asked = stream.hear()
            stream.send()
        except (OSError, DataError) as error:
            if isinstance(error, DataError):
                _log.warning("a reader's stream was ended: %s", error)
            self.drop(stream.reader)
            return []
        if not stream.waiting:
            if stream.is_worn:
                self.drop(stream.reader)
            elif events & selectors.EVENT_WRITE:
                self._selector.modify(stream.connection, selectors.EVENT_READ, stream)
        return [(stream, question) for question in asked]

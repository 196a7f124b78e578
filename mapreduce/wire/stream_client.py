"""How does a reader ask and take in answers on a sealed stream?

In the reader's own thread, whenever it looks: what comes meanwhile waits in the system's buffers. Bytes go from the
socket into one buffer that is used again and again, and are opened from there into the memory that the reader gets.

A stream that breaks, or on which a record does not open, is over; what was asked on it is then asked again, through
CURVE. See `sealing` for its form, `stream_server` for the other end.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress

from mapreduce.wire.data_messages import Answer, Question
from mapreduce.wire.sealing import HEAD_BYTES, RECORD_BYTES, TAG_BYTES, Offer, Opener, Sealer, hello_of

CONNECT_SECONDS = 2.0
"""So long it may take to stand, while everything goes through CURVE; it is given up then."""


class OwnStream:
    """A reader's end of a stream. Raises OSError if there is no such address."""

    def __init__(self, host: str, offer: Offer, now: float) -> None:
        self._sealer = Sealer(offer.questions_key)
        self._opener = Opener(offer.answers_key)
        self._socket = begin_to_connect(host, offer.port)
        self.stands = False
        self.heard_at = now
        self.has_brought = False
        self._unsaid = hello_of(offer.ticket)
        self._buffer = memoryview(bytearray(RECORD_BYTES + TAG_BYTES))
        self._filled = 0
        self._low_water = 1
        self._answer: Answer | None = None  # whose body is coming
        self._body = memoryview(b"")
        self._opened = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def has_unsaid(self) -> bool:
        """Whether it waits for room to send."""
        return bool(self._unsaid)

    def ask(self, question: Question) -> None:
        """Raises OSError if the stream is over."""
        self._unsaid += self._sealer.seal_question(question)
        self._say()

    def answers(self, now: float) -> Iterator[tuple[Answer, memoryview]]:
        """Answers that are here as a whole. Raises OSError or DataError if the stream is over."""
        if self._unsaid:
            self._say()
            if not self.stands:
                self._look_whether_it_stands(now)
        while self.stands and self._fill(now):
            if self._answer is None:
                self._answer, size = self._opener.open_head(self._buffer[: self._filled])
                self._body, self._opened = memoryview(bytearray(size)), 0
            else:
                size = self._filled - TAG_BYTES
                self._opener.open(self._buffer[: self._filled], self._body[self._opened : self._opened + size])
                self._opened += size
            self._filled = 0
            if self._opened == len(self._body):
                found, self._answer, self._body = (self._answer, self._body), None, memoryview(b"")
                self.has_brought = True
                yield found

    def close(self) -> None:
        self._socket.close()

    def _say(self) -> None:
        try:
            self._unsaid = self._unsaid[self._socket.send(self._unsaid) :]
        except BlockingIOError:  # no room, or not connected yet
            return

    def _look_whether_it_stands(self, now: float) -> None:
        if not self._unsaid:
            self.stands, self.heard_at = True, now
        elif now - self.heard_at > CONNECT_SECONDS:
            raise TimeoutError(errno.ETIMEDOUT, "no connection")

    def _fill(self, now: float) -> bool:
        """Whether the next record is here."""
        wanted = TAG_BYTES
        wanted += HEAD_BYTES if self._answer is None else min(RECORD_BYTES, len(self._body) - self._opened)
        while self._filled < wanted:
            try:
                size = self._socket.recv_into(self._buffer[self._filled : wanted])
            except BlockingIOError:
                self._wake_at(max(wanted, len(self._body) - self._opened) - self._filled)
                return False
            if not size:
                raise ConnectionResetError(errno.ECONNRESET, "its connection ended")
            self.heard_at = now
            self._filled += size
        return True

    def _wake_at(self, size: int) -> None:
        """Be readable when so many bytes are here, the rest of an answer, rather than at each packet: that takes half
        of a receiver's time. Where the system has less room than that, it wakes us earlier."""
        if size != self._low_water:
            self._low_water = size
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


def begin_to_connect(host: str, port: int) -> socket.socket:
    """A connection that stands later, or never."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    opened = socket.socket(family, kind, protocol)
    opened.setblocking(False)
    with suppress(OSError):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.connect_ex(address)  # what it says, sending says again
    return opened

"""How does a reader keep its connection to one host, and how does it learn that the host is gone?

Questions go through CURVE, and so do answers at first. When much is asked for, a sealed stream is asked for as well
(see `sealing`); once that stands, everything goes there. It may end at any time, or never stand: what was asked on it
is then asked again through CURVE, and later another stream.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import zmq

from mapreduce.dataclass import dataclass
from mapreduce.wire.admission import open_client
from mapreduce.wire.data_messages import (
    PIECE_BYTES,
    Answer,
    Ask,
    DataError,
    Question,
    Tell,
    decode_answer,
    encode_question,
)
from mapreduce.wire.data_range import Range, Wanted
from mapreduce.wire.gate import open_monitor, read_events
from mapreduce.wire.sealing import CIPHER, can_seal, decode_offer
from mapreduce.wire.stream_client import OwnStream

if TYPE_CHECKING:
    from mapreduce.wire.keys import ClusterKey

_log = logging.getLogger(__name__)

STREAM_BYTES = 256 << 10
"""So much asked for and not here is worth a stream."""

QUIET_SECONDS = 4.0
"""So long may nothing come on a stream, while its host can be reached through CURVE."""

STREAM_TRIES = 3
"""Streams in a row that brought nothing: no more are asked for."""

OFFER = 0
"""The number of the question for a stream; others have greater ones."""

FRAME_BYTES = PIECE_BYTES + 4096
"""A longer frame ends the connection. A list of files may be as long as a piece."""

_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | _REFUSED


@dataclass(slots=True)
class Call:
    """A question about something else than a piece, and the answer once it is there."""

    answer: Answer | None = None
    data: bytes = b""


@dataclass(slots=True)
class Asked:
    """A question that is not answered: for a piece of a range, or a call."""

    question: Question
    to: Range | Call
    piece: Wanted | None = None
    on_stream: bool = False


class Peer:
    """A connection to the data of one host, made again by zmq whenever it breaks. What it waits for is in `poller`."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        poller: zmq.Poller,
        key: ClusterKey | None,
        host: str,
        address: str,
        me: str,
        now: float,
    ) -> None:
        self.host = host
        self.address = address
        self.asked: dict[int, Asked] = {}
        self.heard_at = now
        self.lost_at: float | None = now  # since when it is not connected
        self.why = "no connection"
        self._again = False
        self._poller = poller
        self._stream: OwnStream | None = None
        self._asked_bytes = 0  # since nothing was asked for
        self._streamed = 0  # questions that are open there
        self._tries_left = STREAM_TRIES if key is not None else 0
        self.socket = context.socket(zmq.DEALER) if key is None else open_client(context, zmq.DEALER, key)
        self.monitor = open_monitor(context, self.socket, _EVENTS)
        for option, value in _OPTIONS:
            self.socket.setsockopt(option, value)
        self.socket.setsockopt(zmq.IPV6, "[" in address)
        self.socket.setsockopt(zmq.ROUTING_ID, f"{me[:200]}/{os.getpid()}/{secrets.token_hex(6)}".encode())
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self.monitor, zmq.POLLIN)
        try:
            self.socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise OSError(errno.EHOSTUNREACH, f"{address!r} is no address: {error.strerror}") from None

    def ask(self, asked: Asked, now: float) -> None:
        if not self.asked:
            self.heard_at = now  # its silence begins with the question
            self._asked_bytes = 0
        self._asked_bytes += 0 if asked.piece is None else asked.piece.size
        if self._asked_bytes >= STREAM_BYTES and self._stream is None and self._tries_left and OFFER not in self.asked:
            self._tries_left -= 1
            if can_seal():
                self._ask(Asked(Question(Ask.STREAM, OFFER, CIPHER), Call()), now)
        self._ask(asked, now)

    def _ask(self, asked: Asked, now: float) -> None:
        self.asked[asked.question.number] = asked
        if self._stream is None or not self._stream.stands:
            self._send(asked.question)
            return
        if not self._streamed:
            self._stream.heard_at = now
        asked.on_stream = True
        self._streamed += 1
        try:
            self._stream.ask(asked.question)
        except OSError as error:
            self._lose_stream(error)

    def tell(self, question: Question) -> None:
        """Something that has no answer."""
        self._send(question)

    def look(self, now: float) -> None:
        """Learn what became of the connection; ask again what went with it."""
        for event in read_events(self.monitor):
            if event.kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.lost_at = None  # which is no answer yet: it may break again before each
                if self._again:
                    self._again = False
                    self._ask_again(self.asked.values())
            else:
                self._again = True
                self._end_stream()
                self.lost_at = now if self.lost_at is None else self.lost_at
                ended = event.kind == zmq.EVENT_DISCONNECTED
                self.why = "its connection ended" if ended else "it holds another key, or none"

    def has_news(self, ready: Container[object]) -> bool:
        """Whether `answers` may have some. `ready` is what the poller found."""
        return self.socket in ready or (self._stream is not None and self._stream.fileno() in ready)

    def answers(self, now: float) -> Iterator[tuple[Asked, Answer, memoryview]]:
        """Answers that are there, to questions that are open."""
        for answer, data in self._came(now):
            asked = self.asked.pop(answer.number, None)
            if asked is None:
                continue
            self._streamed -= asked.on_stream
            if answer.number == OFFER:
                self._begin_stream(answer, bytes(data), now)
            else:
                yield asked, answer, data

    def _came(self, now: float) -> Iterator[tuple[Answer, memoryview]]:
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            self.heard_at = now
            if len(frames) == 2:
                with suppress(DataError):
                    yield decode_answer(frames[0].buffer), frames[1].buffer
        stream = self._stream
        if stream is None:
            return
        try:
            yield from stream.answers(now)
            if self._streamed and now - stream.heard_at > QUIET_SECONDS:
                raise TimeoutError(errno.ETIMEDOUT, "nothing came")
            if self._stream is stream:
                self._poller.modify(stream.fileno(), zmq.POLLIN | (zmq.POLLOUT if stream.has_unsaid else 0))
        except (OSError, DataError) as error:
            if self._stream is stream:
                self._lose_stream(error)

    # --- the stream

    def _begin_stream(self, answer: Answer, data: bytes, now: float) -> None:
        if answer.kind is not Tell.OFFER:
            self._tries_left = 0
            return
        host = self.address.removeprefix("tcp://").rpartition(":")[0].strip("[]")
        try:
            self._stream = OwnStream(host, decode_offer(data), now)
        except (OSError, DataError) as error:
            _log.debug("no stream from %s: %s", self.host, error)
            return
        self._poller.register(self._stream.fileno(), zmq.POLLIN | zmq.POLLOUT)

    def _lose_stream(self, error: Exception) -> None:
        _log.debug("the stream from %s ended: %s", self.host, error)
        self._end_stream()
        self._ask_again([asked for asked in self.asked.values() if asked.on_stream])

    def _end_stream(self) -> None:
        if self._stream is not None:
            if self._stream.has_brought:
                self._tries_left = STREAM_TRIES
            self._poller.unregister(self._stream.fileno())
            self._stream.close()
            self._stream = None

    def _ask_again(self, those: Iterable[Asked]) -> None:
        """Through CURVE, for what was asked for and has not come."""
        for asked in those:
            self._streamed -= asked.on_stream
            asked.on_stream = False
            self._send(asked.question)

    def hindrance(self, now: float, patience: float, silence: float) -> OSError | None:
        """Why not to wait for it any longer."""
        if self.lost_at is not None and now - self.lost_at > patience:
            words = f"host {self.host} at {self.address} is out of reach for {now - self.lost_at:.1f} s: {self.why}"
            return OSError(errno.EHOSTUNREACH, words)
        heard_at = self.heard_at if self._stream is None else max(self.heard_at, self._stream.heard_at)
        if self.asked and now - heard_at > silence:
            words = f"host {self.host} at {self.address} has not answered for {now - heard_at:.1f} s"
            return OSError(errno.ETIMEDOUT, words)
        return None

    def close(self) -> None:
        self._end_stream()
        for each in (self.socket, self.monitor):
            self._poller.unregister(each)
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close(linger=0)

    def _send(self, question: Question) -> None:
        with suppress(zmq.Again):  # a queue of so many questions is no use to a host that takes none; silence tells
            self.socket.send_multipart(encode_question(question), zmq.NOBLOCK)


_OPTIONS = (
    (zmq.LINGER, 0),
    (zmq.MAXMSGSIZE, FRAME_BYTES),
    (zmq.SNDHWM, 4096),
    (zmq.RCVHWM, 4096),  # what comes is bounded by what was asked for
    (zmq.CONNECT_TIMEOUT, 2000),
    (zmq.HANDSHAKE_IVL, 3000),
    (zmq.RECONNECT_IVL, 50),
    (zmq.RECONNECT_IVL_MAX, 1000),
    (zmq.HEARTBEAT_IVL, 1000),
    (zmq.HEARTBEAT_TIMEOUT, 2500),  # a piece takes longer on a link below 400 kB/s: choose_piece_bytes
)

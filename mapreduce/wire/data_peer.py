"""How does a reader keep its connection to one host, and how does it learn that the host is gone?"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zmq
from zmq.utils.monitor import recv_monitor_message

from mapreduce.wire.admission import open_client
from mapreduce.wire.data_messages import PIECE_BYTES, Answer, DataError, Question, decode_answer, encode_question
from mapreduce.wire.data_range import Range, Wanted

if TYPE_CHECKING:
    from mapreduce.wire.keys import ClusterKey

ANSWER_BYTES = PIECE_BYTES + 4096
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


class Peer:
    """A connection to the data of one host, made again by zmq whenever it breaks."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
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
        self.socket = context.socket(zmq.DEALER) if key is None else open_client(context, zmq.DEALER, key)
        self.monitor = self.socket.get_monitor_socket(_EVENTS)
        for option, value in _OPTIONS:
            self.socket.setsockopt(option, value)
        self.socket.setsockopt(zmq.IPV6, "[" in address)
        self.socket.setsockopt(zmq.ROUTING_ID, f"{me[:200]}/{os.getpid()}/{secrets.token_hex(6)}".encode())
        try:
            self.socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise OSError(errno.EHOSTUNREACH, f"{address!r} is no address: {error.strerror}") from None

    def ask(self, asked: Asked, now: float) -> None:
        if not self.asked:
            self.heard_at = now  # its silence begins with the question
        self.asked[asked.question.number] = asked
        self._send(asked.question)

    def tell(self, question: Question) -> None:
        """Something that has no answer."""
        self._send(question)

    def look(self, now: float) -> None:
        """Learn what became of the connection; ask again what went with it."""
        while True:
            try:
                event = recv_monitor_message(self.monitor, zmq.NOBLOCK)["event"]
            except zmq.Again:
                return
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.lost_at = None  # which is no answer yet: it may break again before each
                if self._again:
                    self._again = False
                    for asked in self.asked.values():
                        self._send(asked.question)
            else:
                self._again = True
                self.lost_at = now if self.lost_at is None else self.lost_at
                self.why = (
                    "its connection ended" if event == zmq.EVENT_DISCONNECTED else "it holds another key, or none"
                )

    def answers(self, now: float) -> Iterator[tuple[Asked, Answer, memoryview]]:
        """Answers that are there, to questions that are open."""
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self.heard_at = now
            if len(frames) != 2:
                continue
            with suppress(DataError):
                answer = decode_answer(frames[0].buffer)
                asked = self.asked.pop(answer.number, None)
                if asked is not None:
                    yield asked, answer, frames[1].buffer

    def hindrance(self, now: float, patience: float, silence: float) -> OSError | None:
        """Why not to wait for it any longer."""
        if self.lost_at is not None and now - self.lost_at > patience:
            words = f"host {self.host} at {self.address} is out of reach for {now - self.lost_at:.1f} s: {self.why}"
            return OSError(errno.EHOSTUNREACH, words)
        if self.asked and now - self.heard_at > silence:
            words = f"host {self.host} at {self.address} has not answered for {now - self.heard_at:.1f} s"
            return OSError(errno.ETIMEDOUT, words)
        return None

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close(linger=0)

    def _send(self, question: Question) -> None:
        with suppress(zmq.Again):  # a queue of so many questions is no use to a host that takes none; silence tells
            self.socket.send_multipart(encode_question(question), zmq.NOBLOCK)


_OPTIONS = (
    (zmq.LINGER, 0),
    (zmq.MAXMSGSIZE, ANSWER_BYTES),
    (zmq.SNDHWM, 4096),
    (zmq.RCVHWM, 4096),  # what comes is bounded by what was asked for
    (zmq.CONNECT_TIMEOUT, 2000),
    (zmq.HANDSHAKE_IVL, 3000),
    (zmq.RECONNECT_IVL, 50),
    (zmq.RECONNECT_IVL_MAX, 1000),
    (zmq.HEARTBEAT_IVL, 1000),
    (zmq.HEARTBEAT_TIMEOUT, 2500),  # a piece takes longer on a link below 400 kB/s: choose_piece_bytes
)

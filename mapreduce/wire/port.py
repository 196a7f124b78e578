"""What have both ends of a connection between hosts: sending without waiting, and one descriptor for all that comes.

libzmq's own descriptors are hard to wait for: they tell of news once, any call on the socket may swallow that, and
there is one for each socket (data, monitor, admission). A port has one descriptor that is readable as long as there is
something to do, so that it can stand in a selector beside pipes and processes.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import zmq

from mapreduce.errors import WireError
from mapreduce.wire.admission import Context, Socket, has_news
from mapreduce.wire.messages import Frame

HANDSHAKE_SECONDS = 10.0
"""A handshake takes two round trips and one answer of the listener's loop. Who needs longer is not trying."""

HEARTBEAT_SECONDS = 1.0
SILENCE_SECONDS = 5.0
"""libzmq's own heartbeats: they end a connection whose other end has gone without a word. What the layers above say and
expect in their own heartbeats is theirs."""


class Port:
    """What both ends have: a socket, its monitor, and one descriptor that says when to call `receive`."""

    def __init__(self, context: Context, socket: Socket, max_message_bytes: int, queue_messages: int) -> None:
        self._context = context
        self.socket = socket
        self._max_bytes = max_message_bytes
        self._selector = selectors.DefaultSelector()
        self._bell = Bell()
        self._selector.register(self._bell.fileno(), selectors.EVENT_READ)
        self.closed = False
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = queue_messages
        socket.maxmsgsize = max_message_bytes
        socket.handshake_ivl = round(HANDSHAKE_SECONDS * 1000)
        socket.heartbeat_ivl = round(HEARTBEAT_SECONDS * 1000)
        socket.heartbeat_timeout = socket.heartbeat_ttl = round(SILENCE_SECONDS * 1000)

    def _watch(self, *sockets: Socket) -> None:
        for each in sockets:
            self._selector.register(each.FD, selectors.EVENT_READ)

    def fileno(self) -> int:
        """A descriptor that is readable when `receive` has something to do; for a selector of the caller's."""
        return self._selector.fileno()

    def _await(self, look: Callable[[], bool], timeout_seconds: float) -> None:
        """Return when `look` is satisfied, or the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while not look():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._selector.select(left)

    def _receive_frames(self) -> list[bytes] | None:
        return self.socket.recv_multipart(zmq.DONTWAIT) if has_news(self.socket) else None

    def _send_frames(self, frames: list[Frame]) -> bool:
        size = sum(map(_size, frames))
        if size > self._max_bytes:
            raise WireError(f"a message of {size} bytes; at most {self._max_bytes} may be sent")
        last = len(frames) - 1
        try:
            for at, frame in enumerate(frames):
                self.socket.send(frame, zmq.DONTWAIT | (zmq.SNDMORE if at < last else 0))
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            if 0 < at < last:  # broken off: libzmq passes over the rest of this message, up to a last frame
                self.socket.send(b"", zmq.DONTWAIT)
            return False
        finally:
            self._ring_if_more()
        return True

    def _ring_if_more(self) -> None:
        """libzmq's descriptors tell of news once, and any call may have swallowed them: ring for what is left."""
        if has_news(self.socket):
            self._bell.ring()
        else:
            self._bell.clear()

    def _close(self, linger_seconds: float) -> None:
        self.closed = True
        self._selector.close()
        self._bell.close()
        self.socket.close(linger=round(linger_seconds * 1000))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        raise NotImplementedError


class Bell:
    """A pipe that is readable while it rings."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._rings = False

    def fileno(self) -> int:
        return self._reader

    def ring(self) -> None:
        if not self._rings:
            os.write(self._writer, b"!")
            self._rings = True

    def clear(self) -> None:
        if self._rings:
            os.read(self._reader, 1)
            self._rings = False

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


def _size(frame: Frame) -> int:
    return frame.nbytes if isinstance(frame, memoryview) else len(frame)

"""Who stands before a listening socket, how many are let stand there, and what is written in the log about them?

A gate serves the admission (see there), follows in libzmq's monitor who comes and goes, and shuts the door while too
many are there. Strangers can neither be told from members nor refused before their handshake has ended, so what they
may cost is bounded by time (libzmq hangs up on a handshake that takes too long) and by number (the door).
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import zmq

from mapreduce.wire.admission import Admission, Context, Socket, has_news
from mapreduce.wire.keys import ClusterKey

_log = logging.getLogger(__name__)
_EVENT = struct.Struct("=HI")

LOG_SECONDS = 60.0
"""Strangers are logged at once, and then at most once in so long with their number: a flood must not fill the disk."""

OPEN_FILES = 1 << 16
"""Ten thousand agents, and as many who only pretend, need no more."""

BACKLOG = 1024
"""Connections that the system has made and nobody has accepted: a thousand agents may come at once. So many may also
come in after the door was shut, so it is at most half of what there is room for."""

LOGGED_ADDRESSES = 8
"""Named in one line of the log."""

FAILURES: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "left or said nothing",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "did not prove to hold the key",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "holds another key",
}
NO_HANDSHAKE = "speaks something else"

VISITS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | sum(FAILURES)


class Gate:
    """All that stands before a listening socket: admission, the count of visitors, the door. Needs to be made before
    the socket binds, in a context of its own; `serve` is to be called when one of `sockets` is readable."""

    def __init__(self, context: Context, guarded: Socket, key: ClusterKey, max_connections: int | None = None) -> None:
        self._admission = Admission(context, key.public)
        self._guarded = guarded
        self._most = max_connections or allow_connections()
        self._visitors = Visitors(address_of)
        self._door: Door | None = None
        self._monitor = open_monitor(context, guarded, VISITS | zmq.EVENT_LISTENING)
        self.sockets = (self._admission.socket, self._monitor)
        guarded.backlog = min(BACKLOG, self._most // 2)

    @property
    def connections(self) -> int:
        return self._visitors.connections

    @property
    def strangers(self) -> int:
        return self._visitors.strangers

    def serve(self, address: str) -> None:
        """Answer who asks to be let in, and note who came and went. `address` is for the log."""
        self._admission.serve()
        for event in read_events(self._monitor):
            if event.kind == zmq.EVENT_LISTENING:
                self._door = Door(event.value, self._most)
            else:
                self._visitors.hear(event.kind, event.value)
        if self._door is not None:
            self._door.look(self._visitors.connections)
        line = self._visitors.line()
        if line is not None:
            _log.warning("%s did not let in: %s; %d so far", address, line, self._visitors.strangers)

    def close(self) -> None:
        """Before the guarded socket closes. A second call is harmless."""
        if self._door is not None:
            self._door.close()
        self._guarded.disable_monitor()
        for each in self.sockets:
            each.close(linger=0)


class Event(NamedTuple):
    """What libzmq tells of a connection. `value` is a descriptor, or the number of an error."""

    kind: int
    value: int


def open_monitor(context: Context, watched: Socket, events: int) -> Socket:
    """A socket on which libzmq tells of the connections of another. The caller closes it."""
    where = f"inproc://monitor-{id(watched)}"
    watched.monitor(where, events)
    monitor = context.socket(zmq.PAIR)
    monitor.linger = 0
    monitor.rcvhwm = 0  # a full one would stop libzmq's own thread; an event is small and brings no data
    monitor.connect(where)
    return monitor


def read_events(monitor: Socket) -> list[Event]:
    """What was told since the last look."""
    found: list[Event] = []
    while has_news(monitor):
        frames = monitor.recv_multipart(zmq.DONTWAIT)
        found.append(Event(*_EVENT.unpack(frames[0])))
    return found


class Visitors:
    """Who came to a listener, as libzmq's monitor tells it: counts connections, and says what to log of strangers.

    A failure is followed by the end of its connection. Who ends without one, and before any handshake succeeded since
    he came, was no member either.
    """

    def __init__(
        self, address_of: Callable[[int], str] = lambda descriptor: "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address_of = address_of
        self._clock = clock
        self._open: dict[int, tuple[int, str]] = {}  # by descriptor: members let in before, and address
        self._let_in = 0
        self._failures: list[str] = []  # each before the end of its connection
        self._untold: dict[str, int] = {}
        self._tell_at = float("-inf")
        self.strangers = 0

    @property
    def connections(self) -> int:
        """Those that are open now, of members and strangers."""
        return len(self._open)

    def hear(self, event: int, descriptor: int) -> None:
        """An event of the monitor."""
        if event == zmq.EVENT_ACCEPTED:
            self._open[descriptor] = (self._let_in, self._address_of(descriptor))
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._let_in += 1
        elif event in FAILURES:
            self._failures.append(FAILURES[event])
        elif event == zmq.EVENT_DISCONNECTED:
            before, address = self._open.pop(descriptor, (-1, ""))
            failure = self._failures.pop() if self._failures else None
            if failure is None and before == self._let_in:
                failure = NO_HANDSHAKE
            if failure is not None:
                self._count(f"{address} {failure}".strip())

    def _count(self, what: str) -> None:
        self.strangers += 1
        if what not in self._untold and len(self._untold) >= LOGGED_ADDRESSES:
            what = "others"
        self._untold[what] = self._untold.get(what, 0) + 1

    def line(self) -> str | None:
        """What to log of strangers, if there were any since the last line and it is time for another."""
        now = self._clock()
        if not self._untold or now < self._tell_at:
            return None
        self._tell_at = now + LOG_SECONDS
        text = ", ".join(f"{what} ({count})" if count > 1 else what for what, count in self._untold.items())
        self._untold.clear()
        return text


class Door:
    """Holds up those who come when too many are there already, so that strangers can't use up our open files.

    libzmq accepts whoever comes. On Linux a filter on the listening socket makes the system pass over new connections,
    whose other ends try again after a second; elsewhere there is no such bound.
    """

    def __init__(self, listening: int, most: int) -> None:
        self._socket = socket.socket(fileno=os.dup(listening))
        self._most = most
        self.is_shut = False

    def look(self, connections: int) -> None:
        """Shut, or open again, by the number of those who are there."""
        if not self.is_shut and connections >= self._most:
            self._shut()
        elif self.is_shut and connections <= self._most * 9 // 10:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            self.is_shut = False

    def _shut(self) -> None:
        if sys.platform != "linux":
            return
        program = ctypes.create_string_buffer(_DROP_ALL)
        fprog = struct.pack("HP", 1, ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
        self.is_shut = True

    def close(self) -> None:
        self._socket.close()


_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A program of one instruction for the system's packet filter: return 0, keep nothing of it."""


def allow_connections() -> int:
    """Have the system allow this process many open files, as Java does. Returns how many connections there may be: half
    of them, since the other half is for its work."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # then there are fewer
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return OPEN_FILES // 2 if soft == resource.RLIM_INFINITY else max(16, soft // 2)


def address_of(descriptor: int) -> str:
    """The address at the other end. For the log alone: by now the descriptor may be another's."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            return str(copy.getpeername()[0])
    except (OSError, IndexError):  # it has gone, or is no such socket any more
        return ""

"""Who is let in? Whoever proves to hold the cluster's key; libzmq asks here before it passes on a byte.

libzmq's CURVE handshake proves that a peer holds the secret of the public key that it shows. Which public keys are
welcome it asks by ZAP (RFC 27), in the middle of the handshake, on a socket inside the process. That socket is served
by the listener's own loop, so that no thread is needed; a handshake waits until the loop comes round.

Without an answer nobody is let in (ZAP_ENFORCE_DOMAIN). Each listener has a context of its own, since a context has one
such socket: a program with two listeners has two doors, each with its own key.
"""

from __future__ import annotations

import ctypes
import hmac
import logging
import os
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import zmq
from zmq.utils import z85

from mapreduce.wire.keys import ClusterKey

_log = logging.getLogger(__name__)

DOMAIN = b"mapreduce"
ENDPOINT = "inproc://zeromq.zap.01"

LOG_SECONDS = 60.0
"""Strangers are logged at once, and then at most once in so long with their number: a flood must not fill the disk."""

OPEN_FILES = 1 << 16
"""Ten thousand agents, and as many who only pretend, need no more."""

LOGGED_ADDRESSES = 8
"""Named in one line of the log."""

FAILURES: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "left or said nothing",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "did not prove to hold the key",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "holds another key",
}
NO_HANDSHAKE = "speaks something else"

VISITS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | sum(FAILURES)


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
        self._failure: str | None = None
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
            self._failure = FAILURES[event]
        elif event == zmq.EVENT_DISCONNECTED:
            before, address = self._open.pop(descriptor, (-1, ""))
            failure, self._failure = self._failure, None
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


class Admission:
    """The ZAP socket of one context. Needs to be made before the listening socket binds."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], public: bytes) -> None:
        self._welcome = z85.decode(public)
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(ENDPOINT)

    def serve(self) -> int:
        """Answer all requests that wait; returns how many there were."""
        served = 0
        while True:
            try:
                request = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return served
            served += 1
            reply = answer(request[1:], self._welcome)
            if reply is not None:
                try:
                    self.socket.send_multipart([request[0], *reply], zmq.DONTWAIT)
                except zmq.ZMQError as error:  # the handshake is over, its connection gone
                    _log.debug("nobody waits for an admission: %s", error)

    def close(self) -> None:
        self.socket.close()


def answer(request: list[bytes], welcome: bytes) -> list[bytes] | None:
    """The reply to a ZAP request: 200 for the one key that is welcome, 400 for all else; None to what is no request."""
    if len(request) < 7 or request[0] != b"" or request[1] != b"1.0":
        return None
    _, version, number, domain, _, _, mechanism, *credentials = request
    fits = (
        domain == DOMAIN
        and mechanism == b"CURVE"
        and len(credentials) == 1
        and hmac.compare_digest(credentials[0], welcome)
    )
    status, text = (b"200", b"OK") if fits else (b"400", b"not the key of this cluster")
    return [b"", version, number, status, text, b"member" if fits else b"", b""]


def open_server(context: zmq.Context[zmq.Socket[bytes]], kind: int, key: ClusterKey) -> zmq.Socket[bytes]:
    """A socket that only members of the cluster can talk to, once an Admission is served. The caller closes it."""
    opened = context.socket(kind)
    opened.curve_server = 1
    opened.curve_publickey, opened.curve_secretkey = key.public, key.secret
    opened.zap_domain = DOMAIN
    opened.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    return opened


def open_client(context: zmq.Context[zmq.Socket[bytes]], kind: int, key: ClusterKey) -> zmq.Socket[bytes]:
    """A socket that talks to members of the cluster only: a server without the secret can't read its hello."""
    opened = context.socket(kind)
    opened.curve_serverkey = key.public
    opened.curve_publickey, opened.curve_secretkey = key.public, key.secret
    return opened

"""Who is let in? Whoever proves to hold the cluster's key; libzmq asks here before it passes on a byte.

libzmq's CURVE handshake proves that a peer holds the secret of the public key that it shows. Which public keys are
welcome it asks by ZAP (RFC 27), in the middle of the handshake, on a socket inside the process. That socket is served
by the listener's own loop, so that no thread is needed; a handshake waits until the loop comes round.

Without an answer nobody is let in (ZAP_ENFORCE_DOMAIN). Each listener has a context of its own, since a context has one
such socket: a program with two listeners has two doors, each with its own key.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq
from zmq.utils import z85

from mapreduce.wire.keys import ClusterKey

_log = logging.getLogger(__name__)

DOMAIN = b"mapreduce"
ENDPOINT = "inproc://zeromq.zap.01"

LOG_SECONDS = 60.0
"""Strangers are logged at once, and then at most once in so long with their number: a flood must not fill the disk."""

_FAILURES: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "said nothing in time, or left",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "did not prove to hold the key",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "showed another key",
    zmq.EVENT_ACCEPT_FAILED: "could not be accepted: too many open files",
}
FAILURES_MASK = sum(_FAILURES)


@dataclass(slots=True)
class Strangers:
    """Counts those who were not let in, and says when there is something to log. Pure, but for its clock."""

    clock: Callable[[], float] = time.monotonic
    total: int = 0
    told: int = 0
    tell_at: float = field(default=float("-inf"))
    reasons: dict[str, int] = field(default_factory=dict)

    def note(self, reason: str) -> str | None:
        """Count one. Returns the line to log, if it is time for one."""
        self.total += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1  # as many reasons as there are in _FAILURES, and no more
        return self.line()

    def line(self) -> str | None:
        """What has happened since the last line, if it is time for another."""
        now = self.clock()
        if self.total == self.told or now < self.tell_at:
            return None
        self.told, self.tell_at = self.total, now + LOG_SECONDS
        text = ", ".join(f"{count} {reason}" for reason, count in sorted(self.reasons.items()))
        self.reasons.clear()
        return text


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


def refusal(event: int) -> str:
    """What a peer did that was not let in, by the event of the monitor."""
    return _FAILURES.get(event, "was not let in")

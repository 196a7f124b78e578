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

import zmq
from zmq.utils import z85

from mapreduce.wire.keys import ClusterKey

_log = logging.getLogger(__name__)

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]

DOMAIN = b"mapreduce"
ENDPOINT = "inproc://zeromq.zap.01"
_INCOMING = int(zmq.POLLIN)  # a flag of Python's makes another flag with each `&`


class Admission:
    """The ZAP socket of one context. Needs to be made before the listening socket binds."""

    def __init__(self, context: Context, public: bytes) -> None:
        self._welcome = z85.decode(public)
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(ENDPOINT)

    def serve(self) -> int:
        """Answer all requests that wait; returns how many there were."""
        served = 0
        while has_news(self.socket):
            request = self.socket.recv_multipart(zmq.DONTWAIT)
            served += 1
            reply = answer(request[1:], self._welcome)
            if reply is not None:
                try:
                    self.socket.send_multipart([request[0], *reply], zmq.DONTWAIT)
                except zmq.ZMQError as error:  # the handshake is over, its connection gone
                    _log.debug("nobody waits for an admission: %s", error)
        return served

    def close(self) -> None:
        self.socket.close()


def has_news(socket: Socket) -> bool:
    """Whether a message is there. To find that out by receiving costs an exception, which is twice as dear."""
    return bool(int(socket.get(zmq.EVENTS)) & _INCOMING)


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


def open_server(context: Context, kind: int, key: ClusterKey) -> Socket:
    """A socket that only members of the cluster can talk to, once an Admission is served. The caller closes it."""
    opened = context.socket(kind)
    opened.curve_server = 1
    opened.curve_publickey, opened.curve_secretkey = key.public, key.secret
    opened.zap_domain = DOMAIN
    opened.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    return opened


def open_client(context: Context, kind: int, key: ClusterKey) -> Socket:
    """A socket that talks to members of the cluster only: a server without the secret can't read its hello."""
    opened = context.socket(kind)
    opened.curve_serverkey = key.public
    opened.curve_publickey, opened.curve_secretkey = key.public, key.secret
    return opened

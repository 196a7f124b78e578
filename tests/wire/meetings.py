"""A listener and those who come to it, in one thread: what tests of the transport begin with."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from weakref import WeakKeyDictionary

import zmq

from mapreduce.wire.keys import ClusterKey, make_key
from mapreduce.wire.messages import Kind, Message
from mapreduce.wire.transport import Connection, Listener, PeerId

KEY = make_key()
OTHER = make_key()
PATIENCE_SECONDS = 20.0
HEARTBEAT = Message(Kind.HEARTBEAT)


def until(done: Callable[[], object], *ports: Listener | Connection) -> None:
    """Serve the ports until something is so; fail if that takes too long. What they hear is kept in `heard`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, "it never came to pass"
        for port in ports:
            heard_by(port).extend(port.receive(0.002))


_heard: WeakKeyDictionary[Listener | Connection, list[tuple[PeerId, Message] | Message]] = WeakKeyDictionary()


def heard_by(port: Listener | Connection) -> list[tuple[PeerId, Message] | Message]:
    """All that a port heard in `until`."""
    return _heard.setdefault(port, [])


def connect(listener: Listener, key: ClusterKey = KEY) -> Connection:
    """A member that is let in."""
    connection = Connection(listener.address, key)
    until(lambda: connection.connected, listener, connection)
    return connection


def assert_serves(listener: Listener) -> None:
    """A rightful peer gets in, is heard and is answered."""
    with connect(listener) as connection:
        before = len(heard_by(listener))
        asked = Message(Kind.STATUS, job=77, body=(b"are you there?",))
        assert connection.send(asked)
        until(lambda: len(heard_by(listener)) > before, listener)
        found = heard_by(listener)[before]
        assert isinstance(found, tuple) and found[1] == asked
        answer = Message(Kind.STATUS, body=(b"yes",))
        assert listener.send(found[0], answer)
        until(lambda: heard_by(connection), connection)
        assert heard_by(connection) == [answer]


def raw(listener: Listener, data: bytes = b"") -> socket.socket:
    """A plain TCP connection that says something."""
    opened = socket.create_connection(("127.0.0.1", listener.port), timeout=PATIENCE_SECONDS)
    opened.sendall(data)
    return opened


def assert_is_hung_up_on(listener: Listener, stranger: socket.socket) -> None:
    """The listener closes the connection."""
    stranger.setblocking(False)

    def closed() -> bool:
        try:
            while stranger.recv(1 << 16):
                pass
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        return True

    with closing(stranger):
        until(closed, listener)


def odd_peer(
    context: zmq.Context[zmq.Socket[bytes]], server: bytes | None, public: bytes = b"", secret: bytes = b""
) -> zmq.Socket[bytes]:
    """A socket of libzmq with any keys, or none."""
    peer = context.socket(zmq.DEALER)
    peer.linger = 0
    peer.reconnect_ivl = -1
    if server is not None:
        peer.curve_serverkey, peer.curve_publickey, peer.curve_secretkey = server, public, secret
    return peer


def messages(heard: Sequence[tuple[PeerId, Message] | Message]) -> list[Message]:
    return [each[1] if isinstance(each, tuple) and not isinstance(each, Message) else each for each in heard]

"""What does somebody without the key get from a listener? A closed connection, and a line in the log."""

from __future__ import annotations

import logging
import os
import resource
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mapreduce.wire import port
from mapreduce.wire.admission import DOMAIN, answer
from mapreduce.wire.gate import Visitors
from mapreduce.wire.keys import ClusterKey
from mapreduce.wire.messages import MAGIC, VERSION, Kind, Message, Refused, encode_message
from mapreduce.wire.transport import Connection, Listener
from tests.wire.meetings import (
    HEARTBEAT,
    KEY,
    OTHER,
    assert_is_hung_up_on,
    assert_serves,
    connect,
    heard_by,
    messages,
    odd_peer,
    raw,
    until,
)

ROOT = Path(__file__).resolve().parents[2]
GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1" + b"CURVE".ljust(20, b"\0") + bytes(32)
"""How ZMTP 3.1 begins."""


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(port, "HANDSHAKE_SECONDS", 0.5)
    with Listener("127.0.0.1:0", KEY) as opened:
        yield opened


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as made:
        yield made


def say(peer: zmq.Socket[bytes], frames: Sequence[Any]) -> None:
    """Send, unless the peer was hung up on before it came to speak: then there is nobody to send to, for ever."""
    with suppress(zmq.Again):
        peer.send_multipart(frames, zmq.DONTWAIT)


def assert_stranger(listener: Listener, seen: int = 1) -> None:
    """He was counted, nothing of what he said was heard, and others are served as ever."""
    until(lambda: listener.strangers >= seen, listener)
    assert heard_by(listener) == []
    assert_serves(listener)


# --- no handshake at all


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: tracker\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"\x80\x05\x95",
        b"\xff" * 1000,
        b"\xff" + b"\xff" * 8 + b"\x7f" + bytes(1000),
        bytes(1000),
        b"\x01\x00hello of ZMTP 1.0",
        GREETING[:11] + b"\1" + b"NULL".ljust(20, b"\0") + bytes(32) + b"\4\x19\5READY",
        GREETING + b"\4\xff\5HELLO" + bytes(300),
        GREETING + b"\6\x7f\xff\xff\xff\xff\xff\xff\xff\5HELLO",
        GREETING + b"\2" + struct.pack(">Q", 1 << 62) + b"x" * 1000,
        encode_message(Message(Kind.HELLO))[0],
    ],
    ids=lambda data: repr(bytes(data[:12])),
)
def test_bytes_that_are_no_handshake(listener: Listener, data: bytes) -> None:
    assert_is_hung_up_on(listener, raw(listener, data))
    assert_stranger(listener)


def test_who_hangs_up_at_once(listener: Listener) -> None:
    for sent in (b"", GREETING[:1], GREETING[:20], GREETING):
        raw(listener, sent).close()
    assert_stranger(listener, 4)


@pytest.mark.parametrize("sent", [b"", GREETING[:1], GREETING[:40], GREETING], ids=len)
def test_who_stops_in_the_middle_is_hung_up_on_in_time(listener: Listener, sent: bytes) -> None:
    assert_is_hung_up_on(listener, raw(listener, sent))
    assert_stranger(listener)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=3), st.booleans())
def test_any_bytes_close_the_connection_or_wait_for_more(listener: Listener, parts: list[bytes], greets: bool) -> None:
    """Hypothesis finds the bytes; that the silent ones are hung up on is shown above."""
    with raw(listener, GREETING if greets else b"") as stranger:
        try:
            for part in parts:
                stranger.sendall(part)
                heard_by(listener).extend(listener.receive(0.001))
        except ConnectionError:
            pass  # hung up on before it had said all
    assert heard_by(listener) == []


# --- handshakes without the key


def test_other_mechanisms(listener: Listener, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    plain = odd_peer(context, None)
    plain.plain_username, plain.plain_password = b"admin", b"admin"
    with plain, odd_peer(context, None) as null:
        for peer in (null, plain):
            peer.connect(listener.address)
            say(peer, encode_message(HEARTBEAT))
        assert_stranger(listener, 2)


@pytest.mark.parametrize(
    ("public", "secret"),
    [(OTHER.public, OTHER.secret), (KEY.public, OTHER.secret), (OTHER.public, KEY.secret)],
    ids=["another key", "our public half alone", "our secret with another public half"],
)
def test_wrong_keys(listener: Listener, context: zmq.Context[zmq.Socket[bytes]], public: bytes, secret: bytes) -> None:
    """Who saw the public half of our key, somehow, can speak CURVE with the listener; it does not help."""
    with odd_peer(context, KEY.public, public, secret) as peer:
        peer.connect(listener.address)
        say(peer, encode_message(HEARTBEAT))
        assert_stranger(listener)


def test_a_connection_with_another_key_says_why_it_is_not_let_in(listener: Listener) -> None:
    with Connection(listener.address, OTHER) as connection:
        until(lambda: "another key" in connection.trouble, listener, connection)
        assert not connection.connected and connection.sessions == 0
        assert not connection.send(HEARTBEAT)
    assert_stranger(listener)


def test_a_listener_without_the_secret_hears_nothing(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """One that took the tracker's address knows our public half perhaps, and has another secret."""
    for secret in (OTHER, ClusterKey(KEY.public, OTHER.secret)):
        with Listener("127.0.0.1:0", secret) as false, Connection(false.address, KEY) as connection:
            until(lambda seen=false: seen.strangers >= 2, false, connection)  # type: ignore[misc]
            assert connection.sessions == 0 and not connection.send(HEARTBEAT)
            assert heard_by(false) == []


def test_a_session_played_again_is_not_let_in(listener: Listener) -> None:
    """All bytes that a rightful peer sent are recorded on the way, and sent once more."""
    with Relay(listener) as relay, Connection(relay.address, KEY) as connection:
        until(lambda: connection.connected, listener, connection)
        assert connection.send(Message(Kind.SUBMIT, body=(b"run this",)))
        until(lambda: heard_by(listener), listener)
    assert messages(heard_by(listener)) == [Message(Kind.SUBMIT, body=(b"run this",))]
    heard_by(listener).clear()
    recorded = bytes(relay.recorded)
    assert len(recorded) > 400
    for sent in (recorded, recorded[:-50], recorded[:64] + recorded):
        assert_is_hung_up_on(listener, raw(listener, sent))
    assert_stranger(listener, 3)


class Relay:
    """Passes bytes on between one client and a listener, and keeps what the client sent."""

    def __init__(self, listener: Listener) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self.recorded = bytearray()
        self._ends = socket.create_connection(("127.0.0.1", listener.port))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        client, _ = self._server.accept()
        self._server.close()
        selector = selectors.DefaultSelector()
        with client, self._ends, selector:
            selector.register(client, selectors.EVENT_READ, self._ends)
            selector.register(self._ends, selectors.EVENT_READ, client)
            while True:
                for ready, _ in selector.select():
                    source = ready.fileobj
                    assert isinstance(source, socket.socket)
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client:
                        self.recorded += data
                    ready.data.sendall(data)


# --- members that don't behave


def test_a_message_of_another_version_is_refused_and_its_sender_dropped(
    listener: Listener, context: zmq.Context[zmq.Socket[bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    with odd_peer(context, KEY.public, *(KEY.public, KEY.secret)) as peer:
        peer.connect(listener.address)
        old = MAGIC + struct.pack("!HB", VERSION + 6, Kind.HELLO) + b"in its own way"
        peer.send_multipart([old, b"and more"])
        until(lambda: peer.poll(0), listener)
        _, reason = peer.recv_multipart()
        assert "speaks version 7 of the protocol, this one 1" in Refused.decode((reason,)).reason
        say(peer, encode_message(HEARTBEAT))  # too late to behave
        say(peer, [old])
        assert_serves(listener)
        assert [each for each in messages(heard_by(listener)) if each == HEARTBEAT] == []
        assert len([record for record in caplog.records if "was refused" in record.message]) == 1


@pytest.mark.parametrize("frames", [[b""], [b"x" * 36], [b"\x80\x05\x95."], encode_message(HEARTBEAT) + [b"more"]])
def test_what_is_no_message_never_reaches_the_layer_above(
    listener: Listener, context: zmq.Context[zmq.Socket[bytes]], frames: list[bytes]
) -> None:
    with odd_peer(context, KEY.public, KEY.public, KEY.secret) as peer:
        peer.connect(listener.address)
        peer.send_multipart(frames)
        until(lambda: peer.poll(0), listener)
        assert heard_by(listener) == []
        assert_serves(listener)


def test_nobody_names_himself(listener: Listener, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with odd_peer(context, KEY.public, KEY.public, KEY.secret) as peer:
        peer.routing_id = b"tracker"
        peer.connect(listener.address)
        peer.send_multipart(encode_message(HEARTBEAT))
        until(lambda: peer.poll(0), listener)
        assert "gave itself a name" in Refused.decode(peer.recv_multipart()[1:]).reason
        assert heard_by(listener) == []


def test_a_message_that_is_too_large_ends_its_connection(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    with Listener("127.0.0.1:0", KEY, max_message_bytes=100_000) as listener:
        with odd_peer(context, KEY.public, KEY.public, KEY.secret) as peer:
            peer.connect(listener.address)
            monitor = peer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            peer.send_multipart([*encode_message(HEARTBEAT), bytes(100_001)])
            until(lambda: monitor.poll(0), listener)
            peer.disable_monitor()
            monitor.close()
        assert heard_by(listener) == []
        assert_serves(listener)


def test_a_flood_of_large_messages_takes_bounded_memory_and_holds_nobody_up(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    """A member sends 1 GiB as fast as it can, to a listener that does not look for a while."""
    with (
        Listener("127.0.0.1:0", KEY, max_message_bytes=2 << 20, queue_messages=8) as listener,
        odd_peer(context, KEY.public, KEY.public, KEY.secret) as peer,
    ):
        peer.sndhwm = 4
        peer.connect(listener.address)
        flood, sent = [*encode_message(Message(Kind.LOG, body=(bytes(1 << 20),)))], 0
        until(lambda: peer.poll(0, zmq.POLLOUT), listener)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            if peer.poll(20, zmq.POLLOUT):
                peer.send_multipart(flood)
                sent += 1
        assert sent < 100  # it is held up, not we
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10
        assert_serves_beside(listener)


def assert_serves_beside(listener: Listener) -> None:
    with connect(listener) as connection:
        assert connection.send(HEARTBEAT)
        until(lambda: HEARTBEAT in messages(heard_by(listener)), listener)


# --- very many


SILENT_CROWD = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
crowd = []
for _ in range(int(sys.argv[2])):
    each = socket.socket()
    each.setblocking(False)
    each.connect_ex(("127.0.0.1", int(sys.argv[1])))
    crowd.append(each)
print("there", flush=True)
sys.stdin.read()
"""


@contextmanager
def silent_crowd(listener: Listener, number: int) -> Iterator[None]:
    command = [sys.executable, "-c", SILENT_CROWD, str(listener.port), str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as crowd:
        assert crowd.stdin is not None and crowd.stdout is not None
        yield
        crowd.stdin.close()


@contextmanager
def few_open_files(number: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_that_say_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Also in a process that began with so few open files as a login shell gives."""
    monkeypatch.setattr(port, "HANDSHAKE_SECONDS", 1.0)
    with few_open_files(1024):
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 8000:
            pytest.skip("this user may not have the open files that the test needs")
        with Listener("127.0.0.1:0", KEY) as listener, silent_crowd(listener, 3000):
            until(lambda: listener.connections + listener.strangers >= 2500, listener)
            with open(os.devnull):  # there are files left for other work
                assert_serves(listener)
            until(lambda: listener.strangers >= 2500, listener)  # and all are hung up on
    assert len([record for record in caplog.records if "did not let in" in record.message]) == 1


def test_no_more_come_in_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait outside; the handshakes of those inside run out, and members get their turn."""
    monkeypatch.setattr(port, "HANDSHAKE_SECONDS", 0.5)
    most, listener = 0, Listener("127.0.0.1:0", KEY, max_connections=50)

    def some_ran_out() -> bool:
        nonlocal most
        most = max(most, listener.connections)
        return listener.strangers >= 20

    with listener:
        member = connect(listener)
        with silent_crowd(listener, 1000), member:
            until(some_ran_out, listener)
            assert 20 <= most < 500
            assert member.connected and member.sessions == 1
            assert_serves(listener)


def test_the_log_of_strangers_is_short(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert_is_hung_up_on(listener, raw(listener, GREETING))
    for _ in range(20):
        assert_is_hung_up_on(listener, raw(listener, b"GET / HTTP/1.1\r\n\r\n"))
    until(lambda: listener.strangers >= 21, listener)
    [record] = [each for each in caplog.records if each.name.startswith("mapreduce")]
    assert "did not let in: 127.0.0.1 left or said nothing; 1 so far" in record.message
    assert KEY.secret.decode() not in caplog.text


# --- who is counted, and what is answered: without a socket


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_visitors() -> None:
    clock = Clock()
    visitors = Visitors(lambda descriptor: f"host{descriptor}", clock)
    visitors.hear(zmq.EVENT_ACCEPTED, 5)
    visitors.hear(zmq.EVENT_HANDSHAKE_SUCCEEDED, 0)
    visitors.hear(zmq.EVENT_ACCEPTED, 6)
    assert visitors.connections == 2 and visitors.line() is None
    visitors.hear(zmq.EVENT_HANDSHAKE_FAILED_AUTH, 400)
    visitors.hear(zmq.EVENT_DISCONNECTED, 6)
    visitors.hear(zmq.EVENT_DISCONNECTED, 5)  # the member leaves
    assert (visitors.connections, visitors.strangers) == (0, 1)
    assert visitors.line() == "host6 holds another key"
    for _ in range(3):
        visitors.hear(zmq.EVENT_ACCEPTED, 7)
        visitors.hear(zmq.EVENT_DISCONNECTED, 7)
    assert visitors.strangers == 4 and visitors.line() is None
    clock.now = 60.0
    assert visitors.line() == "host7 speaks something else (3)"
    assert visitors.line() is None
    for descriptor in range(100):
        visitors.hear(zmq.EVENT_ACCEPTED, descriptor)
        visitors.hear(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, 1)
        visitors.hear(zmq.EVENT_DISCONNECTED, descriptor)
    clock.now = 120.0
    line = visitors.line()
    assert line is not None and line.endswith("others (92)") and visitors.strangers == 104


REQUEST = [b"", b"1.0", b"1", DOMAIN, b"10.0.0.9", b"", b"CURVE", b"k" * 32]


def test_one_key_is_welcome() -> None:
    assert answer(REQUEST, b"k" * 32) == [b"", b"1.0", b"1", b"200", b"OK", b"member", b""]
    for at, value in ((3, b"other"), (6, b"PLAIN"), (6, b"NULL"), (7, b"K" * 32), (7, b""), (7, b"k" * 31)):
        request = [*REQUEST[:at], value, *REQUEST[at + 1 :]]
        assert (answer(request, b"k" * 32) or [])[3] == b"400"
    assert (answer([*REQUEST, b"more"], b"k" * 32) or [])[3] == b"400"
    assert (answer(REQUEST[:7], b"k" * 32) or [])[3] == b"400"


@given(st.lists(st.binary(max_size=40), max_size=9))
def test_no_other_request_is_granted(request: list[bytes]) -> None:
    reply = answer(request, b"k" * 32)
    assert reply is None or reply[3] == b"400"

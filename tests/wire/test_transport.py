"""Do messages arrive, in order and in the right session, and does nobody ever wait for a peer?"""

from __future__ import annotations

import gc
import select
import threading
import time
from collections.abc import Iterator

import pytest

from mapreduce.errors import ResourceError, UsageError, WireError
from mapreduce.ids import AttemptId, TaskId
from mapreduce.wire import transport
from mapreduce.wire.admission import Context
from mapreduce.wire.messages import Kind, Message
from mapreduce.wire.transport import BATCH_MESSAGES, Connection, Listener, PeerId
from tests.wire.meetings import HEARTBEAT, KEY, assert_serves, connect, heard_by, messages, until


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener("127.0.0.1:0", KEY) as opened:
        yield opened


def peer_of(listener: Listener, connection: Connection) -> PeerId:
    """How the listener names a connection."""
    assert connection.send(HEARTBEAT)
    before = len(heard_by(listener))
    until(lambda: len(heard_by(listener)) > before, listener)
    found = heard_by(listener)[-1]
    assert isinstance(found, tuple) and isinstance(found[0], bytes)
    return found[0]


def test_messages_arrive_in_order_both_ways(listener: Listener) -> None:
    with connect(listener) as connection:
        peer = peer_of(listener, connection)
        there = [Message(Kind.FINISHED, 1, AttemptId(TaskId(0, n), 0), 2, (b"x" * n, b"", b"y")) for n in range(700)]
        for each in there:
            assert connection.send(each)
        until(lambda: len(heard_by(listener)) == 701, listener)
        assert messages(heard_by(listener))[1:] == there
        back = [Message(Kind.START, 1, AttemptId(TaskId(0, n), 0), 2, (b"spec",)) for n in range(700)]
        for each in back:
            assert listener.send(peer, each)
        until(lambda: len(heard_by(connection)) == 700, connection)
        assert heard_by(connection) == back


def test_views_and_large_bodies(listener: Listener) -> None:
    body = bytes(range(256)) * 4096 * 8
    with connect(listener) as connection:
        assert connection.send(Message(Kind.FINISHED, body=(memoryview(body)[1:], b"", memoryview(b""))))
        until(lambda: heard_by(listener), listener)
        [message] = messages(heard_by(listener))
        assert [bytes(frame) for frame in message.body] == [body[1:], b"", b""]


def test_peers_are_told_apart(listener: Listener) -> None:
    with connect(listener) as a, connect(listener) as b:
        peers = [peer_of(listener, a), peer_of(listener, b)]
        assert len(set(peers)) == 2
        for number, peer in enumerate(peers):
            assert listener.send(peer, Message(Kind.WELCOME, job=number))
        until(lambda: heard_by(a) and heard_by(b), a, b)
        assert [messages(heard_by(each))[0].job for each in (a, b)] == [0, 1]


def test_receive_waits_no_longer_than_told_and_returns_at_once(listener: Listener) -> None:
    with connect(listener) as connection:
        begun = time.monotonic()
        assert listener.receive(0.05) == [] and connection.receive(0.05) == []
        assert time.monotonic() - begun > 0.09
        assert connection.send(HEARTBEAT)
        begun = time.monotonic()
        assert [message for _, message in listener.receive(30)] == [HEARTBEAT]
        assert time.monotonic() - begun < 10


def test_one_receive_returns_a_bounded_batch(listener: Listener) -> None:
    with connect(listener) as connection:
        for _ in range(2 * BATCH_MESSAGES):
            assert connection.send(HEARTBEAT)
        until(lambda: heard_by(listener), listener)
        while len(heard_by(listener)) < 2 * BATCH_MESSAGES:
            batch = listener.receive(5)
            assert 0 < len(batch) <= BATCH_MESSAGES
            heard_by(listener).extend(batch)


# --- the descriptor


def readable(port: Listener | Connection, seconds: float = 0) -> bool:
    return bool(select.select([port], [], [], seconds)[0])


def test_the_descriptor_is_readable_as_long_as_there_is_something(listener: Listener) -> None:
    with connect(listener) as connection:
        until(lambda: not readable(listener) and not readable(connection), listener, connection)
        for _ in range(BATCH_MESSAGES + 1):
            assert connection.send(HEARTBEAT)
        count = 0
        while count <= BATCH_MESSAGES:  # with what one batch leaves it is still readable
            assert readable(listener, 10)
            count += len(listener.receive(0))
        until(lambda: not readable(listener), listener)


def test_news_that_come_while_we_send_are_not_swallowed(listener: Listener) -> None:
    """libzmq's own descriptor forgets them; ours does not."""
    with connect(listener) as connection:
        peer = peer_of(listener, connection)
        for _ in range(50):
            assert listener.send(peer, HEARTBEAT)
            assert readable(connection, 10)
            while readable(connection):
                assert connection.send(HEARTBEAT)
                connection.receive(0)
                until(lambda: listener.receive(0), connection)


def test_a_handshake_makes_the_descriptor_readable(listener: Listener) -> None:
    """A loop that only calls `receive` when told lets members in all the same."""
    with Connection(listener.address, KEY) as connection:
        deadline = time.monotonic() + 20
        while not connection.connected and time.monotonic() < deadline:
            ready, _, _ = select.select([listener, connection], [], [], 1)
            if listener in ready:
                assert listener.receive(0) == []
            if connection in ready:
                assert connection.receive(0) == []
        assert connection.connected


# --- nobody waits


def test_what_nobody_takes_is_refused_when_the_queue_is_full() -> None:
    with Listener("127.0.0.1:0", KEY, queue_messages=10) as listener, connect(listener) as connection:
        peer = peer_of(listener, connection)
        large = Message(Kind.START, body=(bytes(1 << 20),))
        begun = time.monotonic()
        sent = 0
        while listener.send(peer, large):
            sent += 1
            assert sent < 2000
        assert time.monotonic() - begun < 20
        assert_serves(listener)  # others are not held up
        until(lambda: len(heard_by(connection)) == sent, connection)
        assert listener.send(peer, HEARTBEAT)


def test_nothing_is_queued_for_who_is_not_there(listener: Listener) -> None:
    assert not listener.send(b"\0none", HEARTBEAT)
    with Connection("127.0.0.1:9", KEY) as connection:
        assert not connection.send(HEARTBEAT)
        assert connection.receive(0.01) == []
        assert (connection.sessions, connection.trouble) == (0, "nobody answers there")


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with (
        Listener("127.0.0.1:0", KEY, max_message_bytes=1000) as listener,
        Connection(listener.address, KEY, max_message_bytes=1000) as connection,
    ):
        until(lambda: connection.connected, listener, connection)
        with pytest.raises(WireError, match="a message of 1036 bytes; at most 1000 may be sent"):
            connection.send(Message(Kind.LOG, body=(bytes(1000),)))
        with pytest.raises(WireError, match="at most 1000 may be sent"):
            listener.send(peer_of(listener, connection), Message(Kind.LOG, body=(bytes(1000),)))


def test_who_is_dropped_is_not_heard(listener: Listener) -> None:
    with connect(listener) as connection:
        listener.drop(peer_of(listener, connection))
        heard_by(listener).clear()
        assert connection.send(Message(Kind.SUBMIT))
        assert_serves(listener)
        assert [message.kind for message in messages(heard_by(listener))] == [Kind.STATUS]


def test_of_dropped_peers_a_bounded_number_is_remembered(listener: Listener) -> None:
    for number in range(transport.DROPPED_PEERS + 10):
        listener.drop(number.to_bytes(5, "big"))
    assert len(listener._dropped) == transport.DROPPED_PEERS


# --- sessions


def test_who_comes_back_is_another_peer_and_knows_it() -> None:
    with Listener("127.0.0.1:0", KEY) as first:
        connection = connect(first)
        peer = peer_of(first, connection)
        assert connection.sessions == 1
    with connection:
        until(lambda: not connection.connected, connection)
        assert connection.trouble == "the connection broke"
        assert not connection.send(Message(Kind.FINISHED))  # not kept for the next session
        with Listener(first.address, KEY) as second:
            until(lambda: connection.sessions == 2, second, connection)
            assert peer_of(second, connection) != peer
            assert messages(heard_by(second)) == [HEARTBEAT]


def test_a_peer_that_has_gone_is_told_of(listener: Listener) -> None:
    with connect(listener) as connection:
        peer = peer_of(listener, connection)
        assert listener.send(peer, HEARTBEAT)
    until(lambda: not listener.send(peer, HEARTBEAT), listener)
    assert listener.strangers == 0


def test_what_was_said_before_the_end_arrives(listener: Listener) -> None:
    with connect(listener) as connection:
        for _ in range(100):
            assert connection.send(Message(Kind.BYE))
    until(lambda: len(heard_by(listener)) == 100, listener)


# --- ends


def test_nothing_hangs_at_the_end() -> None:
    """Whatever is going on: a half-made handshake, a full queue, a peer that is not there."""
    begun = time.monotonic()
    listener = Listener("127.0.0.1:0", KEY, queue_messages=10)
    half_made = Connection(listener.address, KEY)
    nowhere = Connection("127.0.0.1:9", KEY)
    slow = connect(listener)
    peer = peer_of(listener, slow)
    while listener.send(peer, Message(Kind.START, body=(bytes(1 << 20),))):
        pass
    for port in (half_made, nowhere, listener, slow):
        port.close()
        port.close()
    assert time.monotonic() - begun < 10


def test_connections_may_share_a_context(listener: Listener) -> None:
    with zmq_context() as context:
        pair = [Connection(listener.address, KEY, context=context) for _ in range(2)]
        until(lambda: all(each.connected for each in pair), listener, *pair)
        pair[0].close()
        assert peer_of(listener, pair[1])
        pair[1].close()


def zmq_context() -> Context:
    import zmq

    return zmq.Context()


def test_where_one_can_t_listen(listener: Listener) -> None:
    for address in (listener.address, "192.0.2.1:0"):
        with pytest.raises(ResourceError, match=f"can't listen at {address}: "):
            Listener(address, KEY)
    with pytest.raises(UsageError, match="is not an address"):
        Listener("somewhere", KEY)
    gc.collect()


def test_no_thread_of_python_is_started(listener: Listener) -> None:
    before = threading.active_count()
    assert_serves(listener)
    assert threading.active_count() == before


def test_version_six_of_the_internet() -> None:
    try:
        listener = Listener("[::1]:0", KEY)
    except ResourceError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")
    with listener, connect(listener) as connection:
        assert connection.send(HEARTBEAT)
        until(lambda: heard_by(listener), listener)

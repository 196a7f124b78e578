"""What can somebody do at the port of sealed streams who has no ticket, or only that? Nothing."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mapreduce.wire import stream_server
from mapreduce.wire.data_messages import Answer, Ask, DataError, Question, Tell
from mapreduce.wire.sealing import (
    HEAD_BYTES,
    TAG_BYTES,
    Offer,
    Opener,
    Sealer,
    can_seal,
    decode_offer,
    hello_of,
)
from mapreduce.wire.shared_folders import SharedFolders
from mapreduce.wire.stream_server import MOST_WAITING, TICKET_SECONDS, Stream, Streams

pytestmark = pytest.mark.skipif(not can_seal(), reason="the package `cryptography` is not installed")

BYTES = os.urandom((6 << 20) + 321)
QUESTION = Question(Ask.READ, 7, "j/a", 5, 10)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def streams(clock: Clock) -> Iterator[Streams]:
    made = Streams("127.0.0.1", clock)
    yield made
    made.close()


def until(done: Callable[[], object], streams: Streams) -> list[tuple[Stream, Question]]:
    """Serve until it is so; what was asked."""
    deadline, asked = time.monotonic() + 10, []
    while not done():
        assert time.monotonic() < deadline, "it never came to pass"
        asked += streams.serve()
    return asked


def comes(streams: Streams, data: bytes = b"") -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", streams.port), timeout=10)
    opened.sendall(data)
    return opened


def assert_hung_up_on(streams: Streams, stranger: socket.socket) -> None:
    """Without a byte."""
    stranger.setblocking(False)
    heard = b""

    def closed() -> bool:
        nonlocal heard
        try:
            heard = stranger.recv(100)
        except BlockingIOError:
            return False
        except ConnectionError:
            pass
        return True

    with closing(stranger):
        until(closed, streams)
    assert heard == b""


def offer_to(streams: Streams, reader: bytes = b"reader") -> Offer:
    return decode_offer(streams.offer(reader))


@pytest.mark.parametrize(
    "said", [bytes(20), b"MRs1" + bytes(16), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", os.urandom(5000), b"\xff" * 20]
)
def test_who_has_no_ticket_is_hung_up_on(streams: Streams, said: bytes) -> None:
    offer_to(streams)
    assert_hung_up_on(streams, comes(streams, said))
    assert (streams.strangers, streams.connections) == (1, 0)


def test_who_says_nothing_or_too_little_is_hung_up_on_in_time(streams: Streams, clock: Clock) -> None:
    offer = offer_to(streams)
    silent, slow = comes(streams), comes(streams, hello_of(offer.ticket)[:-1])
    until(lambda: streams.connections == 2, streams)
    assert streams.timeout() == TICKET_SECONDS
    clock.now += TICKET_SECONDS - 0.01
    streams.serve()
    assert streams.connections == 2
    clock.now += 0.02
    assert_hung_up_on(streams, silent)
    assert_hung_up_on(streams, slow)
    assert streams.timeout() is None


def test_a_ticket_is_good_once_and_only_the_newest(streams: Streams) -> None:
    old = offer_to(streams, b"other")
    offer = offer_to(streams)
    with closing(comes(streams, hello_of(offer.ticket))):
        until(lambda: streams.connections == 1, streams)
        assert_hung_up_on(streams, comes(streams, hello_of(offer.ticket)))
        assert streams.connections == 1
    for _ in range(stream_server.MOST_OFFERS):
        offer_to(streams)
    assert_hung_up_on(streams, comes(streams, hello_of(old.ticket)))


def test_thousands_that_say_nothing_leave_room_for_a_reader(streams: Streams) -> None:
    offer = offer_to(streams)
    flood = []
    try:
        for _ in range(3 * MOST_WAITING):
            flood.append(comes(streams))
            streams.serve()
            assert streams.connections <= MOST_WAITING
        with closing(comes(streams, hello_of(offer.ticket))):
            until(lambda: streams._streams, streams)
    finally:
        for each in flood:
            each.close()


def test_the_log_of_strangers_is_short(streams: Streams, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        assert_hung_up_on(streams, comes(streams, bytes(20)))
    assert len(caplog.records) == 1
    clock.now += 61
    assert_hung_up_on(streams, comes(streams, bytes(20)))
    assert "21 so far" in caplog.records[1].message


def test_who_caught_a_ticket_can_neither_ask_nor_understand(streams: Streams) -> None:
    offer = offer_to(streams)
    thief = comes(streams, hello_of(offer.ticket))
    until(lambda: streams._streams, streams)
    streams.give(streams._streams[b"reader"], Answer(Tell.PIECE, 1), b"a secret" * 100)
    heard = _heard(streams, thief)
    assert b"a secret" not in heard
    with pytest.raises(DataError):
        Opener(bytes(32)).open_head(memoryview(heard[: HEAD_BYTES + TAG_BYTES]))
    thief.sendall(Sealer(bytes(32)).seal_question(QUESTION))
    asked = until(lambda: not streams._streams, streams)
    assert asked == []
    thief.close()


def _heard(streams: Streams, connection: socket.socket) -> bytes:
    wanted = HEAD_BYTES + TAG_BYTES + 800 + TAG_BYTES
    connection.setblocking(False)
    found = b""

    def all_there() -> bool:
        nonlocal found
        try:
            found += connection.recv(wanted)
        except BlockingIOError:
            return False
        return len(found) >= wanted

    until(all_there, streams)
    connection.setblocking(True)
    return found


def test_what_a_reader_leaves_behind_is_closed(streams: Streams, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BYTES)
    folders = SharedFolders()
    folders.offer("j", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    offer = offer_to(streams)
    reader = comes(streams, hello_of(offer.ticket))
    until(lambda: streams._streams, streams)
    for _ in range(4):
        piece = folders.open_piece("j/a", 0, len(BYTES))
        streams.give(streams._streams[b"reader"], Answer(Tell.PIECE, 1), piece)
    for _ in range(50):
        streams.serve()
    reader.close()
    until(lambda: not streams._streams, streams)
    assert len(os.listdir("/proc/self/fd")) == before

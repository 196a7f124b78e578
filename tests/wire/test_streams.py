"""Sealed streams: the same bytes as through CURVE whatever happens to a stream, and nothing for strangers."""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.wire import data_peer, data_server, stream_client, stream_server
from mapreduce.wire.data_client import DataClient
from mapreduce.wire.data_messages import Answer, Ask, DataError, Question, Tell
from mapreduce.wire.data_server import DataServer
from mapreduce.wire.keys import make_key
from mapreduce.wire.sealing import (
    HEAD_BYTES,
    RECORD_BYTES,
    TAG_BYTES,
    Offer,
    Opener,
    Sealer,
    can_seal,
    decode_offer,
    head_of,
    hello_of,
    make_offer,
    ticket_in,
)
from mapreduce.wire.shared_folders import OpenPiece, SharedFolders
from mapreduce.wire.stream_server import MOST_WAITING, TICKET_SECONDS, Stream, Streams
from tests.wire.relay import Habits, Relay

pytestmark = pytest.mark.skipif(not can_seal(), reason="the package `cryptography` is not installed")

KEY = make_key()
BYTES = os.urandom((6 << 20) + 321)
QUESTION = Question(Ask.READ, 7, "j/a", 5, 10)


# --- records


def sealed(sealer: Sealer, data: bytes) -> memoryview:
    return sealer.seal(data, memoryview(bytearray(len(data) + TAG_BYTES)))


def test_records_open_in_their_order_and_in_no_other() -> None:
    key = make_offer(1).answers_key

    @given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
    def holds(texts: list[bytes], data: st.DataObject) -> None:
        sealer, opener = Sealer(key), Opener(key)
        records = [bytes(sealed(sealer, text)) for text in texts]
        for at, text in enumerate(texts):
            wrong = data.draw(st.integers(0, len(texts) - 1))
            if wrong != at:  # left out, repeated, exchanged
                with pytest.raises(DataError):
                    opener.open(records[wrong], memoryview(bytearray(len(texts[wrong]))))
            bit = data.draw(st.integers(0, 8 * len(records[at]) - 1))
            changed = bytearray(records[at])
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DataError):
                opener.open(bytes(changed), memoryview(bytearray(len(text))))
            found = bytearray(len(text))
            opener.open(records[at], memoryview(found))
            assert found == text

    holds()


@given(st.binary(max_size=120))
def test_any_bytes_are_questions_or_an_error(data: bytes) -> None:
    try:
        questions, rest = Opener(bytes(32)).open_questions(data)
    except DataError:
        return
    assert not questions
    assert rest == data


def test_questions_come_out_as_they_went_in_however_they_are_cut() -> None:
    sealer, opener = Sealer(bytes(32)), Opener(bytes(32))
    asked = [Question(Ask.READ, number, f"j/{number}", number, 100) for number in range(5)]
    travelling = b"".join(map(sealer.seal_question, asked))
    found: list[Question] = []
    rest = b""
    for at in range(0, len(travelling), 7):
        questions, rest = opener.open_questions(rest + travelling[at : at + 7])
        found += questions
    assert (found, rest) == (asked, b"")


def test_an_announced_body_is_bounded() -> None:
    sealer, opener = Sealer(bytes(32)), Opener(bytes(32))
    head = sealed(sealer, head_of(Answer(Tell.PIECE, 1), 1 << 30))
    with pytest.raises(DataError, match="at most"):
        opener.open_head(head)


@given(st.binary(max_size=90))
def test_any_bytes_are_an_offer_or_an_error(data: bytes) -> None:
    assert ticket_in(data) is None
    try:
        offer = decode_offer(data)
    except DataError:
        return
    assert offer.encode() == data


def test_an_offer_shows_no_secret() -> None:
    offer = make_offer(7)
    assert decode_offer(offer.encode()) == offer
    assert repr(offer) == "Offer(port=7)"


# --- those who come


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


# --- readers


@contextmanager
def reading(
    folder: Path, monkeypatch: pytest.MonkeyPatch, habits: Habits | None = None, **options: float
) -> Iterator[tuple[DataClient, list[Relay]]]:
    """A client whose streams go through a relay with such habits, and the relays there were."""
    (folder / "a").write_bytes(BYTES)
    server = DataServer("tcp://127.0.0.1:*", KEY)
    server.offer("j", str(folder))
    relays: list[Relay] = []
    connect = stream_client.begin_to_connect

    def begin_to_connect(host: str, port: int) -> socket.socket:
        if habits is None:
            return connect(host, port)
        relays.append(Relay(port, habits))
        return connect("127.0.0.1", int(relays[-1].start().rpartition(":")[2]))

    monkeypatch.setattr(stream_client, "begin_to_connect", begin_to_connect)
    client = DataClient(KEY, {"b": server.address}, me="a", **options)  # type: ignore[arg-type]
    try:
        yield client, relays
    finally:
        client.close()
        for relay in relays:
            relay.close()
        server.close()


def stream_of(client: DataClient) -> stream_client.OwnStream | None:
    return client._peers["b"]._stream


def fetched(client: DataClient) -> bytes:
    file = io.BytesIO()
    assert client.fetch("b", "j/a", file) == len(BYTES)
    return file.getvalue()


def test_much_comes_on_a_stream_and_little_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading(tmp_path, monkeypatch) as (client, _):
        assert client.read("b", "j/a", 5, 1000) == BYTES[5:1005]
        assert stream_of(client) is None
        assert fetched(client) == BYTES
        stream = stream_of(client)
        assert stream is not None
        assert stream.has_brought
        records = stream._opener._records
        assert client.read("b", "j/a", 5, 1000) == BYTES[5:1005]  # once it stands, it is for all
        assert stream._opener._records == records + 2
        with pytest.raises(FileNotFoundError):
            client.read("b", "j/none", 0, 10)
        assert client.files("b", "j") == [("a", len(BYTES))]


@pytest.mark.parametrize("cut_after", [1, 100, 70_000, RECORD_BYTES + TAG_BYTES, 3_000_000])
def test_a_stream_that_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_after: int) -> None:
    with reading(tmp_path, monkeypatch, Habits(cut_after=cut_after)) as (client, relays):
        for _ in range(3):
            assert fetched(client) == BYTES
        assert relays


@pytest.mark.parametrize("corrupt_at", [0, 50, 90, 1_000_000])
def test_a_changed_byte_ends_a_stream_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corrupt_at: int
) -> None:
    with reading(tmp_path, monkeypatch, Habits(corrupt_at=corrupt_at)) as (client, relays):
        for _ in range(3):
            assert fetched(client) == BYTES
        assert relays


def test_streams_that_bring_nothing_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading(tmp_path, monkeypatch, Habits(cut_after=1)) as (client, relays):
        for _ in range(6):
            assert fetched(client) == BYTES
        assert len(relays) <= data_peer.STREAM_TRIES


def test_a_stream_that_falls_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_peer, "QUIET_SECONDS", 0.3)
    with reading(tmp_path, monkeypatch, Habits(silent_after=300_000)) as (client, relays):
        for _ in range(2):
            assert fetched(client) == BYTES
        assert relays


def test_a_port_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading(tmp_path, monkeypatch) as (client, _):
        monkeypatch.setattr(stream_client, "begin_to_connect", lambda host, port: _connecting_to_nobody())
        assert fetched(client) == BYTES
        assert client._peers["b"]._stream is None or not client._peers["b"]._stream.stands


def _connecting_to_nobody() -> socket.socket:
    opened = socket.socket()
    opened.setblocking(False)
    opened.connect_ex(("127.0.0.1", 9))
    return opened


@pytest.mark.parametrize("side", [data_peer, data_server])
def test_a_host_without_the_cipher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: object) -> None:
    monkeypatch.setattr(side, "can_seal", lambda: False)
    with reading(tmp_path, monkeypatch) as (client, _):
        assert fetched(client) == BYTES
        assert client._peers["b"]._stream is None
        assert fetched(client) == BYTES


def test_a_worn_key_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_server, "MOST_RECORDS", 3)
    monkeypatch.setattr(stream_client, "CONNECT_SECONDS", 10)
    with reading(tmp_path, monkeypatch, Habits()) as (client, relays):
        deadline = time.monotonic() + 20
        while len(relays) < 3:
            assert time.monotonic() < deadline
            assert fetched(client) == BYTES


def test_a_file_that_is_cut_short_while_it_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading(tmp_path, monkeypatch) as (client, _):
        assert fetched(client) == BYTES
        open_piece = SharedFolders.open_piece

        def cutting(*arguments: object, **more: bool) -> object:
            piece = open_piece(*arguments, **more)  # type: ignore[arg-type]
            if os.path.getsize(tmp_path / "a") > 1000:
                os.truncate(tmp_path / "a", 1000)
            return piece

        monkeypatch.setattr(SharedFolders, "open_piece", cutting)
        assert client.read("b", "j/a", 0, 5_000_000) == BYTES[:1000]


def test_a_file_that_is_written_anew_while_it_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = bytes(len(BYTES))
    with reading(tmp_path, monkeypatch) as (client, _):
        assert fetched(client) == BYTES
        read_into = OpenPiece.read_into

        def writing(piece: OpenPiece, buffer: memoryview, at: int) -> int:
            if at and (tmp_path / "a").read_bytes() != new:  # its beginning has been sent
                (tmp_path / "a").write_bytes(new)
                os.utime(tmp_path / "a", (1, 1))
            return read_into(piece, buffer, at)

        monkeypatch.setattr(OpenPiece, "read_into", writing)
        assert client.read("b", "j/a", 0, 1 << 20) == new[: 1 << 20]


def test_a_reader_that_does_not_listen_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading(tmp_path, monkeypatch) as (deaf, _):
        assert fetched(deaf) == BYTES
        peer = deaf._peers["b"]
        assert peer._stream is not None
        for number in range(100):
            peer._stream.ask(Question(Ask.READ, 1 << 40 | number, "j/a", 0, 1 << 20))
        other = DataClient(KEY, {"b": peer.address}, me="c")
        try:
            for _ in range(3):
                assert fetched(other) == BYTES
        finally:
            other.close()

"""Does a reader get the same bytes as through CURVE, whatever happens to its stream?"""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mapreduce.wire import data_peer, data_server, stream_client, stream_server
from mapreduce.wire.data_client import DataClient
from mapreduce.wire.data_messages import Ask, Question
from mapreduce.wire.data_server import DataServer
from mapreduce.wire.keys import make_key
from mapreduce.wire.sealing import (
    RECORD_BYTES,
    TAG_BYTES,
    can_seal,
)
from mapreduce.wire.shared_folders import OpenPiece, SharedFolders
from tests.wire.relay import Habits, Relay

pytestmark = pytest.mark.skipif(not can_seal(), reason="the package `cryptography` is not installed")

KEY = make_key()
BYTES = os.urandom((6 << 20) + 321)


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

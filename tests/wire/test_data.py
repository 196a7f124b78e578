"""Files of another host: the same bytes as here, whatever happens on the way, or one OSError in time."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.storage.host_store import Place
from mapreduce.wire.data_client import DataClient
from mapreduce.wire.data_messages import PIECE_BYTES, Ask, DataError, Question, decode_question, encode_question
from mapreduce.wire.data_server import DataServer
from mapreduce.wire.keys import ClusterKey, make_key

KEY = make_key()
BYTES = os.urandom(3 * PIECE_BYTES + 12345)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    (tmp_path / "job/a.seg").write_bytes(BYTES)
    (tmp_path / "job/empty").write_bytes(b"")
    (tmp_path / "secret").write_text("outside")
    return tmp_path / "job"


@pytest.fixture
def server(folder: Path) -> Iterator[DataServer]:
    server = DataServer("tcp://127.0.0.1:*", KEY)
    server.offer("j", str(folder))
    yield server
    server.close()


@pytest.fixture
def client(server: DataServer) -> Iterator[DataClient]:
    client = client_of(server.address)
    yield client
    client.close()


def client_of(address: str, key: ClusterKey = KEY, **options: float) -> DataClient:
    return DataClient(key, {"b": address}, me="a", **options)  # type: ignore[arg-type]


def test_any_bytes_of_a_file_are_those_that_lie_there(client: DataClient) -> None:
    @given(offset=st.integers(0, len(BYTES) + 10), size=st.integers(0, len(BYTES) + 10))
    @settings(max_examples=40)
    def same(offset: int, size: int) -> None:
        assert client.read("b", "j/a.seg", offset, size) == BYTES[offset : offset + size]

    same()


def test_announced_ranges_are_read_in_any_order_and_steps(client: DataClient) -> None:
    @given(data=st.data())
    @settings(max_examples=25)
    def same(data: st.DataObject) -> None:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(BYTES)), min_size=2, max_size=8)))
        ranges = [[start, end] for start, end in pairwise(cuts) if start < end]
        client.will_read([Place("b", "j/a.seg", start, end - start) for start, end in ranges])
        while ranges:
            at = data.draw(st.integers(0, len(ranges) - 1))
            start, end = ranges[at]
            step = data.draw(st.integers(1, end - start))
            assert client.read("b", "j/a.seg", start, step) == BYTES[start : start + step]
            ranges[at][0] += step
            if ranges[at][0] == end:
                del ranges[at]
        client.forget_all()

    same()
    assert client._held.bytes == 0
    assert not client._ranges


def test_size_brings_head_and_tail_along(client: DataClient) -> None:
    assert client.size("b", "j/a.seg") == len(BYTES)
    numbers = client._number
    assert client.read("b", "j/a.seg", len(BYTES) - 65536, 65536) == BYTES[-65536:]
    assert client.read("b", "j/a.seg", 0, 16) == BYTES[:16]
    assert client._number == numbers
    assert client.size("b", "j/empty") == 0
    assert client.read("b", "j/empty", 0, 0) == b""
    assert not client._ranges


def test_what_is_not_read_holds_no_more_than_its_share(server: DataServer) -> None:
    client = client_of(server.address, ahead_bytes=1 << 20)
    try:
        client.will_read([Place("b", "j/a.seg", start, 200_000) for start in range(0, 3_000_000, 200_000)])
        assert 0 < client._held.bytes <= 1 << 20
        for start in range(0, 3_000_000, 200_000):
            assert client.read("b", "j/a.seg", start, 200_000) == BYTES[start : start + 200_000]
        assert client._held.bytes == 0
    finally:
        client.close()


def test_a_file_is_fetched(client: DataClient) -> None:
    for name, expected in (("a.seg", BYTES), ("empty", b"")):
        file = io.BytesIO()
        assert client.fetch("b", f"j/{name}", file) == len(expected)
        assert file.getvalue() == expected


def test_files_of_a_folder(client: DataClient, folder: Path) -> None:
    (folder / "attempts/1-2-0/other").mkdir(parents=True)
    (folder / "attempts/1-2-0/part").write_text("12")
    (folder / "attempts/1-2-0/other/part").write_text("3")
    assert client.files("b", "j/attempts/1-2-0") == [("other/part", 1), ("part", 2)]
    with pytest.raises(FileNotFoundError):
        client.files("b", "j/attempts/7-7-0")


@pytest.mark.parametrize(
    "path",
    [
        "j/../secret",
        "j/./a.seg",
        "/etc/passwd",
        "j//a.seg",
        "j/..",
        "k/a.seg",
        "j/a.seg/",
        "j/link",
        "j/out/secret",
        "j",
    ],
)
def test_no_way_leads_out_of_a_shared_folder(client: DataClient, folder: Path, path: str) -> None:
    (folder / "link").symlink_to("../secret")
    (folder / "out").symlink_to("..")
    with pytest.raises(OSError, match=r"not offered|no path below|symbolic|Not a directory|is no file"):
        client.read("b", path, 0, 100)


def test_a_pipe_is_not_waited_for(client: DataClient, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match="is no file"):
        client.read("b", "j/pipe", 0, 1)


def test_a_withdrawn_folder_is_gone(client: DataClient, server: DataServer) -> None:
    server.withdraw("j")
    with pytest.raises(FileNotFoundError):
        client.size("b", "j/a.seg")


def test_a_file_written_anew_is_not_mixed_with_the_old_one(server: DataServer, folder: Path) -> None:
    client = client_of(server.address, ahead_bytes=1 << 17)
    try:
        client.will_read([Place("b", "j/a.seg", 0, 3_000_000)])
        assert client.read("b", "j/a.seg", 0, 1000) == BYTES[:1000]
        written = folder / "written.seg"
        written.write_bytes(bytes(len(BYTES)))
        os.utime(written, (1, 1))
        written.replace(folder / "a.seg")  # at once, as the store does
        with pytest.raises(OSError, match="anew"):
            for start in range(1000, 2_900_000, 100_000):
                assert client.read("b", "j/a.seg", start, 100_000) == BYTES[start : start + 100_000]
    finally:
        client.close()


def test_a_host_that_is_not_there_is_an_error_in_time(tmp_path: Path) -> None:
    client = client_of("tcp://127.0.0.1:9", patience_seconds=0.4)
    try:
        started = time.monotonic()
        with pytest.raises(OSError, match=r"host b at tcp://127.0.0.1:9 is out of reach for"):
            client.read("b", "j/a.seg", 0, 1)
        with pytest.raises(OSError, match="out of reach"):
            client.size("b", "j/a.seg")
        assert time.monotonic() - started < 10
        with pytest.raises(OSError, match="no host 'c' is known"):
            client.size("c", "j/a.seg")
    finally:
        client.close()


def test_another_key_opens_nothing(server: DataServer) -> None:
    stranger, own = make_key(), make_key()
    for key in (stranger, ClusterKey(KEY.public, own.secret)):
        client = client_of(server.address, key, patience_seconds=0.5)
        try:
            with pytest.raises(OSError, match="out of reach"):
                client.read("b", "j/a.seg", 0, 1)
        finally:
            client.close()
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:  # knows the server's key, has another itself
        socket.linger = 0
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = KEY.public, own.public, own.secret
        socket.connect(server.address)
        socket.send_multipart(encode_question(Question(Ask.READ, 1, "j/a.seg", 0, 10)))
        assert not socket.poll(500)


def test_nonsense_costs_nothing(server: DataServer, client: DataClient) -> None:
    client.size("b", "j/a.seg")
    socket = client._peers["b"].socket
    for frames in (
        [b"x"],
        [b"x" * 1000, b"y"],
        [b"", b"", b""],
        encode_question(Question(Ask.READ, 1, "j/a", 0, 1 << 40)),
    ):
        socket.send_multipart(frames)
    assert client.read("b", "j/a.seg", 5, 5) == BYTES[5:10]


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_frames_are_a_question_or_an_error(frames: list[bytes]) -> None:
    try:
        question = decode_question(frames)
    except DataError:
        return
    assert encode_question(question) == frames


def test_our_own_host_knows_the_others(server: DataServer, folder: Path) -> None:
    own = DataServer("tcp://127.0.0.1:*", KEY)
    client = DataClient(KEY, {"a": own.address}, me="a")
    try:
        with pytest.raises(OSError, match="no host 'b' is known"):
            client.size("b", "j/a.seg")
        own.set_places({"b": server.address})
        assert client.size("b", "j/a.seg") == len(BYTES)
    finally:
        client.close()
        own.close()


def test_a_reader_that_does_not_listen_holds_up_nobody(folder: Path) -> None:
    server = DataServer("tcp://127.0.0.1:*", KEY, unsent_bytes=8 << 20)
    server.offer("j", str(folder))
    deaf = [client_of(server.address, silence_seconds=30) for _ in range(6)]
    listening = client_of(server.address)
    try:
        for client in deaf:
            peer = client._peer("b")
            peer.socket.setsockopt(zmq.RCVHWM, 1)
            for number in range(60):
                peer.tell(Question(Ask.READ, number, "j/a.seg", 0, PIECE_BYTES))
        for _ in range(3):
            assert listening.read("b", "j/a.seg", 0, len(BYTES)) == BYTES
        assert server.most_unsent_bytes <= 8 << 20
    finally:
        for client in [*deaf, listening]:
            client.close()
        server.close()

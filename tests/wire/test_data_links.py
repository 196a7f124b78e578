"""Bad links between a reader and a server: the right bytes in the end, or one OSError in time.

All through CURVE, as on a host that can have no streams; bad links under those are in test_stream_client.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mapreduce.storage.host_store import Place
from mapreduce.wire import data_peer
from mapreduce.wire.data_client import DataClient
from mapreduce.wire.data_server import DataServer
from mapreduce.wire.keys import ClusterKey, make_key
from tests.wire.relay import Habits, Relay

KEY = make_key()
BYTES = os.urandom((6 << 20) + 321)


@pytest.fixture(autouse=True)
def no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_peer, "can_seal", lambda: False)


@contextmanager
def far_client(
    folder: Path, habits: Habits, key: ClusterKey | None = KEY, **options: float
) -> Iterator[tuple[DataClient, Relay]]:
    """A client that reads `folder`, as "j", through a relay."""
    (folder / "a").write_bytes(BYTES)
    server = DataServer("tcp://127.0.0.1:*", key)
    server.offer("j", str(folder))
    relay = Relay(int(server.address.rpartition(":")[2]), habits)
    client = DataClient(key, {"b": relay.start()}, me="a", **options)  # type: ignore[arg-type]
    try:
        yield client, relay
    finally:
        client.close()
        relay.close()
        server.close()


def fetched(client: DataClient) -> bytes:
    file = io.BytesIO()
    assert client.fetch("b", "j/a", file) == len(BYTES)
    return file.getvalue()


@pytest.mark.parametrize("cut_after", [100, 1000, 1 << 20, 3_000_000])
def test_a_link_that_breaks_once(tmp_path: Path, cut_after: int) -> None:
    with far_client(tmp_path, Habits(cut_after=cut_after, until_connection=1)) as (client, relay):
        assert fetched(client) == BYTES
        assert relay.connections == 2


def test_a_link_that_breaks_again_and_again_gets_on_each_time(tmp_path: Path) -> None:
    with far_client(tmp_path, Habits(cut_after=2_500_000)) as (client, relay):
        assert fetched(client) == BYTES
        assert 3 <= relay.connections <= 6  # two pieces each time: what came is not asked for again


def test_a_link_that_breaks_before_a_piece_comes_is_given_up(tmp_path: Path) -> None:
    started = time.monotonic()
    with (
        far_client(tmp_path, Habits(cut_after=100_000), silence_seconds=1.5) as (client, _),
        pytest.raises(OSError, match=r"host b at .* (out of reach|has not answered)"),
    ):
        fetched(client)
    assert time.monotonic() - started < 20


def test_a_changed_byte_ends_an_encrypted_connection_and_no_more(tmp_path: Path) -> None:
    with far_client(tmp_path, Habits(corrupt_at=2_345_678, until_connection=1)) as (client, _):
        assert fetched(client) == BYTES


def test_a_changed_byte_is_found_by_its_checksum(tmp_path: Path) -> None:
    with far_client(tmp_path, Habits(corrupt_at=2_345_678, until_connection=1), key=None) as (client, relay):
        assert fetched(client) == BYTES
        assert relay.connections == 1


def test_a_side_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    started = time.monotonic()
    with (
        far_client(tmp_path, Habits(silent_after=300_000), silence_seconds=4) as (client, _),
        pytest.raises(OSError, match=r"host b at .* (out of reach|has not answered)"),
    ):
        fetched(client)
    assert time.monotonic() - started < 20


def test_read_ahead_hides_the_way(tmp_path: Path) -> None:
    """32 places, 20 ms there and 20 back: one after the other they would take 1.3 s."""
    with far_client(tmp_path, Habits(delay_seconds=0.02)) as (client, _):
        client.size("b", "j/a")
        places = [Place("b", "j/a", number * 100_000, 50_000) for number in range(32)]
        started = time.monotonic()
        client.will_read(places)
        for place in places:
            assert client.read("b", "j/a", place.offset, place.size) == BYTES[place.offset :][: place.size]
        assert time.monotonic() - started < 0.9


def test_a_server_that_begins_anew_is_found_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BYTES)
    first = DataServer("tcp://127.0.0.1:*", KEY)
    first.offer("j", str(tmp_path))
    client = DataClient(KEY, {"b": first.address}, me="a")
    try:
        client.will_read([Place("b", "j/a", 0, len(BYTES))])
        assert client.read("b", "j/a", 0, 10) == BYTES[:10]
        first.close()
        second = DataServer(first.address, KEY)
        second.offer("j", str(tmp_path))
        assert client.read("b", "j/a", 10, len(BYTES) - 10) == BYTES[10:]
        second.close()
    finally:
        client.close()
        first.close()

"""Files of a job on several hosts: read where they lie, from a copy if need be, and never wrongly."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import OutputLostError
from mapreduce.storage.host_paths import join_path, split_path, with_host, without_host
from mapreduce.storage.host_store import HostStore, Place, choose_order
from mapreduce.storage.segment_format import Frame, FrameKind
from mapreduce.storage.segment_reader import open_segment
from mapreduce.storage.segment_writer import SegmentWriter
from mapreduce.storage.store import LocalStore, read_whole, will_open, will_read

HOSTS = st.lists(st.text("abcde-.", min_size=1, max_size=3), min_size=1, max_size=6, unique=True)


@dataclass(slots=True)
class Others:
    """Other hosts, as folders of this one. `log` has who was asked for what; those `down` don't answer."""

    folder: Path
    down: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)

    def size(self, host: str, path: str) -> int:
        return self._store(host, "size", path).size(path)

    def read(self, host: str, path: str, offset: int, size: int) -> bytes:
        return self._store(host, "read", path).read(path, offset, size)

    def will_read(self, places: Sequence[Place]) -> None:
        self.log += [f"ahead {place.host} {place.path}" for place in places]

    def will_open(self, host: str, path: str) -> None:
        self.log.append(f"open {host} {path}")

    def _store(self, host: str, verb: str, path: str) -> LocalStore:
        self.log.append(f"{verb} {host} {path}")
        if host in self.down:
            raise OSError(errno.EHOSTUNREACH, f"host {host} is out of reach")
        return LocalStore(str(self.folder / host))


@pytest.fixture
def others(tmp_path: Path) -> Others:
    for host in "abc":
        (tmp_path / host / "job").mkdir(parents=True)
    return Others(tmp_path)


@pytest.fixture
def store(others: Others) -> HostStore:
    """On host a."""
    return HostStore(LocalStore(str(others.folder / "a/job")), "a", "job", others)


def test_what_lies_here_is_read_here(store: HostStore, others: Others) -> None:
    store.near.make_folder("")
    with store.create("@a/x") as file:
        file.write(b"0123")
    assert store.read("x", 1, 2) == store.read("@a/x", 1, 2) == store.read("@b+a/x", 1, 2) == b"12"
    assert store.size("@a+b/x") == 4
    assert store.in_place.bytes == 4  # what a task reads of its own files is no shuffle
    assert others.log == []


def test_what_lies_elsewhere_is_read_there(store: HostStore, others: Others) -> None:
    (others.folder / "b/job/x").write_bytes(b"far")
    assert read_whole(store, "@b/x") == b"far"
    assert others.log == ["size b job/x", "read b job/x"]
    with pytest.raises(FileNotFoundError):
        store.size("@c/x")


def test_a_copy_is_read_where_the_first_is_out_of_reach(store: HostStore, others: Others) -> None:
    for host in "bc":
        (others.folder / host / "job/x").write_bytes(b"far")
    for down in ("b", "c"):
        others.down = {down}
        assert read_whole(store, "@b+c/x") == b"far"
    others.down = {"b", "c"}
    with pytest.raises(OSError, match="out of reach"):
        store.read("@b+c/x", 0, 1)


def test_nothing_is_written_to_other_hosts(store: HostStore) -> None:
    for write in (store.create, store.append, store.make_folder, store.sync, lambda path: store.rename(path, "y")):
        with pytest.raises(OSError, match="lies on another host"):
            write("@b/x")
    store.remove("@b/x")
    assert store.locate("@b/x") == "b:job/x"


def test_only_what_lies_elsewhere_is_announced(store: HostStore, others: Others) -> None:
    will_read(store, [("@a/x", 0, 1), ("x", 0, 1), ("@b/y", 2, 3), ("@a+b/z", 0, 1)])
    will_open(store, "@a/x")
    will_open(store, "@c/x")
    assert others.log == ["ahead b job/y", "open c job/x"]


@given(HOSTS, st.text("xyz/", min_size=1).filter(lambda path: not path.startswith("/")))
def test_a_path_names_hosts_and_file(hosts: list[str], path: str) -> None:
    assert split_path(join_path(hosts, path)) == (tuple(hosts), path)
    assert split_path(path) == ((), path)


@given(HOSTS, st.text(max_size=5), st.text(max_size=5))
def test_readers_begin_with_one_host_and_go_on_to_all(hosts: list[str], reader: str, path: str) -> None:
    assert sorted(choose_order(hosts, reader, path)) == sorted(hosts)


@given(HOSTS)
def test_hosts_come_and_go(hosts: list[str]) -> None:
    path = "@" + hosts[0] + "/_job/x"
    for host in hosts:
        path = with_host(path, host)
    assert path == with_host(path, hosts[-1]) == join_path(hosts, "_job/x")
    for gone, host in enumerate(hosts, 1):
        path = without_host(path, host)
        assert path == (join_path(hosts[gone:], "_job/x") if gone < len(hosts) else "")
    assert without_host("@a/x", "b") == "@a/x" and without_host("x", "a") == ""


def test_who_did_not_answer_is_asked_last(store: HostStore, others: Others) -> None:
    for host in "bc":
        (others.folder / host / "job/x").write_bytes(b"far")
    first = choose_order(("b", "c"), "a", "x")[0]
    others.down = {first}
    for _ in range(2):
        assert store.read("@b+c/x", 0, 3) == b"far"
    assert [line.split()[1] for line in others.log].count(first) == 1
    store.doubts.clear()
    assert store.size("@b+c/x") == 3
    assert [line.split()[1] for line in others.log].count(first) == 2


def test_a_segment_on_another_host_is_read_or_lost(store: HostStore, others: Others) -> None:
    written = {"b": b"of b" * 30_000, "c": b"of c"}
    for host, payload in written.items():
        with SegmentWriter(LocalStore(str(others.folder / host / "job")), "0.seg", 2) as writer:
            writer.write(1, Frame(FrameKind.PICKLE, 1, payload))
            writer.finish()
    for host, payload in written.items():
        (frame,) = open_segment(store, f"@{host}/0.seg").frames(1)
        assert bytes(frame.payload) == payload
    segment = open_segment(store, "@b/0.seg")
    others.down = {"b"}
    for read in (lambda: list(segment.frames(1)), lambda: open_segment(store, "@b/0.seg")):
        with pytest.raises(OutputLostError, match="host b is out of reach") as caught:
            read()
        assert caught.value.path == "@b/0.seg"


PAYLOADS = [b"first" * 10_000, b"second" * 20_000, b"third" * 30_000]


@pytest.fixture
def copies(others: Others) -> dict[str, Path]:
    """The same segment on all three hosts."""
    paths = {host: others.folder / host / "job/0.seg" for host in "abc"}
    for host in paths:
        with SegmentWriter(LocalStore(str(others.folder / host / "job")), "0.seg", 1) as writer:
            for payload in PAYLOADS:
                writer.write(0, Frame(FrameKind.PICKLE, 1, payload))
            writer.finish()
    return paths


def damage(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("bad", ["a", "b", "c", "ab", "bc", "ac"])
def test_a_damaged_copy_is_passed_over(store: HostStore, copies: dict[str, Path], bad: str, place: float) -> None:
    """Frames that were read before the damage are not given twice."""
    for host in bad:
        damage(copies[host], place)
    for path in ("@a+b+c/0.seg", "@c+b+a/0.seg"):
        assert [bytes(frame.payload) for frame in open_segment(store, path).frames(0)] == PAYLOADS


def test_a_copy_is_damaged_while_it_is_read(store: HostStore, copies: dict[str, Path]) -> None:
    frames = open_segment(store, "@a+b+c/0.seg").frames(0)
    given = [bytes(next(frames).payload)]
    copies["a"].write_bytes(b"")
    given += [bytes(frame.payload) for frame in frames]
    assert given == PAYLOADS


def test_where_all_copies_are_damaged_the_output_is_lost(store: HostStore, copies: dict[str, Path]) -> None:
    for path in copies.values():
        damage(path, 0.3)
    with pytest.raises(OutputLostError) as caught:
        list(open_segment(store, "@a+b+c/0.seg").frames(0))
    assert caught.value.path == "@a+b+c/0.seg"
    for path in copies.values():
        path.unlink()
    store.doubts.clear()
    with pytest.raises(OutputLostError, match="is missing"):
        open_segment(store, "@a+b/0.seg")

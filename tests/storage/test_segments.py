"""A segment gives back what was written, or says that it is lost; never anything else."""

from __future__ import annotations

import errno
import os
import re
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import InternalError, OutputLostError, ResourceError
from mapreduce.storage.segment_format import FOOTER_BYTES, FRAME_BYTES, HEADER_BYTES, Frame, FrameKind
from mapreduce.storage.segment_reader import open_segment
from mapreduce.storage.segment_writer import SegmentInfo, SegmentWriter
from mapreduce.storage.store import TEMPORARY, LocalStore, Store

PATH = "_job/segments/0-0-0.seg"
Partitions = list[list[bytes]]


class MemoryStore:
    """A store in memory whose `fail_at`-th operation (counting creates, writes and renames) fails with `error`."""

    def __init__(self, fail_at: int | None = None, error: int = errno.ENOSPC) -> None:
        self.held: dict[str, bytes] = {}
        self.operations = 0
        self.fail_at = fail_at
        self.error = error

    def locate(self, path: str) -> str:
        return f"/memory/{path}"

    def step(self) -> None:
        self.operations += 1
        if self.operations == self.fail_at:
            raise OSError(self.error, os.strerror(self.error))

    def create(self, path: str) -> BinaryIO:
        self.step()
        self.held[path] = b""
        return _MemoryFile(self, path)

    def read(self, path: str, offset: int, size: int) -> bytes:
        if path not in self.held:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        return self.held[path][offset : offset + size]

    def size(self, path: str) -> int:
        if path not in self.held:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        return len(self.held[path])

    def append(self, path: str) -> BinaryIO:
        raise NotImplementedError(path)

    def files(self, folder: str) -> list[str]:
        return sorted(path for path in self.held if path.startswith(f"{folder}/"))

    def make_folder(self, path: str) -> None:
        """Folders are names of files here."""

    def sync(self, path: str) -> None:
        """Nothing here survives anything."""

    def rename(self, old: str, new: str) -> None:
        self.step()
        self.held[new] = self.held.pop(old)

    def remove(self, path: str) -> None:
        self.held.pop(path, None)


class _MemoryFile(BytesIO):
    def __init__(self, store: MemoryStore, path: str) -> None:
        super().__init__()
        self.store = store
        self.path = path

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.store.step()
        count = super().write(data)
        self.store.held[self.path] = self.getvalue()
        return count


def write(store: Store, partitions: Partitions) -> SegmentInfo:
    with SegmentWriter(store, PATH, len(partitions)) as writer:
        for partition, payloads in enumerate(partitions):
            for payload in payloads:
                writer.write(partition, Frame(FrameKind.PICKLE, len(payload) + 1, payload, 7))
        return writer.finish()


def read(store: Store) -> Partitions:
    segment = open_segment(store, PATH)
    return [[bytes(frame.payload) for frame in segment.frames(p)] for p in range(segment.partitions)]


SAMPLE: Partitions = [[b"first", b"second"], [], [b"", b"x" * 40]]

payloads = st.one_of(st.binary(max_size=40), st.binary(min_size=1, max_size=8).map(lambda some: some * 2000))


@given(st.lists(st.lists(payloads, max_size=4), max_size=5))
def test_round_trip(partitions: Partitions) -> None:
    store = MemoryStore()
    info = write(store, partitions)
    assert read(store) == partitions
    assert info.bytes == store.size(PATH)
    assert info.records == sum(len(payload) + 1 for payloads in partitions for payload in payloads)


def test_round_trip_of_frames_larger_than_a_read() -> None:
    store = MemoryStore()
    partitions = [[os.urandom(200_000), b"small", os.urandom(65_536), b""] * 2, [b"end"]]
    write(store, partitions)
    assert read(store) == partitions


def test_payloads_are_compressed_where_pyarrow_is_loaded() -> None:
    import pyarrow  # noqa: F401

    store = MemoryStore()
    partitions = [[b"the same again " * 10_000, os.urandom(10_000)]]
    assert write(store, partitions).bytes < 30_000
    assert read(store) == partitions


def test_layout_is_as_documented() -> None:
    store = MemoryStore()
    info = write(store, SAMPLE)
    payload_bytes = sum(len(payload) for payloads in SAMPLE for payload in payloads)
    assert (HEADER_BYTES, FRAME_BYTES, FOOTER_BYTES) == (16, 32, 32)
    assert info.bytes == 16 + 4 * 32 + payload_bytes + 3 * 40 + 32
    assert store.held[PATH].startswith(b"MRSEGMNT")
    assert store.held[PATH].endswith(b"MRSEGEND")


def test_entry_tells_records_and_memory() -> None:
    store = MemoryStore()
    write(store, SAMPLE)
    entry = open_segment(store, PATH).entry(0)
    assert (entry.records, entry.memory, entry.frames) == (13, 7, 2)
    assert open_segment(store, PATH).entry(1).length == 0


def outcome(data: bytes) -> Partitions | None:
    store = MemoryStore()
    store.held[PATH] = data
    try:
        return read(store)
    except OutputLostError as lost:
        error = lost
    assert error.path == PATH
    assert re.search(f"segment {PATH}, .*byte", str(error))
    return None


def test_cut_short_anywhere_is_lost() -> None:
    store = MemoryStore()
    write(store, SAMPLE)
    whole = store.held[PATH]
    assert [size for size in range(len(whole)) if outcome(whole[:size]) is not None] == []


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_any_changed_byte_is_lost(change: int) -> None:
    store = MemoryStore()
    write(store, SAMPLE)
    whole = store.held[PATH]
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= change
        assert outcome(bytes(damaged)) is None, f"byte {place}"


@given(st.data())
def test_damaged_anyhow_is_lost_or_the_same(data: st.DataObject) -> None:
    store = MemoryStore()
    write(store, SAMPLE)
    whole = store.held[PATH]
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=50)) + whole[end:]
    assert outcome(damaged) in (None, SAMPLE)


def test_other_file_under_this_name_is_lost() -> None:
    assert outcome(b"") is None
    assert outcome(b"key\tvalue\n" * 100) is None


def test_a_missing_file_is_lost() -> None:
    with pytest.raises(OutputLostError, match=r"0-0-0\.seg.*is missing"):
        open_segment(MemoryStore(), PATH)


def test_a_file_that_vanishes_while_it_is_read_is_lost() -> None:
    store = MemoryStore()
    write(store, [[os.urandom(100_000), os.urandom(100_000)]])
    frames = open_segment(store, PATH).frames(0)
    next(frames)
    store.remove(PATH)
    with pytest.raises(OutputLostError, match="partition 0"):
        list(frames)


def failures() -> list[int]:
    counting = MemoryStore()
    write(counting, SAMPLE)
    return list(range(1, counting.operations + 1))


@pytest.mark.parametrize("fail_at", failures())
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_full_or_forbidden_disk_is_explained_and_nothing_is_left(fail_at: int, error: int) -> None:
    store = MemoryStore(fail_at, error)
    with pytest.raises(ResourceError, match=r"/memory/_job/segments/0-0-0\.seg"):
        write(store, SAMPLE)
    assert store.held == {}


def test_other_errors_pass_as_they_are_and_nothing_is_left() -> None:
    store = MemoryStore(3, errno.EINTR)
    with pytest.raises(InterruptedError):
        write(store, SAMPLE)
    assert store.held == {}


def test_an_exception_in_the_block_removes_the_file(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    with pytest.raises(KeyError), SegmentWriter(store, PATH, 1) as writer:
        writer.write(0, Frame(FrameKind.PICKLE, 1, b"x"))
        raise KeyError
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_name_appears_only_when_the_file_is_whole(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    with SegmentWriter(store, PATH, 1) as writer:
        writer.write(0, Frame(FrameKind.PICKLE, 1, b"x"))
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["0-0-0.seg" + TEMPORARY]
        writer.finish()
        writer.abort()  # harmless
    assert read(store) == [[b"x"]]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["0-0-0.seg"]


def test_partitions_must_ascend() -> None:
    with SegmentWriter(MemoryStore(), PATH, 3) as writer:
        writer.write(1, Frame(FrameKind.PICKLE, 1, b"x"))
        with pytest.raises(InternalError, match="out of order"):
            writer.write(0, Frame(FrameKind.PICKLE, 1, b"x"))


def test_writing_after_the_end_is_refused() -> None:
    with SegmentWriter(MemoryStore(), PATH, 1) as writer:
        writer.finish()
        with pytest.raises(InternalError):
            writer.write(0, Frame(FrameKind.PICKLE, 1, b"x"))

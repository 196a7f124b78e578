"""How is a segment file written? Frame by frame, in one pass, and there only when it is whole.

It is written under a temporary name and renamed by `finish`. Whatever goes wrong before, `abort` removes it, and
leaving the `with` block by an exception aborts.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, NoReturn, Self
from zlib import crc32

from mapreduce.dataclass import dataclass
from mapreduce.errors import InternalError
from mapreduce.storage.segment_format import (
    HEADER_BYTES,
    Codec,
    Entry,
    Frame,
    FrameHeader,
    encode_frame_header,
    encode_header,
    encode_tail,
)
from mapreduce.storage.store import TEMPORARY, Store, explained, remove_quietly

MIN_COMPRESSED_BYTES = 4 << 10
"""Smaller payloads are kept as they are: compressing them saves no disk block."""

MAX_STORED_SHARE = 0.9
"""A compressed payload must be smaller than this share, or decompressing it isn't worth the time."""


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A finished segment file. `checksum` is that of index and footer, which vouch for every byte."""

    path: str
    bytes: int
    records: int
    checksum: int


class SegmentWriter:
    """Writes one segment file. Partitions ascend; those skipped are empty. Holds one frame at a time.

    `write` and `finish` raise ResourceError where the disk is full, read-only or forbidden. `abort` after `finish` and
    a second `abort` are harmless.
    """

    def __init__(self, store: Store, path: str, partitions: int, *, compress: bool = True) -> None:
        self.compress = compress
        self.store = store
        self.path = path
        self.partitions = partitions
        self._entries: list[Entry] = []  # of partitions that are complete
        self._frames = self._records = self._memory = self._checksum = 0  # of the partition being written
        self._start = self._end = 0
        self._file: BinaryIO | None = None
        with explained(store, path, HEADER_BYTES):
            self._file = store.create(path + TEMPORARY)
        self._put(encode_header())
        self._start = self._end

    def write(self, partition: int, frame: Frame) -> None:
        """Append a frame to a partition."""
        self._go_to(partition)
        codec, payload = _compressed(frame) if self.compress else (Codec.RAW, frame.payload)
        header = encode_frame_header(
            FrameHeader(frame.kind, codec, frame.records, len(frame.payload), len(payload), crc32(payload))
        )
        self._put(header)
        self._put(payload)
        self._frames += 1
        self._records += frame.records
        self._memory = max(self._memory, frame.memory)
        self._checksum = crc32(header, self._checksum)

    def finish(self) -> SegmentInfo:
        """Complete the file and give it its name."""
        self._go_to(self.partitions)
        tail = encode_tail(self._entries, self._end)
        self._put(tail)
        file = self._file
        assert file is not None
        try:
            file.flush()
            file.close()
            self.store.rename(self.path + TEMPORARY, self.path)
        except BaseException:
            self._fail(0)
        self._file = None
        records = sum(entry.records for entry in self._entries)
        return SegmentInfo(self.path, self._end, records, crc32(tail))

    def abort(self) -> None:
        """Remove what has been written."""
        file, self._file = self._file, None
        if file is None:
            return
        with suppress(OSError):  # closing writes what is buffered, which may fail as the write before did
            file.close()
        remove_quietly(self.store, self.path + TEMPORARY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _go_to(self, partition: int) -> None:
        if not len(self._entries) <= partition <= self.partitions:
            raise InternalError(f"{self.path}: partition {partition} of {self.partitions} came out of order")
        while len(self._entries) < partition:
            length = self._end - self._start
            self._entries.append(Entry(self._start, length, self._records, self._memory, self._frames, self._checksum))
            self._frames = self._records = self._memory = self._checksum = 0
            self._start = self._end

    def _put(self, data: bytes | memoryview) -> None:
        if self._file is None:
            raise InternalError(f"{self.path} is written after it was finished or aborted")
        try:
            self._file.write(data)
        except BaseException:
            self._fail(len(data))
        self._end += len(data)

    def _fail(self, needed_bytes: int) -> NoReturn:
        """Remove what was written and raise again what is being handled, in words."""
        self.abort()
        with explained(self.store, self.path, self._end + needed_bytes):
            raise


def _compressed(frame: Frame) -> tuple[Codec, bytes | memoryview]:
    """LZ4 where it pays and pyarrow is here already: importing it takes longer than a small job."""
    payload = frame.payload
    pa = sys.modules.get("pyarrow")
    if pa is None or len(payload) < MIN_COMPRESSED_BYTES:
        return Codec.RAW, payload
    compressed: bytes = pa.compress(payload, codec="lz4", asbytes=True)  # a Buffer of pyarrow 26 has a false length
    if len(compressed) > MAX_STORED_SHARE * len(payload):
        return Codec.RAW, payload
    return Codec.LZ4, compressed

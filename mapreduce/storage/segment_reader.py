"""How is a partition of a segment file read? Lazily, a frame at a time, and never wrongly.

Every byte that is used has been checked before. A file that is missing, cut short or changed is read where there is
another copy of it; if there is none that is whole, OutputLostError names file, partition and byte, and its `path` tells
the tracker whose output it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from zlib import crc32

from mapreduce.dataclass import dataclass
from mapreduce.errors import OutputLostError
from mapreduce.storage.segment_format import (
    ENTRY_BYTES,
    FOOTER_BYTES,
    FRAME_BYTES,
    HEADER_BYTES,
    Codec,
    Entry,
    Frame,
    FrameHeader,
    check_index,
    decode_entry,
    decode_footer,
    decode_frame_header,
    decode_header,
    lost,
)
from mapreduce.storage.store import Store

READ_BYTES = 64 << 10
"""Read at once: an index with its footer, or a frame header with its payload and the next header."""


@dataclass(frozen=True, slots=True)
class SegmentReader:
    """A segment whose header, index and footer have been checked. Holds no file open, so there may be any number."""

    store: Store
    path: str
    index: bytes

    @property
    def partitions(self) -> int:
        return len(self.index) // ENTRY_BYTES

    def entry(self, partition: int) -> Entry:
        """Where a partition lies and what it holds."""
        return decode_entry(self.index, partition)

    def frames(self, partition: int) -> Iterator[Frame]:
        """The partition's frames in order. Raises OutputLostError."""
        given = 0
        while True:
            try:
                for frame in islice(_read_frames(self.store, self.path, partition, self.entry(partition)), given, None):
                    given += 1
                    yield frame
                return
            except OutputLostError:
                if not _distrust(self.store, self.path):
                    raise


def open_segment(store: Store, path: str, checksum: int | None = None) -> SegmentReader:
    """Check header, index and footer. Raises OutputLostError if the file is missing or damaged or, where a `checksum`
    was reported for it (`SegmentInfo.checksum`), another one."""
    while True:
        try:
            return _open_segment(store, path, checksum)
        except OutputLostError:
            if not _distrust(store, path):
                raise


def _open_segment(store: Store, path: str, checksum: int | None) -> SegmentReader:
    try:
        size = store.size(path)
        tail_start = max(0, size - READ_BYTES)
        tail = store.read(path, tail_start, size - tail_start)
        head = tail[:HEADER_BYTES] if tail_start == 0 else store.read(path, 0, HEADER_BYTES)
    except FileNotFoundError:
        lost(path, "byte 0", "is missing")
    except OSError as error:
        lost(path, "byte 0", str(error.strerror))
    decode_header(head, path)
    footer = decode_footer(tail[-FOOTER_BYTES:], size, path)
    index_start = footer.index_offset - tail_start
    if index_start >= 0:
        index = tail[index_start : index_start + footer.index_bytes]
    else:
        index = _read(store, path, footer.index_offset, footer.index_bytes, "index")
    check_index(index, footer, path)
    if checksum is not None and crc32(tail[-FOOTER_BYTES:], crc32(index)) != checksum:
        lost(path, f"index at byte {footer.index_offset}", "is whole, but not the file that its map task reported")
    return SegmentReader(store, path, index)


def _read_frames(store: Store, path: str, partition: int, entry: Entry) -> Iterator[Frame]:
    offset, end = entry.offset, entry.offset + entry.length
    data, start, checksum = b"", offset, 0
    for _ in range(entry.frames):
        place = f"partition {partition}, byte {offset}"
        if offset + FRAME_BYTES > start + len(data):
            data, start = _read(store, path, offset, min(READ_BYTES, end - offset), place), offset
        encoded = data[offset - start : offset - start + FRAME_BYTES]
        header = decode_frame_header(encoded, path, place)
        checksum = crc32(encoded, checksum)
        body = offset + FRAME_BYTES
        offset = body + header.stored
        if offset > end:
            lost(path, place, f"frame ends at byte {offset}, its partition at {end}")
        if offset > start + len(data):
            wanted = min(header.stored + FRAME_BYTES, end - body)  # the next header comes along
            data, start = _read(store, path, body, wanted, place), body
        payload = memoryview(data)[body - start : offset - start]
        if crc32(payload) != header.payload_crc:
            lost(path, place, "checksum of a frame differs")
        yield Frame(header.kind, header.records, _decompressed(header, payload, path, place))
    if offset != end or checksum != entry.checksum:
        lost(path, f"partition {partition}, byte {entry.offset}", "checksum of its frame headers differs")


def _read(store: Store, path: str, offset: int, size: int, place: str) -> bytes:
    try:
        data = store.read(path, offset, size)
    except OSError as error:
        lost(path, place, str(error.strerror))
    if len(data) != size:
        lost(path, place, f"cut short: {len(data)} of {size} bytes")
    return data


def _decompressed(header: FrameHeader, payload: memoryview, path: str, place: str) -> bytes | memoryview:
    raw: bytes | memoryview = payload
    if header.codec is Codec.LZ4:
        import pyarrow as pa

        try:
            raw = memoryview(pa.decompress(payload, decompressed_size=header.raw, codec="lz4"))
        except (pa.ArrowException, OSError, ValueError) as error:
            lost(path, place, f"can't be decompressed: {error}")
    if len(raw) != header.raw:
        lost(path, place, f"frame has {len(raw)} bytes, its header says {header.raw}")
    return raw


def _distrust(store: Store, path: str) -> bool:
    """Say that what was read of a file is wrong. Whether the store has another copy, which it reads from now on."""
    hint = getattr(store, "distrust", None)
    return hint is not None and bool(hint(path))

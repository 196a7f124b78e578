"""What does a segment file look like, byte by byte?

A segment file holds what one map attempt wrote: its partitions one after the other, each a sorted run, cut into frames
that are read one at a time. What lies in a frame's payload is not known here: a kind, a number of records, and bytes.

```text
file      := header  frame*  index  footer
header    := magic "MRSEGMNT" (8)  version u16  reserved u16  crc u32                                       16 bytes
frame     := kind u8  codec u8  reserved u16  records u32  raw u64  stored u64  payload_crc u32  crc u32    32 bytes
             payload (stored bytes)
index     := entry for partition 0, 1, ...
entry     := offset u64  length u64  records u64  memory u64  frames u32  checksum u32                      40 bytes
footer    := index_offset u64  partitions u32  index_crc u32  reserved u32  crc u32  magic "MRSEGEND" (8)   32 bytes
```

Numbers are little-endian. `raw` is the payload's length before compression, `stored` its length in the file. A crc is
zlib.crc32: in header, frame header and footer over the bytes of the structure that precede it (the footer's closing
magic is compared), `payload_crc` over the stored payload, `index_crc` over the index. An entry's `checksum` is the crc
of the partition's frame headers in order: each vouches for its payload, so no frame can be missing, doubled or out of
order. Partition 0 starts behind the header, each next one where the last ended, the index where the last partition
ended, the footer where the index ended, and the file ends with the footer: no byte is unaccounted for.

`memory` is about how many bytes the partition's largest frame takes when decoded; a merge reckons with it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NoReturn
from zlib import crc32

from mapreduce.dataclass import dataclass
from mapreduce.errors import OutputLostError

MAGIC, END_MAGIC = b"MRSEGMNT", b"MRSEGEND"
VERSION = 1

_CRC = struct.Struct("<I")
_HEADER = struct.Struct("<8sHH")
_FRAME = struct.Struct("<BBHIQQI")
_ENTRY = struct.Struct("<QQQQII")
_FOOTER = struct.Struct("<QIII")

HEADER_BYTES = _HEADER.size + _CRC.size
FRAME_BYTES = _FRAME.size + _CRC.size
ENTRY_BYTES = _ENTRY.size
FOOTER_BYTES = _FOOTER.size + _CRC.size + len(END_MAGIC)


class FrameKind(IntEnum):
    """How a payload is encoded."""

    PICKLE = 1
    ARROW = 2


class Codec(IntEnum):
    """How a payload is compressed."""

    RAW = 0
    LZ4 = 1


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a run, decoded only as far as the file knows it. `memory` is an estimate of its decoded size."""

    kind: FrameKind
    records: int
    payload: bytes | memoryview
    memory: int = 0


@dataclass(frozen=True, slots=True)
class FrameHeader:
    kind: FrameKind
    codec: Codec
    records: int
    raw: int
    stored: int
    payload_crc: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a partition lies and what it holds."""

    offset: int
    length: int
    records: int
    memory: int
    frames: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Footer:
    index_offset: int
    partitions: int
    index_crc: int

    @property
    def index_bytes(self) -> int:
        return self.partitions * ENTRY_BYTES


def lost(path: str, place: str, why: str) -> NoReturn:
    """Raise OutputLostError for `path`: whoever wrote it must write it again."""
    error = OutputLostError(f"segment {path}, {place}: {why}; its map task has to run again")
    error.path = path
    raise error


def encode_header() -> bytes:
    return _sealed(_HEADER.pack(MAGIC, VERSION, 0))


def decode_header(data: bytes, path: str) -> None:
    """Ensures that `path` is a segment of this version. Raises OutputLostError."""
    body = _unsealed(data, HEADER_BYTES, path, "header at byte 0")
    magic, version, reserved = _HEADER.unpack(body)
    if (magic, version, reserved) != (MAGIC, VERSION, 0):
        lost(path, "header at byte 0", f"version {version} of {magic!r}, we read version {VERSION} of {MAGIC!r}")


def encode_frame_header(header: FrameHeader) -> bytes:
    return _sealed(
        _FRAME.pack(header.kind, header.codec, 0, header.records, header.raw, header.stored, header.payload_crc)
    )


def decode_frame_header(data: bytes, path: str, place: str) -> FrameHeader:
    """The inverse of `encode_frame_header`. Raises OutputLostError."""
    kind, codec, reserved, records, raw, stored, crc = _FRAME.unpack(_unsealed(data, FRAME_BYTES, path, place))
    try:
        header = FrameHeader(FrameKind(kind), Codec(codec), records, raw, stored, crc)
    except ValueError as error:
        lost(path, place, str(error))
    if reserved:
        lost(path, place, f"reserved field is {reserved}")
    return header


def encode_tail(entries: list[Entry], index_offset: int) -> bytes:
    """Index and footer."""
    index = b"".join(
        _ENTRY.pack(entry.offset, entry.length, entry.records, entry.memory, entry.frames, entry.checksum)
        for entry in entries
    )
    return index + _sealed(_FOOTER.pack(index_offset, len(entries), crc32(index), 0)) + END_MAGIC


def decode_footer(data: bytes, size: int, path: str) -> Footer:
    """The footer from the last bytes of a file of `size` bytes. Raises OutputLostError."""
    place = f"footer at byte {max(0, size - FOOTER_BYTES)}"
    if len(data) != FOOTER_BYTES or data[-len(END_MAGIC) :] != END_MAGIC:
        lost(path, place, "is missing or cut short")
    body = _unsealed(data[: -len(END_MAGIC)], FOOTER_BYTES - len(END_MAGIC), path, place)
    index_offset, partitions, index_crc, reserved = _FOOTER.unpack(body)
    footer = Footer(index_offset, partitions, index_crc)
    if reserved or footer.index_offset + footer.index_bytes + FOOTER_BYTES != size:
        lost(path, place, f"speaks of a file of another size than {size} bytes")
    return footer


def check_index(data: bytes, footer: Footer, path: str) -> None:
    """Ensures that the index is as it was written. Raises OutputLostError."""
    if len(data) != footer.index_bytes or crc32(data) != footer.index_crc:
        lost(path, f"index at byte {footer.index_offset}", "checksum differs")


def decode_entry(index: bytes, partition: int) -> Entry:
    """The entry of a partition, which must be there."""
    return Entry(*_ENTRY.unpack_from(index, partition * ENTRY_BYTES))


def _sealed(body: bytes) -> bytes:
    return body + _CRC.pack(crc32(body))


def _unsealed(data: bytes, size: int, path: str, place: str) -> bytes:
    if len(data) != size:
        lost(path, place, f"cut short: {len(data)} of {size} bytes")
    body = data[: -_CRC.size]
    if _CRC.pack(crc32(body)) != data[-_CRC.size :]:
        lost(path, place, "checksum differs")
    return body

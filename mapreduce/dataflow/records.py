"""How do pairs rest when the next reader is Python? As frames of pickled pairs, with their types.

Results that a script reads back, and jobs that read another job's result, use this form. A frame is

    length of payload  4 bytes, little-endian | crc32 of payload  4 bytes | payload: pickle of (keys, values)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.package import dump_value, load_value
from mapreduce.errors import InputError
from mapreduce.formats.base import Block, Extent, Format, InputFile, RecordWriter, Split
from mapreduce.formats.inputs import open_input

if TYPE_CHECKING:
    import pyarrow as pa

FRAME = struct.Struct("<II")
FIRST_PAIRS, FRAME_PAIRS, GROWTH = 16, 4096, 8
FRAME_BYTES = 1 << 20
"""Pairs in a file's first frame, when their size isn't known yet; at most; how much the next may grow; and about how
many bytes a frame has."""
RECORDS = "records"


class RecordsWriter(RecordWriter):
    """Writes pairs as frames."""

    suffix = ".records"

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self._pairs = FIRST_PAIRS

    def write(self, key: Any, value: Any) -> None:
        self.keys.append(key)
        self.values.append(value)
        if len(self.keys) >= self._pairs:
            self._write_frame()

    def write_columns(self, keys: pa.Array, values: pa.Array) -> None:
        fitting = FRAME_BYTES * len(keys) // max(1, keys.nbytes + values.nbytes)
        pairs = max(1, min(FRAME_PAIRS, fitting))
        for start in range(0, len(keys), pairs):
            self.keys += keys.slice(start, pairs).to_pylist()
            self.values += values.slice(start, pairs).to_pylist()
            self._write_frame()

    def close(self) -> None:
        if self.keys:
            self._write_frame()

    def _write_frame(self) -> None:
        payload = dump_value((self.keys, self.values))
        fitting = FRAME_BYTES * len(self.keys) // len(payload)
        self._pairs = max(1, min(fitting, self._pairs * GROWTH, FRAME_PAIRS))
        self.file.write(FRAME.pack(len(payload), zlib.crc32(payload)))
        self.file.write(payload)
        self.keys, self.values = [], []


def read_frames(path: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, list[Any], list[Any]]]:
    """(offset, keys, values) of each frame that begins in [start, end). Raises InputError at a damaged one."""
    with open(path, "rb") as file:
        yield from _frames_of(file, path, start, end)


def _frames_of(file: BinaryIO, path: str, start: int, end: int | None) -> Iterator[tuple[int, list[Any], list[Any]]]:
    file.seek(start)
    offset = start
    while end is None or offset < end:
        header = file.read(FRAME.size)
        if not header:
            return
        size, checksum = FRAME.unpack(header) if len(header) == FRAME.size else (0, 1)
        payload = file.read(size)
        if len(payload) != size or zlib.crc32(payload) != checksum:
            raise InputError(f"{path}, byte {offset}: damaged records; run the job that made them again")
        keys, values = load_value(payload)
        yield offset, keys, values
        offset += FRAME.size + size


@dataclass(slots=True)
class RecordsBlock(Block):
    """One frame; its records are (key, value) pairs."""

    path: str
    offset: int
    keys: list[Any]
    values: list[Any]
    bytes: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    def records(self) -> Iterator[tuple[Any, Any]]:
        return zip(self.keys, self.values, strict=True)

    def place(self, index: int) -> str:
        return f"{self.path}, frame at byte {self.offset}, pair {index}"

    @property
    def arrow(self) -> pa.RecordBatch:
        import pyarrow as pa

        return pa.RecordBatch.from_arrays([pa.array(self.keys), pa.array(self.values)], names=["key", "value"])


@dataclass(frozen=True, slots=True)
class RecordsFormat(Format):
    """Results of an earlier job, as (key, value) records."""

    name: ClassVar[str] = RECORDS
    suffixes: ClassVar[tuple[str, ...]] = (".records",)

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        extents: list[Extent] = []
        start = offset = 0
        with open_input(file) as stream:
            while header := stream.read(FRAME.size):
                offset += FRAME.size + FRAME.unpack(header)[0]
                stream.seek(offset)
                if offset - start >= split_bytes:
                    extents.append(Extent(start, offset, offset - start))
                    start = offset
        if offset > start:
            extents.append(Extent(start, offset, offset - start))
        return extents

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[Block]:
        path, extent = split.file.path, split.extent
        with open_input(split.file) as stream:
            for offset, keys, values in _frames_of(stream, path, extent.start, extent.end):
                yield RecordsBlock(path, offset, keys, values, extent.bytes)


def open_part_writer(output_format: str, file: BinaryIO) -> RecordWriter:
    """A writer of part files; besides the formats of `formats/writers.py` there is 'records', for Python."""
    if output_format == RECORDS:
        return RecordsWriter(file)
    from mapreduce.formats.writers import open_writer

    return open_writer(output_format, file)


def read_parts(folder: str | Path) -> Iterator[tuple[Any, Any]]:
    """The pairs of all `.records` parts of a folder, part by part."""
    for path in sorted(Path(folder).glob("part-*.records")):
        for _, keys, values in read_frames(str(path)):
            yield from zip(keys, values, strict=True)

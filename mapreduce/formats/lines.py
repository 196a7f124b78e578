"""Which lines belong to a split, and how are they read in blocks?

A line belongs to the split in which its first byte lies. So cuts need no look at the file: a reader skips the line that
began before its split and finishes the one that runs over its end.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from mapreduce.formats.base import Block, Extent, Format, InputFile, Split
from mapreduce.formats.bytes_io import (
    UTF8_BOM,
    ByteReader,
    check_encoding,
    is_utf8,
    line_number,
    plan_even_extents,
    stream_end,
)


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of a file: `data` stands at `offset`, and only the file's last line may lack its newline.

    `bytes` is what they took of the file itself, for progress: compressed bytes where it is compressed.
    """

    file: InputFile
    offset: int
    data: bytes
    bytes: int

    def line_place(self, start: int, further: int = 0) -> str:
        """The place of the line `further` lines after byte `start`, for a person. Reads the file: for messages."""
        return f"{self.file.path}, line {line_number(self.file, self.offset + start) + further}"


def read_lines(split: Split, block_bytes: int, *, has_bom: bool = True) -> Iterator[Lines]:
    """The whole lines of a split in pieces of about `block_bytes`; a byte-order mark at its start is left out."""
    file, start = split.file, split.extent.start
    end = stream_end(file, split.extent)
    with ByteReader(file, max(0, start - 1)) as reader:
        if start > 0:
            reader.skip_line(end)  # from the byte before: a newline there ends the line before ours
        position = reader.position
        while reader.offset < end:
            offset = reader.offset
            data = reader.read_before(end, block_bytes)
            if not data:
                return
            if data[-1] != 10:
                data += reader.readline()
            if offset == 0 and has_bom and data.startswith(UTF8_BOM):
                offset, data = len(UTF8_BOM), data[len(UTF8_BOM) :]
            if data:
                yield Lines(file, offset, data, reader.position - position)
                position = reader.position


def line_starts(data: bytes) -> list[int]:
    """Where each line of the data begins. For messages; the fast ways do not ask."""
    starts, start = [], 0
    while start < len(data):
        starts.append(start)
        end = data.find(b"\n", start)
        start = len(data) if end < 0 else end + 1
    return starts


class LineFormat(Format):
    """A format whose records are lines: it cuts evenly and says what a block of lines is."""

    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        return plan_even_extents(file, split_bytes)

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[Block]:
        for lines in read_lines(split, block_bytes, has_bom=is_utf8(self.encoding)):
            block = self.block_of(lines)
            if block is not None:
                yield block

    @abstractmethod
    def block_of(self, lines: Lines) -> Block | None:
        """The block of these lines; None if they hold no record."""

"""Which lines belong to a split, and how are they read in blocks?

A line belongs to the split in which its first byte lies. So cuts need no look at the file: a reader skips the line that
began before its split and finishes the one that runs over its end.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mapreduce.dataclass import dataclass
from mapreduce.formats.base import Block, Extent, Format, InputFile, Split, Where
from mapreduce.formats.bytes_io import (
    SKIP_BYTES,
    UTF8_BOM,
    ByteReader,
    check_encoding,
    is_splittable,
    is_utf8,
    line_number,
    plan_even_extents,
    plan_lasting_extents,
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
    pieces: tuple[Span, ...] = ()  # if picked from a block: where each piece of the data stood in the file

    def line_place(self, start: int) -> str:
        """The place of the line that begins at byte `start`, for a person. Reads the file: for messages."""
        return f"{self.file.path}, line {line_number(self.file, self.at(start))}"

    def at(self, start: int) -> int:
        """Where byte `start` of the data stands in the file."""
        for piece in self.pieces:
            size = piece.end - piece.start
            if start < size:
                return piece.start + start
            start -= size
        return self.offset + start

    def pick(self, spans: Sequence[Span]) -> Lines:
        """The lines at these spans of the data alone. Spans ascend: only the last line of a file may lack its end."""
        data = b"".join(self.data[span.start : span.end] for span in spans)
        pieces = tuple(Span(self.at(span.start), self.at(span.start) + span.end - span.start) for span in spans)
        share = self.bytes * len(data) // max(1, len(self.data))
        return Lines(self.file, pieces[0].start if pieces else self.offset, data, share, pieces)


class Span(NamedTuple):
    """Bytes [start, end)."""

    start: int
    end: int


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


def line_spans(data: bytes) -> list[Span]:
    """Where each line of the data begins and ends."""
    starts = line_starts(data)
    return [Span(*span) for span in zip(starts, [*starts[1:], len(data)], strict=True)]


def holds_newline(file: InputFile, start: int, end: int) -> bool:
    """Whether there is a newline in [start, end). Looks from the end, where it is as a rule found at once."""
    while end > start:
        low = max(start, end - SKIP_BYTES // 16)
        with ByteReader(file, low) as reader:
            if b"\n" in reader.read(end - low):
                return True
        end = low
    return False


def line_starts(data: bytes) -> list[int]:
    """Where each line of the data begins. For messages; the fast ways do not ask."""
    starts, start = [], 0
    while start < len(data):
        starts.append(start)
        end = data.find(b"\n", start)
        start = len(data) if end < 0 else end + 1
    return starts


class LineBlock(Block):
    """A block of lines: a record can be cut out of it without looking at the others."""

    _lines: Lines
    _spans: list[Span] | None = None

    @property
    def data(self) -> bytes:
        return self._lines.data

    @property
    def spans(self) -> list[Span]:
        """Where each record's bytes lie in the data, found once."""
        if self._spans is None:
            self._spans = self._find_spans()
        return self._spans

    def _find_spans(self) -> list[Span]:
        return line_spans(self.data)

    @abstractmethod
    def _of(self, lines: Lines) -> Block:
        """A block like this one of other lines."""

    def select(self, rows: Sequence[int]) -> Block:
        return self._of(self._lines.pick([self.spans[row] for row in rows]))

    def raw(self, index: int) -> bytes:
        span = self.spans[index]
        return self.data[span.start : span.end]

    def where(self, index: int) -> Where:
        return Where(self._lines.file.path, "byte", self._lines.at(self.spans[index].start))


class LineFormat(Format):
    """A format whose records are lines: it cuts evenly and says what a block of lines is."""

    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        check_encoding(self.encoding)

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        return plan_even_extents(file, split_bytes)

    def plan_lasting_extents(self, file: InputFile, split_bytes: int | None) -> list[Extent]:
        return plan_lasting_extents(file, split_bytes)

    def bytes_of(self, split: Split) -> range | None:
        """From the byte before, which tells whether a line begins with the split, to the end of the last line."""
        file, start, end = split.file, max(0, split.extent.start - 1), split.extent.end
        if not is_splittable(file):
            return None
        if start > 0 and not holds_newline(file, start, end - 1):
            return range(start, end)  # all of it is the inside of a long line, which belongs to another split
        with ByteReader(file, end - 1) as reader:
            reader.skip_line(file.size)
            return range(start, reader.offset)

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[Block]:
        for lines in read_lines(split, block_bytes, has_bom=is_utf8(self.encoding)):
            block = self.block_of(lines)
            if block is not None:
                yield block

    @abstractmethod
    def block_of(self, lines: Lines) -> Block | None:
        """The block of these lines; None if they hold no record."""

"""Where may a CSV file be cut? At newlines outside quotes, found without parsing.

Whether a byte stands inside a quoted field depends on all quotes before it. As long as every quote that opens stands at
the start of a field (or doubles the quote before it), counting quotes is enough: an odd count is inside. A file may
break that rule: in `5" pipe,3` the quote is data, as Python's csv module and Arrow both read it. So the rule is checked
for every chunk, all quotes at once, and a chunk that breaks it is walked quote by quote.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mapreduce.dataclass import dataclass
from mapreduce.errors import UsageError
from mapreduce.formats.base import Extent, InputFile
from mapreduce.formats.bytes_io import UTF8_BOM, ByteReader, check_encoding, is_utf8

CHUNK_BYTES = 1 << 20
FEW_QUOTES = 500
"""Up to here walking the quotes is quicker than loading numpy would be."""
NEWLINE, RETURN = 10, 13


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are told apart. `quote` is empty where quotes are data."""

    delimiter: str
    quote: str = '"'
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        check_encoding(self.encoding)
        for name, value in (("delimiter", self.delimiter), ("quote", self.quote or '"')):
            if len(value) != 1 or not value.isascii() or value in "\r\n":
                raise UsageError(f"{name} is {value!r}; it must be one ASCII character, and no newline")
        if self.delimiter == self.quote:
            raise UsageError(f"delimiter and quote are both {self.quote!r}; they must differ")


class QuoteState:
    """Follows a file from a record's start: `inside` tells whether the next byte stands in a quoted field."""

    __slots__ = ("_before", "_quote", "_starts", "inside")

    def __init__(self, dialect: Dialect) -> None:
        self.inside = False
        self._quote = dialect.quote.encode()
        self._starts = (NEWLINE, RETURN, ord(dialect.delimiter))
        self._before = NEWLINE  # the byte before the next one; 0 for a quote that is data

    def feed(self, data: bytes) -> None:
        """Move past these bytes."""
        if not data:
            return
        if not self._quote or self._quote not in data:  # the search is several times as fast as the count
            self._before = data[-1]
        elif data.count(self._quote) <= FEW_QUOTES or not self._count(data):
            self._walk(data)

    def _count(self, data: bytes) -> bool:
        """Move by the number of quotes; False, and nothing moved, where a quote breaks the rule."""
        import numpy as np

        codes = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(codes == self._quote[0])
        opening = quotes[1 if self.inside else 0 :: 2]
        before = codes[opening - 1]
        if len(opening) and opening[0] == 0:
            before[0] = self._before
        rule = before == self._quote[0]  # the quote before it has just closed: a doubled quote
        for start in self._starts:
            rule |= before == start
        if not rule.all():
            return False
        self.inside ^= bool(len(quotes) % 2)
        self._before = data[-1]
        return True

    def _walk(self, data: bytes) -> None:
        quote, inside = self._quote, self.inside
        closed = -1 if self._before == quote[0] and not inside else -2
        literal = -2
        at = data.find(quote)
        while at >= 0:
            if inside:
                inside, closed = False, at
            elif closed == at - 1 or (data[at - 1] if at else self._before) in self._starts:
                inside = True
            else:
                literal = at
            at = data.find(quote, at + 1)
        self.inside = inside
        self._before = 0 if literal == len(data) - 1 else data[-1]

    def finish_record(self, reader: ByteReader, data: bytes) -> bytes:
        """These bytes, which begin where the state stands, and what follows up to the end of their last record."""
        self.feed(data)
        parts = [data]
        while self.inside or not parts[-1].endswith(b"\n"):
            line = reader.readline()
            if not line:
                break
            self.feed(line)
            parts.append(line)
        return b"".join(parts) if len(parts) > 1 else data


def read_first_record(reader: ByteReader, dialect: Dialect) -> bytes:
    """The first record that is not blank, without byte-order mark, from a reader at the start of a file."""
    record = b"\n"
    while record and not record.strip(b"\r\n"):
        is_first = reader.offset == 0
        record = reader.readline()
        if is_first and is_utf8(dialect.encoding):
            record = record.removeprefix(UTF8_BOM)
        record = QuoteState(dialect).finish_record(reader, record)
    return record


def body_start(file: InputFile, dialect: Dialect, *, has_header: bool) -> int:
    """The offset of the first record after byte-order mark and header."""
    with ByteReader(file) as reader:
        if has_header:
            read_first_record(reader, dialect)
            return reader.offset
        is_marked = is_utf8(dialect.encoding) and reader.read(len(UTF8_BOM)) == UTF8_BOM
        return len(UTF8_BOM) if is_marked else 0


def even_aims(start: int, end: int, split_bytes: int) -> list[int]:
    """Where to cut [start, end) into equal pieces of at most `split_bytes`."""
    pieces = -(-(end - start) // split_bytes)
    return [start + (end - start) * number // pieces for number in range(1, pieces)]


def plan_record_extents(file: InputFile, aims: Sequence[int], start: int, dialect: Dialect) -> list[Extent]:
    """The file from `start`, cut at the first record that begins at each of `aims` or after it.

    A file that is not cut is not read; any other is read once, to follow its quotes.
    """
    if start >= file.size:
        return []
    if not aims:
        return [Extent(start, file.size, file.size - start)]
    cuts = [start]
    with ByteReader(file, start) as reader:
        state = QuoteState(dialect)
        for aim in aims:
            if reader.offset >= aim:
                continue
            while reader.offset < aim - 1:  # up to the byte before: it may be the newline that ends a record
                state.feed(reader.read_before(aim - 1, CHUNK_BYTES))
            state.finish_record(reader, b"")
            cuts.append(reader.offset)
    if cuts[-1] != file.size:
        cuts.append(file.size)
    return [Extent(a, b, b - a) for a, b in pairwise(cuts)]

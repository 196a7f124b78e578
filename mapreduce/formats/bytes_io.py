"""How are a file's bytes read: from which offset, through which decompressor, in which encoding?"""

from __future__ import annotations

import codecs
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Self

from mapreduce.errors import InputError, UsageError
from mapreduce.formats.base import Extent, InputFile
from mapreduce.formats.compression import Compression, compression_of, is_damage, plan_compressed
from mapreduce.formats.inputs import open_input
from mapreduce.settings import lasting_split_bytes

UTF8_BOM = codecs.BOM_UTF8
SHIFTING = ("iso2022", "hz")
"""Encodings in which what a byte means depends on the bytes before it, even of another line."""
SKIP_BYTES = 1 << 20
"""How much of a line that belongs to the previous split is held at once while it is skipped."""
PIECE_BYTES = 1 << 26
"""The most that is asked of a stream at once: decompressors set aside what is asked for, whatever there is."""
BINARY_SUFFIXES = ("parquet", "npy", "arrow")
"""Suffixes that are the names of formats without lines."""


class LineBound:
    """The longest line that this process reads: a worker sets it by its memory, so that one is refused by name and
    place before it takes all there is."""

    most_bytes = -1  # none


class ByteReader:
    """The bytes of one file, decompressed if its name says so, from `offset` on. A context manager.

    Offsets count decompressed bytes. Every read raises InputError, naming the file, where the data is damaged.
    """

    __slots__ = ("_compression", "_raw", "_stream", "file", "offset")

    def __init__(self, file: InputFile, offset: int = 0) -> None:
        self.file = file
        self.offset = offset
        self._compression: Compression | None = compression_of(file.path)
        self._raw: BinaryIO = open_input(file)
        if self._compression is None:
            self._stream = self._raw
            if offset:
                self._raw.seek(offset)
        else:
            self._stream = self._compression.open(self._raw)
            self.offset = 0
            while self.offset < offset and self.read(min(SKIP_BYTES, offset - self.offset)):
                pass

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end of the file."""
        try:
            data = self._stream.read(min(size, PIECE_BYTES))
            if 0 < len(data) < size:
                data = self._complete(data, size)
        except Exception as error:
            raise self._mended(error) from error
        self.offset += len(data)
        return data

    def read_before(self, end: int, size: int) -> bytes:
        """Up to `size` bytes before offset `end`; none only there, or where a compressed file's contents end.

        Raises InputError where the file ends earlier: records must not vanish with a file cut off under a running job.
        """
        data = self.read(min(size, end - self.offset))
        if not data and self.offset < end and self._compression is None:
            raise InputError(f"{self.file.path} has become shorter while it was read; run the job again")
        return data

    def _complete(self, data: bytes, size: int) -> bytes:
        """A stream may return less than was asked for, though there is more."""
        pieces, missing = [data], size - len(data)
        while missing and (piece := self._stream.read(min(missing, PIECE_BYTES))):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def readline(self, limit: int = -1) -> bytes:
        """The bytes up to and including the next newline (or up to `limit`).

        Raises InputError for a line above LineBound, unless a limit is given.
        """
        most = LineBound.most_bytes if limit < 0 else limit
        try:
            data = self._stream.readline(most)
        except Exception as error:
            raise self._mended(error) from error
        if limit < 0 and len(data) == most and data[-1] != 10:
            raise InputError(
                f"{self.file.path}, byte {self.offset}: from there on a line has more than {most / 1e6:,.0f} MB, the "
                f"most that fits the memory of a worker; give workers more with --memory, or cut the line"
            )
        self.offset += len(data)
        return data

    def skip_line(self, stop: int) -> None:
        """Move past the next newline; give up at `stop`, beyond which the caller wants nothing."""
        while self.offset < stop:
            piece = self.readline(SKIP_BYTES)
            if not piece or piece.endswith(b"\n"):
                return

    @property
    def position(self) -> int:
        """How far the file itself has been read: compressed bytes where it is compressed."""
        return self.offset if self._compression is None else self._raw.tell()

    def _mended(self, error: Exception) -> Exception:
        if self._compression is None or not is_damage(error):
            return error
        return InputError(
            f"{self.file.path}: the {self._compression.name} data is damaged or cut off after byte {self.offset} "
            f"of its contents ({error}); copy or compress the file again"
        )

    def close(self) -> None:
        self._stream.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_splittable(file: InputFile) -> bool:
    return compression_of(file.path) is None


def plan_even_extents(file: InputFile, split_bytes: int, unit: int = 1) -> list[Extent]:
    """The file in equal pieces of at most `split_bytes` (but at least a unit), cut at multiples of `unit`."""
    if not is_splittable(file):
        return plan_compressed(file)
    units = -(-file.size // unit)
    pieces = -(-units // max(1, split_bytes // unit))
    cuts = [min(file.size, units * piece // pieces * unit) for piece in range(pieces + 1)] if pieces else []
    return [Extent(start, end, end - start) for start, end in pairwise(cuts)]


def plan_lasting_extents(file: InputFile, split_bytes: int | None, unit: int = 1) -> list[Extent]:
    """The file cut at places that growth does not move: `split_bytes` apart, or as `lasting_split_bytes` says."""
    if not is_splittable(file):
        return plan_compressed(file)
    return [Extent(start, end, end - start) for start, end in pairwise(lasting_cuts(0, file.size, split_bytes, unit))]


def lasting_cuts(start: int, end: int, split_bytes: int | None, unit: int = 1) -> list[int]:
    """From `start` to `end`, both among them."""
    cuts = [start]
    while cuts[-1] < end:
        size = split_bytes or lasting_split_bytes(cuts[-1] - start)
        cuts.append(min(end, cuts[-1] + max(1, size // unit) * unit))
    return cuts


def stream_end(file: InputFile, extent: Extent) -> int:
    """The offset at which reading ends; a compressed file's contents end where they end."""
    return extent.end if is_splittable(file) else 1 << 62


def is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def check_encoding(encoding: str) -> None:
    """Refuse an encoding in which a newline byte need not be a newline. Raises UsageError with the remedy."""
    try:
        is_safe = bytes(range(128)).decode(encoding) == "".join(map(chr, range(128)))
        is_safe &= not codecs.lookup(encoding).name.startswith(SHIFTING)
    except LookupError:
        raise UsageError(f"unknown encoding {encoding!r}; try utf-8, latin-1 or cp1252") from None
    except UnicodeError:
        is_safe = False
    if not is_safe:
        raise UsageError(
            f"encoding {encoding!r} cannot be cut at newline bytes; convert the input first: "
            f"iconv -f {encoding} -t utf-8 FILE > FILE.utf8"
        )


def decode(data: bytes, encoding: str, file: InputFile, offset: int) -> str:
    """Text of bytes that stand at `offset` in the file. Raises InputError naming the offset and the bad bytes."""
    try:
        return data.decode("utf-8" if is_utf8(encoding) else encoding)
    except UnicodeDecodeError as error:
        raise InputError(bad_bytes_message(data, error, encoding, file, offset)) from None


def bad_bytes_message(data: bytes, error: UnicodeDecodeError, encoding: str, file: InputFile, offset: int) -> str:
    bad = data[error.start : max(error.end, error.start + 4)]
    where = f"{file.path}, byte {offset + error.start}: {bad!r} is not {encoding}"
    if offset == 0 and data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return f"{where}; the file looks like UTF-16: convert it with iconv -f utf-16 -t utf-8"
    suffix = Path(file.path).suffix.lstrip(".")
    if suffix in BINARY_SUFFIXES:
        return f"{where}; its name says that it is {suffix}: read it as such, --format {suffix} (format={suffix!r})"
    return f"{where}; if the file has another encoding, name it: encoding='latin-1'"


def line_number(file: InputFile, offset: int) -> int:
    """The number, from 1, of the line in which byte `offset` stands. Reads the file up to there: for messages only."""
    newlines = 0
    with ByteReader(file) as reader:
        while reader.offset < offset:
            piece = reader.read(min(SKIP_BYTES, offset - reader.offset))
            if not piece:
                break
            newlines += piece.count(b"\n")
    return newlines + 1

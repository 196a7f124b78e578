"""How is plain text read? A record is a line, without its newline.

Lines end in \\n or \\r\\n; a lone \\r is data. Text is UTF-8 unless another encoding is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from mapreduce.dataclass import dataclass
from mapreduce.errors import InputError
from mapreduce.formats.bytes_io import decode, is_utf8
from mapreduce.formats.lines import LineBlock, LineFormat, Lines, line_starts

if TYPE_CHECKING:
    import pyarrow as pa

ARROW_STRING_BYTES = (1 << 31) - 1
"""The most bytes that one Arrow string array holds (its offsets are int32)."""


class TextBlock(LineBlock):
    """Whole lines: `data` holds their bytes as in the file, `records()` the decoded lines."""

    def __init__(self, lines: Lines, encoding: str) -> None:
        self.bytes = lines.bytes
        self._lines = lines
        self._encoding = encoding
        self._rows: int | None = None

    def __len__(self) -> int:
        if self._rows is None:
            self._rows = self.data.count(b"\n") + (not self.data.endswith(b"\n"))
        return self._rows

    def _of(self, lines: Lines) -> TextBlock:
        return TextBlock(lines, self._encoding)

    def records(self) -> Iterator[str]:
        lines = self._text().split("\n")
        if lines[-1] == "":
            lines.pop()
        self._rows = len(lines)
        return iter(lines)

    def _text(self) -> str:
        """The lines decoded, each newline a single character."""
        text = decode(self.data, self._encoding, self._lines.file, self._lines.offset)
        return text.replace("\r\n", "\n") if _has_crlf(self.data) else text

    def place(self, index: int) -> str:
        return f"{self._lines.file.path}, byte {self._lines.at(line_starts(self.data)[index])}"

    @property
    def arrow(self) -> pa.RecordBatch:
        """One column, `line`. Strings share one buffer; their offsets come from the newlines' positions."""
        import pyarrow as pa

        return pa.record_batch({"line": string_array(self._utf8())})

    @property
    def utf8(self) -> bytes:
        """The lines as UTF-8: their bytes as in the file, unchecked, where that is their encoding."""
        return self.data if is_utf8(self._encoding) else self._text().encode()

    def _utf8(self) -> bytes:
        if not is_utf8(self._encoding):
            return self._text().encode()
        if not self.data.isascii():
            decode(self.data, self._encoding, self._lines.file, self._lines.offset)
        if len(self.data) > ARROW_STRING_BYTES:
            raise InputError(f"{self.place(0)}: a line longer than 2 GiB does not fit a column; use records()")
        return self.data.replace(b"\r\n", b"\n") if _has_crlf(self.data) else self.data


def _has_crlf(data: bytes) -> bool:
    return b"\r" in data and b"\r\n" in data  # looking for one byte is a hundred times as fast


def string_array(data: bytes) -> pa.StringArray:
    """The lines of UTF-8 bytes as an Arrow array, without a loop."""
    import numpy as np
    import pyarrow as pa

    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10).astype(np.int32)
    if not data.endswith(b"\n"):
        ends = np.append(ends, np.int32(len(data)))
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends - np.arange(len(ends), dtype=np.int32)
    values = data.replace(b"\n", b"")
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(values))


@dataclass(frozen=True, slots=True)
class Text(LineFormat):
    """Text files, a record a line. `encoding`: any in which a newline byte is always a newline."""

    encoding: str = "utf-8"

    name: ClassVar[str] = "text"
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".text", ".log", ".md")

    def block_of(self, lines: Lines) -> TextBlock:
        return TextBlock(lines, self.encoding)

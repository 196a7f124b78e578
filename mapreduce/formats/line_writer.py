"""How does a writer of lines hand them to its file? Gathered, or as columns where it has a way without a loop."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO

from mapreduce.formats.base import RecordWriter
from mapreduce.formats.cells import encode_text

if TYPE_CHECKING:
    import pyarrow as pa

WRITE_CHARACTERS = 1 << 16
"""Lines are handed to the file in pieces of about this size: one call for many."""
COLUMN_ROWS = 1 << 16


class LineWriter(RecordWriter):
    """A writer of lines. Lines are gathered; `close` hands over the rest."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._lines: list[str] = []
        self._characters = 0

    @abstractmethod
    def line(self, key: Any, value: Any) -> str:
        """The pair's line, with its newline."""

    def write(self, key: Any, value: Any) -> None:
        line = self.line(key, value)
        self._lines.append(line)
        self._characters += len(line)
        if self._characters >= WRITE_CHARACTERS:
            self._flush()

    def write_columns(self, keys: pa.Array, values: pa.Array) -> None:
        for start in range(0, len(keys), COLUMN_ROWS):
            some_keys, some_values = keys.slice(start, COLUMN_ROWS), values.slice(start, COLUMN_ROWS)
            lines = self._column_lines(some_keys, some_values)
            if lines is not None:
                self._flush()
                self.file.write(lines)
            else:
                for key, value in zip(some_keys.to_pylist(), some_values.to_pylist(), strict=True):
                    self.write(key, value)

    def _column_lines(self, keys: pa.Array, values: pa.Array) -> bytes | None:
        """The lines of these pairs, without a loop; None where there is no such way."""
        return None

    def _flush(self) -> None:
        if self._lines:
            self.file.write(encode_text("".join(self._lines)))
            self._lines.clear()
            self._characters = 0

    def close(self) -> None:
        self._flush()

"""How is a result written that is no table? As lines of text, or as bytes with nothing between them.

Nothing is escaped: what comes out is what a sort, a grep or a distinct was given. Such a file does not tell keys from
values; jobs that need both write tsv, csv, jsonl or parquet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mapreduce.errors import UsageError
from mapreduce.formats.base import RecordWriter
from mapreduce.formats.cells import text_of
from mapreduce.formats.line_writer import LineWriter

if TYPE_CHECKING:
    import pyarrow as pa


class TextWriter(LineWriter):
    """A line a pair: the key, and unless it is None, a tab and the value, both as they are."""

    suffix: ClassVar[str] = ".txt"

    def line(self, key: Any, value: Any) -> str:
        return f"{text_of(key)}\n" if value is None else f"{text_of(key)}\t{text_of(value)}\n"

    def _column_lines(self, keys: pa.Array, values: pa.Array) -> bytes | None:
        if values.null_count < len(values):
            return None
        return lines_of(keys)


class RawWriter(RecordWriter):
    """The bytes of the value, or where it is None of the key; nothing between them."""

    suffix: ClassVar[str] = ".bin"

    def write(self, key: Any, value: Any) -> None:
        data = key if value is None else value
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        if not isinstance(data, bytes | bytearray | memoryview):
            raise UsageError(
                f"{data!r:.80} is of type {type(data).__name__}, not bytes; raw output is for jobs whose values are "
                "bytes or text: choose another --output-format"
            )
        self.file.write(data)

    def write_columns(self, keys: pa.Array, values: pa.Array) -> None:
        chosen = keys if values.null_count == len(values) else values
        data = None if chosen.null_count else buffer_of(chosen)
        if data is not None:
            self.file.write(data)
            return
        for key, value in zip(keys.to_pylist(), values.to_pylist(), strict=True):
            self.write(key, value)


def buffer_of(column: pa.Array) -> Any:
    """The bytes of a column's elements, one after the other, without a copy; None unless it holds bytes or text."""
    import numpy as np
    import pyarrow as pa

    kind, first, last = column.type, column.offset, column.offset + len(column)
    if pa.types.is_fixed_size_binary(kind):
        width = kind.byte_width
        return memoryview(column.buffers()[1])[first * width : last * width]
    wide = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    if not wide and not pa.types.is_string(kind) and not pa.types.is_binary(kind):
        return None
    if not len(column):
        return b""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int64 if wide else np.int32)
    return memoryview(data)[int(ends[first]) : int(ends[last])] if data is not None else b""


def lines_of(column: pa.Array) -> bytes | None:
    """Each element of a column of text with a newline behind it; None for other types and for nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count or not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    ended = pc.binary_join_element_wise(column, pa.scalar("\n", column.type), pa.scalar("", column.type))
    return bytes(buffer_of(ended))

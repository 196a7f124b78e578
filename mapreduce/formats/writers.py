"""How are part files written? A line or a row a pair: tsv, csv, jsonl or parquet; and how are the pairs read back?

Whether pairs come one by one or as columns, the bytes are the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from mapreduce.errors import UsageError, near
from mapreduce.formats.base import RecordWriter
from mapreduce.formats.cells import column_bytes, json_of, large_text, text_column, text_of
from mapreduce.formats.line_writer import LineWriter

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN = ("text", "raw")
"""Formats that don't tell keys from values (plain_writers.py)."""


_KEY_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_VALUE_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\t": "\t"}
_KEY_SPECIAL = re.compile(r"[\\\n\r\t]")
_VALUE_SPECIAL = re.compile(r"[\\\n\r]")
_ESCAPED = re.compile(r"\\[\\nrt]")


class TsvWriter(LineWriter):
    """key, a tab, value. In both, a backslash, newline or carriage return is written as \\\\, \\n, \\r; in keys also a
    tab, as \\t: so the first tab of a line ends the key, and every pair can be read back."""

    suffix: ClassVar[str] = ".tsv"

    def line(self, key: Any, value: Any) -> str:
        key, value = text_of(key), text_of(value)
        if _KEY_SPECIAL.search(key):
            key = _KEY_SPECIAL.sub(lambda match: _KEY_ESCAPES[match[0]], key)
        if _VALUE_SPECIAL.search(value):
            value = _VALUE_SPECIAL.sub(lambda match: _VALUE_ESCAPES[match[0]], value)
        return f"{key}\t{value}\n"

    def _column_lines(self, keys: pa.Array, values: pa.Array) -> bytes | None:
        key_texts, value_texts = text_column(keys), text_column(values)
        if key_texts is None or value_texts is None:
            return None
        if _may_need_escapes(keys):
            key_texts = _escaped(key_texts, _KEY_ESCAPES)
        if _may_need_escapes(values):
            value_texts = _escaped(value_texts, _VALUE_ESCAPES)
        return _joined(key_texts, "\t", value_texts)


def _may_need_escapes(array: pa.Array) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(array.type) or pa.types.is_large_string(array.type))


def _joined(keys: pa.Array, between: str, values: pa.Array) -> bytes:
    import pyarrow.compute as pc

    ends = [large_text(text) for text in ("\n", "")]
    return column_bytes(pc.binary_join_element_wise(keys, large_text(between), values, *ends))


def _escaped(texts: pa.Array, escapes: dict[str, str]) -> pa.Array:
    import pyarrow.compute as pc

    data = column_bytes(texts)
    for character, escape in escapes.items():  # the backslash comes first
        if character.encode() in data:
            texts = pc.replace_substring(texts, character, escape)
    return texts


_CSV_SPECIAL = re.compile(r'[",\r\n]')


class CsvWriter(LineWriter):
    """A header and a row a pair: `key,value`, or the key and the columns of values that are dicts."""

    suffix: ClassVar[str] = ".csv"

    def __init__(self, file: BinaryIO) -> None:
        LineWriter.__init__(self, file)
        self._columns: list[str] | None = None
        self._has_header = False

    def line(self, key: Any, value: Any) -> str:
        if not self._has_header:
            self._begin(list(value) if isinstance(value, dict) else None)
        if self._columns is None and not isinstance(value, dict):
            return f"{_csv_cell(text_of(key))},{_csv_cell(text_of(value))}\n"
        if not isinstance(value, dict) or value.keys() != set(self._columns or ()):
            found = f"the columns {', '.join(map(str, value))}" if isinstance(value, dict) else "no columns"
            first = f"the columns {', '.join(map(str, self._columns))}" if self._columns is not None else "no columns"
            raise UsageError(
                f"the value of key {key!r} has {found}, the first had {first}; a CSV file has one header: give every "
                f"value the same keys, or choose --output-format jsonl"
            )
        cells = [key, *(value[name] for name in self._columns or ())]
        return ",".join(_csv_cell(text_of(cell)) for cell in cells) + "\n"

    def _begin(self, columns: list[str] | None) -> None:
        self._has_header = True
        self._columns = columns
        names = ["value"] if columns is None else columns
        header = ",".join(_csv_cell(text_of(name)) for name in ["key", *names]) + "\n"
        self._lines.append(header)

    def _column_lines(self, keys: pa.Array, values: pa.Array) -> bytes | None:
        key_texts, value_texts = text_column(keys), text_column(values)
        if key_texts is None or value_texts is None or self._columns is not None:
            return None
        data = column_bytes(key_texts) + column_bytes(value_texts)
        if any(character in data for character in (b",", b'"', b"\r", b"\n")):
            return None
        if not self._has_header:
            self._begin(None)
        return _joined(key_texts, ",", value_texts)

    def close(self) -> None:
        if not self._has_header:
            self._begin(None)
        self._flush()


def _csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _CSV_SPECIAL.search(text) else text


class JsonLinesWriter(LineWriter):
    """An object a pair: {"key": ..., "value": ...}."""

    suffix: ClassVar[str] = ".jsonl"

    def line(self, key: Any, value: Any) -> str:
        return f'{{"key": {json_of(key)}, "value": {json_of(value)}}}\n'


def writer_class(name: str) -> type[RecordWriter]:
    """The writer of an output format. Raises UsageError, with near names, for an unknown one."""
    if name == "parquet":
        from mapreduce.formats.parquet_writer import ParquetWriter

        return ParquetWriter
    if name in PLAIN:
        from mapreduce.formats import plain_writers

        return plain_writers.TextWriter if name == "text" else plain_writers.RawWriter
    writers: dict[str, type[RecordWriter]] = {"tsv": TsvWriter, "csv": CsvWriter, "jsonl": JsonLinesWriter}
    if name not in writers:
        raise UsageError(f"no output format {name!r}; {near(name, [*writers, 'parquet', *PLAIN])}")
    return writers[name]


def open_writer(name: str, file: BinaryIO) -> RecordWriter:
    """A writer of this format to a binary file, which the caller closes after the writer. Raises UsageError."""
    return writer_class(name)(file)


def read_pairs(name: str, paths: Iterable[Path | str]) -> Iterator[tuple[Any, Any]]:
    """The pairs of part files, in order: typed in parquet and jsonl, text in tsv and csv, (line, None) in text.

    Raises UsageError.
    """
    writer_class(name)
    if name == "raw":
        raise UsageError("raw output does not tell where a record ends; read it with mr.read_fixed(..., width=...)")
    for path in paths:
        if name == "parquet":
            from mapreduce.formats.parquet_writer import read_parquet_pairs

            yield from read_parquet_pairs(path)
        elif name == "csv":
            yield from _read_csv_pairs(path)
        else:
            with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
                yield from map({"tsv": _tsv_pair, "text": _text_pair}.get(name, _json_pair), lines)


def _tsv_pair(line: str) -> tuple[str, str]:
    key, _, value = line.removesuffix("\n").partition("\t")
    if "\\" in line:
        key, value = (_ESCAPED.sub(lambda match: _UNESCAPES[match[0]], text) for text in (key, value))
    return key, value


def _text_pair(line: str) -> tuple[str, None]:
    return line.removesuffix("\n"), None


def _json_pair(line: str) -> tuple[Any, Any]:
    pair = json.loads(line)
    return pair["key"], pair["value"]


def _read_csv_pairs(path: Path | str) -> Iterator[tuple[str, Any]]:
    import csv

    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as lines:
        rows = csv.reader(lines)
        _, *names = next(rows)
        for key, *cells in rows:
            yield key, cells[0] if names == ["value"] else dict(zip(names, cells, strict=True))

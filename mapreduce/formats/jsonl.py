"""How are JSON lines read? A record is a line's value, as Python's json module reads it; blank lines are skipped.

Where every value is an object there are columns too. Their names and types are found once, from the first lines of the
first file; a key that appears only later is no column. What fits no simple type is a 'json' column: the values' text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mapreduce.dataclass import dataclass, field, replace
from mapreduce.errors import InputError
from mapreduce.formats.base import Block, Extent, InputFile, Split
from mapreduce.formats.bytes_io import decode, is_utf8
from mapreduce.formats.columns import (
    SAMPLE_BYTES,
    Column,
    apply_types,
    arrow_types,
    check_selection,
    check_string_lists,
    kind_of,
    kinds_of,
    roles_of,
)
from mapreduce.formats.features import RoleBlock
from mapreduce.formats.lines import LineBlock, LineFormat, Lines, Span, line_spans
from mapreduce.formats.roles import NO_ROLES, Kinds, RoleFormat, Roles

if TYPE_CHECKING:
    import pyarrow as pa

TYPES = ("int", "float", "bool", "string", "json")
BLANKS = " \t\r"
BLANK_BYTES = b" \t\r\n"
MAX_ARROW_BYTES = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class JsonColumns:
    """The columns of a block: those of `arrow`, what they are for, and all that there are."""

    columns: tuple[Column, ...] = ()
    roles: Roles = NO_ROLES
    all: tuple[Column, ...] = ()


class JsonBlock(RoleBlock, LineBlock):
    """Whole lines of JSON, at least one of them with a value."""

    def __init__(self, lines: Lines, encoding: str, columns: JsonColumns) -> None:
        self.bytes = lines.bytes
        self._lines = lines
        self._encoding = encoding
        self._columns = columns
        self.roles = columns.roles
        self._length: int | None = None

    def _of(self, lines: Lines) -> JsonBlock:
        return JsonBlock(lines, self._encoding, self._columns)

    def _find_spans(self) -> list[Span]:
        return [span for span in line_spans(self.data) if self.data[span.start : span.end].strip(BLANK_BYTES)]

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for line in self.data.split(b"\n") if line.strip(BLANK_BYTES))
        return self._length

    def records(self) -> Iterator[Any]:
        return iter(self._values())

    def _values(self) -> list[Any]:
        lines = [line for line in self._text().split("\n") if line.strip(BLANKS)]
        try:
            return [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            self._refuse_malformed(lines)
            raise

    def _text(self) -> str:
        return decode(self.data, self._encoding, self._lines.file, self._lines.offset)

    def _refuse_malformed(self, lines: list[str]) -> None:
        for index, line in enumerate(lines):
            try:
                json.loads(line)
            except json.JSONDecodeError as error:
                at = self._start(index) + len(line[: error.pos].encode(self._encoding))
                place = f"{self._lines.line_place(at)}, byte {self._lines.at(at)}"
                raise InputError(
                    f"{place}: not JSON: {error.msg}: {_shown(line[max(0, error.pos - 20) :])}; "
                    f"each line must be one JSON value"
                ) from None
            except (ValueError, RecursionError) as error:
                raise InputError(f"{self.place(index)}: cannot be read: {error}") from None

    def _start(self, index: int) -> int:
        """The byte of the data at which the line of record `index` begins."""
        return self.spans[index].start

    def place(self, index: int) -> str:
        start = self._start(index)
        return f"{self._lines.line_place(start)}, byte {self._lines.at(start)}"

    @property
    def arrow(self) -> pa.RecordBatch:
        return self._batch(self._columns.columns)

    def typed(self, names: Sequence[str]) -> pa.RecordBatch:
        return self._batch([column for column in self._columns.all if column.name in names])

    def kind_of(self, name: str) -> str:
        return kind_of(next(column for column in self._columns.all if column.name == name))

    def _batch(self, columns: Sequence[Column]) -> pa.RecordBatch:
        """By Arrow's parser where it certainly reads what Python's reads; else by way of the values."""
        import pyarrow as pa

        data = self.data if is_utf8(self._encoding) else self._text().encode()
        if columns and _has_an_object_a_line(data) and all(column.type != "json" for column in columns):
            if not data.isascii():
                self._text()
            try:
                batch = parse_columns(data, columns)
            except pa.ArrowInvalid:
                return self._batch_of_values(columns)
            if batch.num_rows == len(self):
                return batch
        return self._batch_of_values(columns)

    def _batch_of_values(self, columns: Sequence[Column]) -> pa.RecordBatch:
        import pyarrow as pa

        values = self._values()
        for index, value in enumerate(values):
            if not isinstance(value, dict):
                raise InputError(
                    f"{self.place(index)}: {_shown(value)} is no object, so it has no columns; use records()"
                )
        if not columns:
            raise InputError(f"{self._lines.file.path}: the first lines name no columns; use records()")
        types = arrow_types(columns)
        arrays = [pa.array(self._cells(values, column), types[column.name]) for column in columns]
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])

    def _cells(self, values: list[dict[str, Any]], column: Column) -> list[Any]:
        cells = []
        for index, value in enumerate(values):
            cell = value.get(column.name)
            try:
                cells.append(None if cell is None else convert(cell, column.type))
            except ValueError:
                other = "float" if isinstance(cell, int | float) and not isinstance(cell, bool) else "json"
                raise InputError(
                    f"{self.place(index)}, field {column.name!r}: {_shown(cell)} is not of type {column.type}; "
                    f"mend it, or set types={{{column.name!r}: {other!r}}}"
                ) from None
        return cells


def _readable(block: Block) -> list[Any]:
    """The values of a block but those that cannot be read: whoever maps them refuses them, or skips them."""
    values: list[Any] = []
    with suppress(InputError):
        return list(block.records())
    for row in range(len(block)):
        with suppress(InputError):
            values += block.select([row]).records()
    return values


def convert(cell: Any, type: str) -> Any:
    """A JSON value as a column of this type holds it. Raises ValueError."""
    kind = type_of(cell)
    if type == "json":
        return json.dumps(cell)
    if type == "float" and kind in ("int", "float"):
        return float(cell)
    if kind != type:
        raise ValueError(f"{cell!r} is not of type {type}")
    if kind == "string":
        cell.encode()  # half a surrogate pair is no text; UnicodeEncodeError is a ValueError
    return cell


def type_of(cell: Any) -> str:
    """The narrowest column type for a JSON value."""
    if isinstance(cell, bool):
        return "bool"
    if isinstance(cell, int):
        return "int" if -(1 << 63) <= cell < 1 << 63 else "float"
    return "float" if isinstance(cell, float) else "string" if isinstance(cell, str) else "json"


def infer_columns(values: Sequence[Any]) -> tuple[Column, ...]:
    """A column for every key of these objects, in order of appearance; none if a value is no object."""
    types: dict[str, set[str]] = {}
    for value in values:
        if not isinstance(value, dict):
            return ()
        for name, cell in value.items():
            seen = types.setdefault(name, set())
            if cell is not None:
                seen.add(type_of(cell))
    return tuple(Column(name, _narrowest(seen)) for name, seen in types.items())


def _narrowest(types: set[str]) -> str:
    if len(types) == 1:
        return next(iter(types))
    return "string" if not types else "float" if types == {"int", "float"} else "json"


def _has_an_object_a_line(data: bytes) -> bool:
    """Every line begins with { and ends with }: then no value spans lines, and rows as many as lines are lines."""
    body = data.removesuffix(b"\n")
    return body[:1] == b"{" and body[-1:] == b"}" and body.count(b"}\n{") == body.count(b"\n")


def parse_columns(data: bytes, columns: Sequence[Column]) -> pa.RecordBatch:
    """These columns of lines of objects, by Arrow. Raises pa.ArrowInvalid."""
    import pyarrow as pa
    import pyarrow.json as pj

    schema = pa.schema(list(arrow_types(columns).items()))
    table = pj.read_json(
        pa.BufferReader(data),
        pj.ReadOptions(use_threads=False, block_size=min(len(data) + 1, MAX_ARROW_BYTES)),
        pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )
    return table.combine_chunks().to_batches()[0]


def _shown(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


@dataclass(frozen=True, slots=True)
class JsonLines(RoleFormat, LineFormat):
    """Files with a JSON value a line.

    columns   which keys `arrow` holds; None: all that the first lines have
    types     {'id': 'string'}: 'int', 'float', 'bool', 'string' or 'json', instead of what the first lines suggest
    target    y's key
    features  X's keys; None: all with numbers but target and weights
    weights   the key of each row's weight
    """

    columns: Sequence[str] | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    schema: JsonColumns = JsonColumns()  # what `resolve` found

    name: ClassVar[str] = "jsonl"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def __post_init__(self) -> None:
        LineFormat.__post_init__(self)
        check_string_lists(columns=self.columns, features=self.features)

    def resolve(self, files: Sequence[InputFile]) -> Self:
        """Reads the first lines of the first file that has any."""
        values = self._first_values(files)
        found = infer_columns(values)
        if not found and (self.columns or self.types or self.asked.named) and values:
            raise InputError(f"{files[0].path}: its lines are no JSON objects, so there are no columns to name")
        if not found:
            return self
        columns = apply_types(found, self.types, TYPES)
        check_selection(columns, self.columns)
        selected = [column for column in columns if self.columns is None or column.name in self.columns]
        roles = roles_of(columns, self.columns, self.asked)
        return replace(self, schema=JsonColumns(tuple(selected), roles, columns))

    def feature_names(self) -> tuple[str, ...] | None:
        return self.schema.roles.features

    def kinds(self) -> Kinds | None:
        return kinds_of(self.schema.all, self.columns, self.asked)

    def _first_values(self, files: Sequence[InputFile]) -> list[Any]:
        for file in files:
            if file.size > 0:
                split = Split(0, file, Extent(0, file.size, file.size))
                for block in self.read_blocks(split, SAMPLE_BYTES):
                    return _readable(block)
        return []

    def block_of(self, lines: Lines) -> JsonBlock | None:
        if lines.data[:1] != b"{" and not lines.data.strip(BLANK_BYTES):
            return None
        return JsonBlock(lines, self.encoding, self.schema)

"""How are CSV and TSV files read? A record is a row, as a dict by column name.

Cells may be quoted, and a quoted cell may hold delimiters, newlines and doubled quotes: what Python's csv module makes
of a file is what is read. The header stands in every file and is never a record. Blank lines are skipped. Types are
found once (see csv_schema); an empty cell of a number column is None, of a string column ''.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Self

from mapreduce.dataclass import dataclass, field, replace
from mapreduce.errors import InputError, InternalError
from mapreduce.formats.base import COUNT_BYTES, Extent, InputFile, Split
from mapreduce.formats.bytes_io import (
    UTF8_BOM,
    ByteReader,
    check_encoding,
    decode,
    is_splittable,
    is_utf8,
    lasting_cuts,
    stream_end,
)
from mapreduce.formats.columns import SAMPLE_BYTES, apply_types, check_selection, check_string_lists, kinds_of, roles_of
from mapreduce.formats.compression import plan_compressed, uncompressed_name
from mapreduce.formats.csv_block import CsvBlock
from mapreduce.formats.csv_cuts import (
    Dialect,
    QuoteState,
    body_start,
    even_aims,
    plan_record_extents,
    read_first_record,
)
from mapreduce.formats.csv_schema import (
    NULL_CELLS,
    TYPES,
    CsvSchema,
    check_names,
    check_same_header,
    infer_types,
    numbers_by_role,
    parse_rows,
)
from mapreduce.formats.lines import Lines
from mapreduce.formats.roles import Kinds, RoleFormat, Roles


@dataclass(frozen=True, slots=True)
class Csv(RoleFormat):
    """CSV files.

    delimiter    None: a tab for .tsv and .tab, else a comma
    header       True: the first row names the columns; a list: these names, and the file has no header;
                 False: no header, columns are f0, f1, ...
    columns      which columns records() and `arrow` hold; None: all
    types        {'price': 'string'}: 'int', 'float' or 'string', where what the first rows suggest is not wanted
    quote        '' where quotes are data
    target       y's column
    features     X's columns; None: all number columns but target and weights
    weights      the column with each row's weight
    null_values  cells of a number column that mean: no value
    """

    delimiter: str | None = None
    header: bool | Sequence[str] = True
    columns: Sequence[str] | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    quote: str = '"'
    encoding: str = "utf-8"
    null_values: Sequence[str] = NULL_CELLS
    schema: CsvSchema | None = None  # what `resolve` found

    name: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab")

    def __post_init__(self) -> None:
        check_encoding(self.encoding)
        check_string_lists(
            header=self.header, columns=self.columns, features=self.features, null_values=self.null_values
        )
        if self.delimiter is not None:
            Dialect(self.delimiter, self.quote, self.encoding)

    def resolve(self, files: Sequence[InputFile]) -> Self:
        """Reads each file's header and the first rows. Raises InputError where headers differ."""
        names: list[str] | None = None
        named_by = ""
        rows: list[list[str]] = []
        for file in files:
            if file.size == 0:
                continue
            dialect = self.dialect_of(file)
            header, sample = self._read_head(file, dialect, SAMPLE_BYTES if not rows else 0)
            if header is None:
                continue
            if names is None:
                names, named_by = header, file.path
                check_names(names, file.path)
            elif self.header is True:
                check_same_header(names, named_by, header, file.path)
            rows = rows or sample
        if names is None:  # an empty input has no columns, and is no error
            return replace(self, schema=CsvSchema((), Dialect(self.delimiter or ",", self.quote, self.encoding)))
        dialect = self.dialect_of(next(file for file in files if file.path == named_by))
        nulls = tuple(dict.fromkeys(("", *self.null_values)))
        inferred = numbers_by_role(infer_types(names, rows, nulls), rows, nulls, self.asked)
        columns = apply_types(inferred, self.types, TYPES)
        check_selection(columns, self.columns)
        roles_of(columns, self.columns, self.asked)
        schema = CsvSchema(columns, dialect, nulls)
        return replace(self, schema=schema)

    def dialect_of(self, file: InputFile) -> Dialect:
        is_tabbed = uncompressed_name(file.path).lower().endswith((".tsv", ".tab"))
        return Dialect(self.delimiter or ("\t" if is_tabbed else ","), self.quote, self.encoding)

    def feature_names(self) -> tuple[str, ...] | None:
        return None if self.schema is None else self._roles(self.schema).features

    def kinds(self) -> Kinds | None:
        return None if self.schema is None else kinds_of(self.schema.columns, self.columns, self.asked)

    def count_rows(self, split: Split) -> int:
        return sum(block.count() for block in self.read_blocks(split, COUNT_BYTES))

    def _roles(self, schema: CsvSchema) -> Roles:
        return roles_of(schema.columns, self.columns, self.asked)

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        """Cuts at true record ends, header left out. Reads a file of several splits once, to follow its quotes."""
        return self._plan(file, lambda start: even_aims(start, file.size, split_bytes))

    def plan_lasting_extents(self, file: InputFile, split_bytes: int | None) -> list[Extent]:
        return self._plan(file, lambda start: lasting_cuts(start, file.size, split_bytes)[1:-1])

    def _plan(self, file: InputFile, choose_aims: Callable[[int], Sequence[int]]) -> list[Extent]:
        """`choose_aims` says where to cut, as nearly as records allow, a body that begins at a byte."""
        if file.size == 0:
            return []
        if not is_splittable(file):
            return plan_compressed(file)
        dialect = self.schema.dialect if self.schema else self.dialect_of(file)
        start = body_start(file, dialect, has_header=self._has_header)
        return plan_record_extents(file, choose_aims(start), start, dialect)

    def bytes_of(self, split: Split) -> range | None:
        return range(split.extent.start, split.extent.end) if is_splittable(split.file) else None

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[CsvBlock]:
        if self.schema is None:
            raise InternalError(f"{split.file.path} is read before its columns are known; call resolve() first")
        if not self.schema.columns:
            return
        for lines in self._read_records(split, block_bytes, self.schema.dialect):
            yield self.block_of(lines)

    def block_of(self, lines: Lines) -> CsvBlock:
        if self.schema is None:
            raise InternalError(f"{lines.file.path} is read before its columns are known; call resolve() first")
        columns = self.schema.select(self.schema.names if self.columns is None else self.columns)
        return CsvBlock(lines, self.schema, columns, self._roles(self.schema))

    @property
    def _has_header(self) -> bool:
        return self.header is True

    def _read_records(self, split: Split, block_bytes: int, dialect: Dialect) -> Iterator[Lines]:
        """The split's bytes in pieces of whole records; pieces of blank lines are left out."""
        file, end = split.file, stream_end(split.file, split.extent)
        with ByteReader(file, split.extent.start) as reader:
            if not is_splittable(file) and self._has_header:
                read_first_record(reader, dialect)
            quotes = QuoteState(dialect)
            position = reader.position
            while reader.offset < end:
                offset = reader.offset
                data = reader.read_before(end, max(block_bytes, len(UTF8_BOM)))
                if not data:
                    return
                if offset == 0 and is_utf8(self.encoding) and data.startswith(UTF8_BOM):
                    offset, data = len(UTF8_BOM), data[len(UTF8_BOM) :]
                data = quotes.finish_record(reader, data)
                if data[:1] not in (b"\r", b"\n") or data.strip(b"\r\n"):
                    yield Lines(file, offset, data, reader.position - position)
                    position = reader.position

    def _read_head(
        self, file: InputFile, dialect: Dialect, sample_bytes: int
    ) -> tuple[list[str] | None, list[list[str]]]:
        """The file's column names (None if it holds nothing) and its first rows."""
        with ByteReader(file) as reader:
            data = read_first_record(reader, dialect)
            start = reader.offset - len(data)
            first = parse_rows(decode(data, self.encoding, file, start), dialect)
            if not first:
                return None, []
            if self._has_header and len(first) > 1:
                raise InputError(f"{file.path}: lines end in a lone \\r; convert them first: tr '\\r' '\\n' < FILE")
            sample = reader.read(sample_bytes)
            if sample:
                sample = QuoteState(dialect).finish_record(reader, sample)
            rows = parse_rows(decode(sample, self.encoding, file, start + len(data)), dialect)
        if self._has_header:
            return first[0], rows
        names = [f"f{index}" for index in range(len(first[0]))]
        return (names if self.header is False else list(self._given_names)), first + rows

    @property
    def _given_names(self) -> Sequence[str]:
        return () if isinstance(self.header, bool) else self.header

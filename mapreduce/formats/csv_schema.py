"""Which columns has a CSV file, and of which types? Found once, from the first bytes of the first file with rows.

A cell is an integer, a float or a string; the type of a column is the narrowest that fits all its cells seen. It is
fixed from then on, for every split: a later cell that does not fit is an error that names the remedy.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mapreduce.errors import InputError, UsageError, near
from mapreduce.formats.csv_cuts import Dialect

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_BYTES = 256 << 10
TYPES = ("int", "float", "string")
ARROW_NAMES = {"int": "int64", "float": "double", "string": "string"}
NULL_CELLS = ("", "NA", "N/A", "NULL", "null")
"""What an unknown number looks like. In a string column these are strings."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file: its name, and 'int', 'float' or 'string'."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class CsvSchema:
    """All columns of a file in their order, how cells are told apart, and which cells mean: no value."""

    columns: tuple[Column, ...]
    dialect: Dialect
    nulls: tuple[str, ...] = NULL_CELLS

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def select(self, names: Sequence[str], type: str | None = None) -> list[Column]:
        """These columns, in the order asked for, all of `type` if one is given."""
        by_name = {column.name: column for column in self.columns}
        return [Column(name, type or by_name[name].type) for name in names]

    def index(self, name: str) -> int:
        return self.names.index(name)


def parse_rows(text: str, dialect: Dialect) -> list[list[str]]:
    """The rows of a text that begins at a record, without blank lines."""
    return [row for row in _reader(text, dialect) if row]


def row_line(text: str, dialect: Dialect, index: int) -> int:
    """How many lines of the text stand before row `index`."""
    reader = _reader(text, dialect)
    seen, before = -1, 0
    for row in reader:
        seen += bool(row)
        if seen == index:
            return before
        before = reader.line_num
    return before


class _reader(Iterator[list[str]]):
    """csv.reader over a text, whatever the length of its cells: the module's limit is lifted only meanwhile."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=dialect.delimiter,
            quotechar=dialect.quote or None,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        )
        self._limit = max(len(text), 1 << 17)

    def __iter__(self) -> Iterator[list[str]]:
        limit = csv.field_size_limit(self._limit)
        try:
            yield from self._reader
        finally:
            csv.field_size_limit(limit)

    def __next__(self) -> list[str]:
        return next(self._reader)

    @property
    def line_num(self) -> int:
        return self._reader.line_num


def to_int(cell: str) -> int:
    """An integer that fits 64 bits. Raises ValueError."""
    value = int(cell)
    if not -(1 << 63) <= value < 1 << 63 or "_" in cell:
        raise ValueError(cell)
    return value


def to_float(cell: str) -> float:
    """A decimal number, nan or inf, without Python's underscores. Raises ValueError."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


CONVERTERS: Mapping[str, Callable[[str], Any]] = {"int": to_int, "float": to_float, "string": str}


def infer_types(names: Sequence[str], rows: Sequence[Sequence[str]], nulls: Sequence[str]) -> list[Column]:
    """Columns with the narrowest type that fits every cell of these rows; without any value: string."""
    columns = []
    for index, name in enumerate(names):
        cells = [row[index] for row in rows if index < len(row) and row[index] not in nulls]
        columns.append(Column(name, _narrowest(cells)))
    return columns


def _narrowest(cells: Sequence[str]) -> str:
    for name in ("int", "float") if cells else ():
        try:
            for cell in cells:
                CONVERTERS[name](cell)
        except ValueError:
            continue
        return name
    return "string"


def apply_types(columns: Sequence[Column], types: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns with the types that the user named. Raises UsageError for an unknown column or type."""
    names = [column.name for column in columns]
    for name, type in types.items():
        if name not in names:
            raise UsageError(f"types names no column of the input: {name!r}; {near(name, names)}")
        if type not in TYPES:
            raise UsageError(f"types={{{name!r}: {type!r}}}: no such type; {near(type, TYPES)}")
    return tuple(Column(column.name, types.get(column.name, column.type)) for column in columns)


def check_names(names: Sequence[str], path: str) -> None:
    """Refuse names that do not tell columns apart."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(
                f"{path}: two columns are named {name!r}; rename one, or pass all names: header=['...', ...] "
                f"(the file's own header is then a record), or header=False if the file has none"
            )
        seen.add(name)


def check_same_header(first: Sequence[str], first_path: str, other: Sequence[str], path: str) -> None:
    """Every file of a dataset has the same columns in the same order. Raises InputError naming the first difference."""
    if list(first) == list(other):
        return
    for number, (expected, found) in enumerate(zip(first, other, strict=False), 1):
        if expected != found:
            raise InputError(
                f"{path}: column {number} is {found!r}, but in {first_path} it is {expected!r}; "
                f"all files of a dataset have one header ({near(found, list(first))})"
            )
    raise InputError(
        f"{path} has {len(other)} columns, but {first_path} has {len(first)}; all files of a dataset have one header"
    )


def arrow_types(columns: Sequence[Column]) -> dict[str, pa.DataType]:
    import pyarrow as pa

    types = {"int": pa.int64(), "float": pa.float64(), "string": pa.string()}
    return {column.name: types[column.type] for column in columns}

"""Which columns has a CSV file, and of which types? Found once, from the first bytes of the first file with rows.

A cell is an integer, a float or a string; the type of a column is the narrowest that fits all its cells seen. It is
fixed from then on, for every split: a later cell that does not fit is an error that names the remedy.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass
from mapreduce.errors import InputError, near
from mapreduce.formats.columns import Column
from mapreduce.formats.csv_cuts import Dialect
from mapreduce.formats.lines import Span
from mapreduce.formats.roles import Roles

if TYPE_CHECKING:
    import _csv

TYPES = ("int", "float", "string")
NULL_CELLS = ("", "NA", "N/A", "NULL", "null")
"""What an unknown number looks like. In a string column these are strings."""


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
    plain = text.replace("\r\n", "\n") if "\r" in text else text
    if "\r" not in plain and not (dialect.quote and dialect.quote in plain):  # thrice as fast, and the same
        return [line.split(dialect.delimiter) for line in plain.split("\n") if line]
    with _any_cell_length(text):
        return [row for row in _reader(text, dialect) if row]


def row_spans(data: bytes, dialect: Dialect) -> list[Span]:
    """Where each row's bytes lie, blank lines left out; bytes that are not of the encoding are no hindrance."""
    text = data.decode(dialect.encoding, "surrogateescape")
    lengths = (len(line.encode(dialect.encoding, "surrogateescape")) for line in io.StringIO(text, newline=""))
    ends = [0, *accumulate(lengths)]
    spans, start = [], 0
    reader = _reader(text, dialect)
    with _any_cell_length(text):
        for row in reader:
            end = ends[reader.line_num]
            if row:
                spans.append(Span(start, end))
            start = end
    return spans


def _reader(text: str, dialect: Dialect) -> _csv.Reader:
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
    )


@contextmanager
def _any_cell_length(text: str) -> Iterator[None]:
    """The csv module refuses cells above 128 KiB, by a limit of the whole process: lifted only meanwhile."""
    limit = csv.field_size_limit(max(len(text), 1 << 17))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


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


def convert_all(type: str, cells: Sequence[str]) -> list[Any]:
    """The values of a number column without nulls, quickly. Raises ValueError where a cell is none of that type."""
    values = list(map(int if type == "int" else float, cells))
    if "_" in "".join(cells) or (type == "int" and not (min(values) >= -(1 << 63) and max(values) < 1 << 63)):
        raise ValueError(f"not all are {type}")
    return values


def infer_types(names: Sequence[str], rows: Sequence[Sequence[str]], nulls: Sequence[str]) -> list[Column]:
    """Columns with the narrowest type that fits every cell of these rows; without any value: string.

    Without any row: float, which no job refuses. It is for the job to say that there is nothing.
    """
    if not rows:
        return [Column(name, "float") for name in names]
    columns = []
    for index, name in enumerate(names):
        cells = [row[index] for row in rows if index < len(row) and row[index] not in nulls]
        columns.append(Column(name, _narrowest(cells)))
    return columns


def numbers_by_role(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], nulls: Sequence[str], asked: Roles
) -> list[Column]:
    """The same, but a column that must be numbers, and is text for some odd cells, is a column of numbers: then who
    reads it names those cells. Where features are not named, but a target is, a column of more numbers than text must
    be numbers too: it would be left out in silence."""
    found = []
    for index, column in enumerate(columns):
        least = _least_numbers(column.name, asked)
        if column.type == "string" and least is not None:
            cells = [row[index] for row in rows if index < len(row) and row[index] not in nulls]
            if sum(map(_is_number, cells)) > least * len(cells):
                column = Column(column.name, "float")
        found.append(column)
    return found


def _least_numbers(name: str, asked: Roles) -> float | None:
    """The share of numbers above which a column is one of numbers; None for one that may well be text."""
    if name == asked.weights:
        return 0
    if name == asked.target:
        return None if asked.labels else 0
    if asked.categories:
        return None
    if asked.features is not None:
        return 0 if name in asked.features else None
    return None if asked.target is None else 0.5


def _is_number(cell: str) -> bool:
    try:
        to_float(cell)
    except ValueError:
        return False
    return True


def _narrowest(cells: Sequence[str]) -> str:
    for name in ("int", "float") if cells else ():
        try:
            convert_all(name, cells)
        except ValueError:
            continue
        return name
    return "string"


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

"""What is the grammar of CSV, in plain Python, and what is wrong with this block?

`_reference` defines what the compiled path must agree with and words every fault; pyarrow stands in for it where the
data is so tame that both are sure to agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.dataclass import dataclass

if TYPE_CHECKING:
    import pyarrow as pa

_QUOTE, _LF, _CR = b'"', b"\n", b"\r"


class Kind(Enum):
    """What a wanted column holds; the values are the kernel's."""

    FLOAT = 1
    INT = 2
    STRING = 3


class Fault(Enum):
    RAGGED = "row has {column} cells"
    NUMBER = "not a number"
    QUOTE = "quotes that do not close at the end of the cell"
    ENCODING = "not UTF-8"


@dataclass(frozen=True, slots=True)
class BadCell:
    """The first thing wrong: row (blank lines not counted) and column from 0, offset in the data, in reading order.

    For RAGGED, offset is that of the row, and column is how many cells it has.
    """

    fault: Fault
    row: int
    column: int
    offset: int


Plan = dict[int, Kind]


class Columns(NamedTuple):
    """The wanted columns (int64, float64, string), as far as the first bad cell's row."""

    arrays: list[pa.Array]
    bad: BadCell | None


def parse_by_library(
    data: Any, delimiter: int, columns: int, wanted: Sequence[int], kinds: Sequence[Kind], *, compiled: bool
) -> Columns:
    """pyarrow where it is sure to agree; `compiled`: a kernel has found a fault, so go straight to the reference."""
    text = bytes(data)
    if not compiled:
        arrays = _by_arrow(text, delimiter, columns, wanted, kinds)
        if arrays is not None:
            return Columns(arrays, None)
    return _reference(text, delimiter, columns, wanted, kinds)


def _by_arrow(
    text: bytes, delimiter: int, columns: int, wanted: Sequence[int], kinds: Sequence[Kind]
) -> list[pa.Array] | None:
    """None where pyarrow refuses or may see another grammar: quotes, lone CR, byte-order mark, nan."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    if _QUOTE in text or text.count(_CR) != text.count(b"\r\n") or text[:3] == b"\xef\xbb\xbf" or not text.strip():
        return None
    types = {Kind.FLOAT: pa.float64(), Kind.INT: pa.int64(), Kind.STRING: pa.string()}
    names = [str(i) for i in range(columns)]
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            csv.ReadOptions(use_threads=False, column_names=names),
            csv.ParseOptions(delimiter=chr(delimiter), quote_char=False, newlines_in_values=False),
            csv.ConvertOptions(
                include_columns=[names[i] for i in wanted],
                column_types={names[i]: types[kind] for i, kind in zip(wanted, kinds, strict=True)},
                null_values=[],
            ),
        ).combine_chunks()
    except pa.ArrowInvalid:
        return None
    arrays = [column.combine_chunks() for column in table.columns]
    for array in arrays:
        if array.null_count or (array.type == pa.float64() and pc.any(pc.is_nan(array)).as_py()):
            return None
    return arrays


@dataclass(frozen=True, slots=True)
class _Cell:
    start: int
    end: int
    quoted: bool


@dataclass(frozen=True, slots=True)
class _Row:
    start: int
    cells: list[_Cell]
    bad_quotes: bool = False


def _row_at(text: bytes, at: int, delimiter: bytes) -> _Row:
    """The row at text[at:], which is not blank. With bad quotes, the cells before them."""
    row = _Row(at, [])
    while True:
        quoted = text[at : at + 1] == _QUOTE
        if quoted:
            start = end = at + 1
            while (end := text.find(_QUOTE, end)) >= 0 and text[end + 1 : end + 2] == _QUOTE:
                end += 2
            behind = end + 1
            if end < 0 or not (text[behind : behind + 1] in (b"", _LF, delimiter) or _is_line_end(text, behind)):
                return _Row(row.start, row.cells, bad_quotes=True)
        else:
            line = text.find(_LF, at)
            line = len(text) if line < 0 else line
            comma = text.find(delimiter, at, line)
            start, end = at, comma if comma >= 0 else line - (line > at and text[line - 1 : line] == _CR)
            behind = end
        row.cells.append(_Cell(start, end, quoted))
        if text[behind : behind + 1] != delimiter:
            return row
        at = behind + 1


def _is_line_end(text: bytes, at: int) -> bool:
    return text[at : at + 1] == _CR and text[at + 1 : at + 2] in (b"", _LF)


def _rows(text: bytes, delimiter: bytes) -> Iterator[_Row]:
    at = 0
    while at < len(text):
        if text[at : at + 1] == _LF or _is_line_end(text, at):
            at += 1
            continue
        row = _row_at(text, at, delimiter)
        yield row
        if row.bad_quotes:
            return
        at = row.cells[-1].end + row.cells[-1].quoted


def to_float(raw: bytes) -> float:
    """Raises ValueError."""
    if b"_" in raw:  # Python's alone: no other reader of CSV takes 1_000 for a number
        raise ValueError(raw)
    return float(raw)


def to_int(raw: bytes) -> int:
    """Raises ValueError, OverflowError beyond 64 bits."""
    if b"_" in raw:
        raise ValueError(raw)
    value = int(raw)
    if not -(1 << 63) <= value < 1 << 63:
        raise OverflowError(value)
    return value


def _value(raw: bytes, kind: Kind, *, quoted: bool) -> Any:
    if kind is Kind.FLOAT:
        return to_float(raw)
    if kind is Kind.INT:
        return to_int(raw)
    return str(raw.replace(b'""', _QUOTE) if quoted else raw, "utf-8")


def _take_row(
    text: bytes, row: _Row, number: int, columns: int, plan: Plan, values: dict[int, list[Any]]
) -> BadCell | None:
    """Append the row's wanted values; what is wrong with it instead."""
    if row.bad_quotes:
        return BadCell(Fault.QUOTE, number, len(row.cells), row.start)
    if len(row.cells) != columns:
        return BadCell(Fault.RAGGED, number, len(row.cells), row.start)
    for column in sorted(plan):
        cell = row.cells[column]
        try:
            values[column].append(_value(text[cell.start : cell.end], plan[column], quoted=cell.quoted))
        except UnicodeDecodeError:
            return BadCell(Fault.ENCODING, number, column, cell.start)
        except (ValueError, OverflowError):
            return BadCell(Fault.NUMBER, number, column, cell.start)
    return None


def _reference(text: bytes, delimiter: int, columns: int, wanted: Sequence[int], kinds: Sequence[Kind]) -> Columns:
    """The grammar, plainly: what the other paths are compared with."""
    import pyarrow as pa

    plan = dict(zip(wanted, kinds, strict=True))
    values: dict[int, list[Any]] = {column: [] for column in wanted}
    bad = None
    rows = 0
    for row in _rows(text, bytes([delimiter])):
        bad = _take_row(text, row, rows, columns, plan, values)
        if bad is not None:
            break
        rows += 1
    types = {Kind.FLOAT: pa.float64(), Kind.INT: pa.int64(), Kind.STRING: pa.string()}
    return Columns([pa.array(values[column][:rows], types[plan[column]]) for column in wanted], bad)

"""What is in a block of a CSV file? Its rows as dicts, as an Arrow batch, as a matrix.

The row lane is Python's csv module and says what is right. The columnar lane is Arrow's parser; where that one refuses
a block, the row lane is asked: it names line, column and value, or gives the columns itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from mapreduce.dataclass import replace
from mapreduce.errors import InputError, InternalError
from mapreduce.formats.bytes_io import decode, is_utf8
from mapreduce.formats.columns import ARROW_NAMES, Column, arrow_types
from mapreduce.formats.csv_schema import CONVERTERS, CsvSchema, convert_all, parse_rows, row_spans
from mapreduce.formats.features import RoleBlock, check_weights
from mapreduce.formats.lines import LineBlock, Lines, Span
from mapreduce.formats.roles import Roles

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mapreduce.kernels.slices import Slices

ARROW_BLOCK_BYTES = (1 << 31) - 1


class CsvBlock(RoleBlock, LineBlock):
    """Whole records of a CSV file. `columns` are those of records() and `arrow`; X and y have their own."""

    empty_is_null = True

    def __init__(self, lines: Lines, schema: CsvSchema, columns: list[Column], roles: Roles) -> None:
        self.bytes = lines.bytes
        self._lines = lines
        self._schema = schema
        self._columns = columns
        self.roles = roles
        self._length: int | None = None
        self._matrix: np.ndarray[Any, Any] | None = None
        self._arrow: pa.RecordBatch | None = None

    def _of(self, lines: Lines) -> CsvBlock:
        return CsvBlock(lines, self._schema, self._columns, self.roles)

    def count(self) -> int:
        """As `len`; where there are quotes by Arrow's parser, which is faster than Python's."""
        if self._length is None and b'"' in self.data:
            self._batch(self._schema.select(self._schema.names[:1], "string"))
        return len(self)

    def _find_spans(self) -> list[Span]:
        return row_spans(self.data, self._schema.dialect)

    def __len__(self) -> int:
        if self._length is None:
            quote = self._schema.dialect.quote.encode()
            is_plain = b"\r" not in self.data and b"\n\n" not in self.data and not self.data.startswith(b"\n")
            if is_plain and not (quote and quote in self.data):
                self._length = self.data.count(b"\n") + (not self.data.endswith(b"\n"))
            else:
                self._length = len(self.spans)
        return self._length

    def records(self) -> Iterator[dict[str, Any]]:
        names = [column.name for column in self._columns]
        cells = self._cells(self._columns)
        return (dict(zip(names, row, strict=False)) for row in zip(*cells, strict=False))

    @property
    def arrow(self) -> pa.RecordBatch:
        if self._arrow is None:
            self._arrow = self._batch(self._columns)
        return self._arrow

    def typed(self, names: Sequence[str]) -> pa.RecordBatch:
        return self._batch(self._schema.select(names))

    def kind_of(self, name: str) -> str:
        return ARROW_NAMES[self._schema.select([name])[0].type]

    @property
    def X(self) -> np.ndarray[Any, Any]:
        """The features. Parsed together with y and the weights, once."""
        features = self.numeric_features()
        if self.roles.categories:
            return self._parse_numeric(features)
        matrix = self._numbers()
        return matrix if matrix.shape[1] == len(features) else _read_only(matrix[:, : len(features)].copy())

    @property
    def y(self) -> np.ndarray[Any, Any]:
        name = self.numeric_target()
        return self._parse_numeric([name])[:, 0] if self.roles.labels else self._number(name)

    @property
    def weights(self) -> np.ndarray[Any, Any] | None:
        name = self.roles.weights
        if name is None:
            return None
        values = self._number(name)
        check_weights(values, name, self.place)
        return values

    def exact_columns(self, names: Sequence[str]) -> Slices:
        """As the decimals in the text, never by way of a float."""
        data = self._utf8()
        if _suits_kernel(data, self._schema):
            from mapreduce.kernels.csv_decimals import parse_csv_decimals

            indices = [self._schema.index(name) for name in names]
            found = parse_csv_decimals(data, ord(self._schema.dialect.delimiter), len(self._schema.columns), indices)
            if found is not None:
                self._length = len(found)
                return found
        return self._exact_cells(names)

    def _exact_cells(self, wanted: Sequence[str]) -> Slices:
        """By way of the row lane: slower, and with an error that names the place."""
        from mapreduce.kernels.csv_decimals import decimals_by_library
        from mapreduce.kernels.slices import to_decimal

        columns = self._schema.select(wanted, "string")
        cells = self._cells(columns)
        try:
            return decimals_by_library(cells, len(self))
        except InputError:  # numbers, but too far apart
            raise
        except ValueError:
            pass
        for index, row in enumerate(zip(*cells, strict=True)):
            for column, cell in zip(columns, row, strict=True):
                try:
                    to_decimal(cell)
                except ValueError:
                    self._refuse_inexact(index, column, cell)
        raise InternalError(f"{self.place(0)}: cells that are numbers one by one are none together")

    def _refuse_inexact(self, index: int, column: Column, cell: str) -> NoReturn:
        if cell in self._schema.nulls:
            raise InputError(
                f"{self.place(index)}: column {column.name!r} has no value there; X and y take numbers only: fill or "
                f"drop such rows first, or name other columns"
            )
        try:
            value = CONVERTERS["float"](cell)
        except ValueError:
            self._refuse_value(index, Column(column.name, "float"), cell)
        role = "the target" if column.name == self.roles.target else "column"
        raise InputError(f"{self.place(index)}: {role} {column.name!r} holds {value}; drop or fill such rows first")

    def place(self, index: int) -> str:
        return self._lines.line_place(self.spans[index].start)

    def _number(self, name: str) -> np.ndarray[Any, Any]:
        return _read_only(self._numbers()[:, self._number_names.index(name)].copy())

    @property
    def _number_names(self) -> tuple[str, ...]:
        """The columns with a role that are numbers for certain."""
        roles = replace(self.roles, target=None) if self.roles.labels else self.roles
        return (replace(roles, features=()) if roles.categories else roles).named

    def _numbers(self) -> np.ndarray[Any, Any]:
        """They are parsed together, once."""
        if self._matrix is None:
            self._matrix = self._parse_numeric(self._number_names)
            self._length = len(self._matrix)
        return self._matrix

    def _parse_numeric(self, wanted: Sequence[str]) -> np.ndarray[Any, Any]:
        columns = self._schema.select(wanted, "float")
        data = self._utf8()
        try:
            return parse_numeric(data, self._schema, wanted)
        except Unparsed:
            pass
        from mapreduce.formats.features import numeric_matrix

        return numeric_matrix(self._batch_of_cells(columns), wanted, self.place)

    def _batch(self, columns: list[Column]) -> pa.RecordBatch:
        import pyarrow as pa

        try:
            batch = parse_columns(self._utf8(), self._schema, columns)
        except pa.ArrowInvalid:
            batch = self._batch_of_cells(columns)
        self._length = batch.num_rows
        return batch

    def _batch_of_cells(self, columns: list[Column]) -> pa.RecordBatch:
        """By way of the row lane: slower, the same values, and errors that a person can act on."""
        import pyarrow as pa

        types = arrow_types(columns)
        cells = self._cells(columns)
        arrays = [pa.array(values, types[column.name]) for column, values in zip(columns, cells, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])

    def _utf8(self) -> bytes:
        encoding = self._schema.dialect.encoding
        if self.data.isascii():
            return self.data
        text = decode(self.data, encoding, self._lines.file, self._lines.offset)
        return self.data if is_utf8(encoding) else text.encode()

    def _rows(self) -> list[list[str]]:
        text = decode(self.data, self._schema.dialect.encoding, self._lines.file, self._lines.offset)
        return parse_rows(text, self._schema.dialect)

    def _cells(self, columns: Sequence[Column]) -> list[Sequence[Any]]:
        """The values of these columns, each a sequence; every row has all of its cells."""
        rows = self._rows()
        self._length = len(rows)
        width = len(self._schema.columns)
        try:
            by_column = list(zip(*rows, strict=True))
        except ValueError:
            by_column = []
        if len(by_column) != width:
            self._refuse_ragged(rows, width)
        return [self._values(column, by_column[self._schema.index(column.name)]) for column in columns]

    def _values(self, column: Column, cells: Sequence[str]) -> Sequence[Any]:
        if column.type == "string":
            return cells
        convert, nulls = CONVERTERS[column.type], self._schema.nulls
        try:
            return convert_all(column.type, cells)
        except ValueError:
            pass
        values: list[Any] = []
        for index, cell in enumerate(cells):
            try:
                values.append(None if cell in nulls else convert(cell))
            except ValueError:
                self._refuse_value(index, column, cell)
        return values

    def _refuse_ragged(self, rows: list[list[str]], width: int) -> NoReturn:
        index = next(index for index, row in enumerate(rows) if len(row) != width)
        row = rows[index]
        raise InputError(
            f"{self.place(index)}: {len(row)} cells, the file has {width} columns: {_shown(row)}; mend the row, or set "
            f"delimiter and quote if they are not {self._schema.dialect.delimiter!r} and {self._schema.dialect.quote!r}"
        )

    def _refuse_value(self, index: int, column: Column, cell: str) -> NoReturn:
        other = "float" if column.type == "int" and _narrows_to_float(cell) else "string"
        article = "an integer of 64 bits" if column.type == "int" else "a number"
        raise InputError(
            f"{self.place(index)}, column {column.name!r}: {_shown(cell)} is not {article}; mend it, or read the "
            f"column otherwise: types={{{column.name!r}: {other!r}}}, or say that it means no value: "
            f"null_values=[{cell!r}] (--read types={column.name}:{other}, --read null_values={cell})"
        )


class Unparsed(Exception):
    """The fast parser refuses the block; the row lane knows why."""


def parse_numeric(data: bytes, schema: CsvSchema, wanted: Sequence[str]) -> np.ndarray[Any, Any]:
    """The columns `wanted` of a block of UTF-8 records as (rows, len(wanted)) float64, C order, read-only.

    Raises Unparsed where a row is ragged or a cell is no number.
    """
    from mapreduce.kernels.load import available

    if available("csv") and _suits_kernel(data, schema):
        from mapreduce.kernels.csv_cells import parse_csv_floats

        indices = [schema.index(name) for name in wanted]
        floats = parse_csv_floats(data, ord(schema.dialect.delimiter), len(schema.columns), indices)
        if floats.bad is not None:
            raise Unparsed
        return _read_only(floats.matrix)
    return _parse_numeric_by_arrow(data, schema, wanted)


def _suits_kernel(data: bytes, schema: CsvSchema) -> bool:
    """The kernel knows no other quote, and no lone \\r as a row's end."""
    if schema.dialect.quote != '"' and b'"' in data:
        return False
    return b"\r" not in data or data.count(b"\r") == data.count(b"\r\n")


def _parse_numeric_by_arrow(data: bytes, schema: CsvSchema, wanted: Sequence[str]) -> np.ndarray[Any, Any]:
    import pyarrow as pa

    from mapreduce.formats.features import numeric_matrix

    try:
        batch = parse_columns(data, schema, schema.select(wanted, "float"))
    except pa.ArrowInvalid:
        raise Unparsed from None
    if any(column.null_count for column in batch.columns):
        raise Unparsed
    return numeric_matrix(batch, wanted)


def parse_columns(data: bytes, schema: CsvSchema, columns: Sequence[Column]) -> pa.RecordBatch:
    """These columns of a block of UTF-8 records, by the compiled loop or by Arrow. Raises pa.ArrowInvalid."""
    import pyarrow as pa
    import pyarrow.csv as pc

    quote = schema.dialect.quote
    plain = _parse_plain(data, schema, columns)
    if plain is not None:
        return plain
    table = pc.read_csv(
        pa.BufferReader(data),
        pc.ReadOptions(
            use_threads=False,
            block_size=min(len(data) + 1, ARROW_BLOCK_BYTES),
            column_names=schema.names,
        ),
        pc.ParseOptions(
            delimiter=schema.dialect.delimiter,
            quote_char=quote or False,
            newlines_in_values=bool(quote) and quote.encode() in data,
        ),
        pc.ConvertOptions(
            check_utf8=False,  # the block was checked as a whole
            column_types=arrow_types(columns),
            include_columns=[column.name for column in columns],
            null_values=list(schema.nulls),
            strings_can_be_null=False,
        ),
    )
    batches = table.combine_chunks().to_batches()
    if not batches:
        raise pa.ArrowInvalid("no rows")
    return batches[0]


def _parse_plain(data: bytes, schema: CsvSchema, columns: Sequence[Column]) -> pa.RecordBatch | None:
    """By the compiled loop; None where it is not there, or does not know these types or cells."""
    from mapreduce.kernels import Kind, parse_plain_columns

    kinds = {"int": Kind.INT, "float": Kind.FLOAT, "string": Kind.STRING}
    if not columns or any(column.type not in kinds for column in columns) or not _suits_kernel(data, schema):
        return None
    import pyarrow as pa

    wanted = [schema.index(column.name) for column in columns]
    delimiter = ord(schema.dialect.delimiter)
    arrays = parse_plain_columns(data, delimiter, len(schema.columns), wanted, [kinds[c.type] for c in columns])
    if arrays is None or not len(arrays[0]):
        return None
    return pa.RecordBatch.from_arrays(list(arrays), names=[column.name for column in columns])


def _read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array.flags.writeable = False
    return array


def _narrows_to_float(cell: str) -> bool:
    try:
        CONVERTERS["float"](cell)
    except ValueError:
        return False
    return True


def _shown(value: object, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."

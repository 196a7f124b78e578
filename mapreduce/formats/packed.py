"""How does a row of a table travel without losing anything? As the bytes that its file has, with the place it is from.

Rows of csv and jsonl are their lines; rows of parquet and arrow, which are no bytes of their own, their values pickled.
`unpack_rows` is the inverse of `pack_rows`: a block from which everything is read as it would be from the file.
"""

from __future__ import annotations

import pickle
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from mapreduce.dataclass import dataclass
from mapreduce.errors import InternalError
from mapreduce.formats.base import InputFile
from mapreduce.formats.bytes_io import line_number
from mapreduce.formats.features import ArrowBlock, RoleBlock
from mapreduce.formats.lines import LineBlock, Lines
from mapreduce.formats.roles import RoleFormat, Roles

IN_BYTES = -1
"""In the place of a batch's number, where a row is found by its first byte."""


class Position(NamedTuple):
    """Where a row of a table stands: in its so many-th file, which batch of an Arrow file, and which byte or row."""

    file: int
    batch: int
    at: int


@dataclass(frozen=True, slots=True)
class RowPlaces:
    """The places of some rows of a table that has these files."""

    files: tuple[InputFile, ...]
    positions: Sequence[Position]

    def place(self, row: int) -> str:
        """For a person. Reads the file: for messages."""
        file, batch, at = self.positions[row]
        found = self.files[file]
        if batch == IN_BYTES:
            return f"{found.path}, line {line_number(found, at)}"
        return f"{found.path}, {f'batch {batch}, ' if batch else ''}row {at}"


def positions_of(block: Any, number: int) -> list[Position]:
    """Where each row of a block of the `number`-th file stands."""
    if isinstance(block, LineBlock):
        return [Position(number, IN_BYTES, block.where(row).number) for row in range(len(block))]
    batch = block.where(0).file.rpartition(", batch ")[2]
    in_batch = int(batch) if batch.isdigit() else 0
    return [Position(number, in_batch, block.where(row).number) for row in range(len(block))]


def pack_rows(block: Any) -> list[bytes]:
    if isinstance(block, LineBlock):
        lines = [block.raw(row) for row in range(len(block))]
        return [line if line.endswith(b"\n") else line + b"\n" for line in lines]
    columns = [column.to_pylist() for column in block.arrow.columns]
    return [pickle.dumps(row, protocol=5) for row in zip(*columns, strict=True)]


def unpack_rows(table: RoleFormat, rows: Sequence[bytes], places: RowPlaces) -> RoleBlock:
    from mapreduce.formats.csv import Csv
    from mapreduce.formats.jsonl import JsonLines

    if isinstance(table, Csv | JsonLines):
        starts = tuple(accumulate(map(len, rows), initial=0))
        file = places.files[places.positions[0].file]
        block = table.block_of(PackedLines(file, 0, b"".join(rows), starts[-1], (), starts, places))
        if block is None:
            raise InternalError(f"{places.place(0)}: a row that was read is empty now")
        return block
    import pyarrow as pa

    names = [name for name, _ in table.kinds() or ()]
    columns = zip(*map(pickle.loads, rows), strict=True)
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], names=names)
    return PackedArrowBlock(batch, table.asked, places)


@dataclass(frozen=True, slots=True)
class PackedLines(Lines):
    """Lines from here and there: those that begin at `starts` of the data stood at `places`."""

    starts: tuple[int, ...] = ()
    places: RowPlaces | None = None

    def _row(self, start: int) -> int:
        return bisect_right(self.starts, start) - 1

    def line_place(self, start: int) -> str:
        if self.places is None:
            raise InternalError("packed lines have no places")
        return self.places.place(self._row(start))

    def at(self, start: int) -> int:
        if self.places is None:
            raise InternalError("packed lines have no places")
        row = self._row(start)
        return self.places.positions[row].at + start - self.starts[row]


class PackedArrowBlock(ArrowBlock):
    """Rows of batches from here and there."""

    def __init__(self, batch: Any, roles: Roles, places: RowPlaces) -> None:
        super().__init__(batch, places.files[places.positions[0].file].path, 0, roles, batch.nbytes)
        self._places = places

    def place(self, index: int) -> str:
        return self._places.place(index)

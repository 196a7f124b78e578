"""How do tables come beside each other whose rows are the same by a key? By two jobs ahead of the one asked for.

```text
each table  --rows as they are--> (key, row)        shuffle by key      --> (key, a row of each table)
            --(place in the first table, rows)-->   shuffle by place    --> rows in the order of the first table
```

A row travels as the bytes that its file has, so what is read from it later, decimals too, is what would be read there.
The same for tables of equal order that are large: there a job counts their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from mapreduce.dataclass import dataclass, replace
from mapreduce.dataflow.records import RecordsFormat
from mapreduce.dataset import Dataset, PlannedInput
from mapreduce.errors import InputError
from mapreduce.formats.base import Block, Extent, Format, InputFile, Piece, Split
from mapreduce.formats.beside import Beside
from mapreduce.formats.beside_block import BesideBlock, Rows, Whole
from mapreduce.formats.features import RoleBlock, class_values
from mapreduce.formats.packed import Position, RowPlaces, pack_rows, positions_of, unpack_rows
from mapreduce.formats.roles import RoleFormat, Roles
from mapreduce.formats.union import MemberFile
from mapreduce.job import Job
from mapreduce.readers import from_records
from mapreduce.reducers.named import Identity

if TYPE_CHECKING:
    import pyarrow as pa

    from mapreduce.result import Result

COUNTED_HERE_BYTES = 256 << 20
"""Rows of less are counted while a job is planned: in a fifth of a second or so."""

Run = Callable[[Job, Dataset], "Result"]


class PackedRow(NamedTuple):
    """A row of a table: whose, where it stands, and its bytes."""

    table: int
    position: Position
    data: bytes


def make_ready(dataset: Dataset, split_bytes: int | None, run: Run) -> Dataset:
    """The same rows, as a dataset that can be planned without running a job. Raises InputError for a key that a table
    lacks, or has twice."""
    resolved = dataset.resolved()
    format, files = resolved.format, list(resolved.found or ())
    if not isinstance(format, Beside):
        return dataset
    if format.on is not None:
        return _joined(resolved, format, files, run)
    if sum(file.size for file in files) <= COUNTED_HERE_BYTES:
        return dataset
    tables = format.cut(files, split_bytes)
    asked = [(table, piece) for table, pieces in enumerate(tables) for piece in pieces]
    counted = dict(run(CountRows(format.tables), from_records(list(enumerate(asked)))).records())
    counts: list[list[int]] = [[] for _ in tables]
    for number, (table, _) in enumerate(asked):
        counts[table].append(counted[number])
    splits = tuple(Split(number, *piece) for number, piece in enumerate(format.join(files, tables, counts)))
    size = sum(file.size for file in files)
    return PlannedInput(format, tuple(files), splits, size, owner=resolved).as_dataset(format)


class CountRows(Job):
    """How many rows each piece of each table has."""

    reduce = None

    def __init__(self, tables: Sequence[RoleFormat]) -> None:
        self.tables = tables

    def map(self, record: tuple[int, tuple[int, Piece]]) -> Iterator[tuple[int, int]]:
        number, (table, piece) = record
        yield number, self.tables[table].count_rows(Split(0, *piece))


def _joined(resolved: Dataset, format: Beside, files: list[InputFile], run: Run) -> Dataset:
    on = str(format.on)
    tables = format.tables_of(files)
    packed = Dataset(resolved.paths, PackedRows(format.tables, tables, on), found=tuple(files), owner=resolved.owner)
    by_key = run(JoinByKey(on, tables), packed)
    in_order = run(InOrder(), by_key.dataset())
    by_key.close()
    return replace(in_order.dataset(), format=JoinedRows(format.tables, format.roles, tables))


class JoinByKey(Job):
    """A row of each table for every key."""

    def __init__(self, on: str, files: tuple[tuple[InputFile, ...], ...]) -> None:
        self.on = on
        self.files = files

    def map(self, record: tuple[Any, PackedRow]) -> Iterator[tuple[Any, PackedRow]]:
        yield record

    def reduce(self, key: Any, values: Iterator[PackedRow]) -> Iterator[tuple[Any, tuple[PackedRow, ...]]]:
        rows: list[PackedRow | None] = [None] * len(self.files)
        for row in values:
            before = rows[row.table]
            if before is not None:
                raise InputError(
                    f"{self._place(row)}: {self.on} {key!r} was in {self._place(before)} already; tables are joined by "
                    f"a column whose values are all different: mend it, or join by another"
                )
            rows[row.table] = row
        found = [row for row in rows if row is not None]
        if len(found) < len(rows):
            lacking = self.files[rows.index(None)]
            raise InputError(
                f"{self._place(found[0])}: {self.on} {key!r} is in no row of "
                f"{lacking[0].path if lacking else 'the other table'}; each table must have all: drop such rows, or "
                f"add what is missing"
            )
        yield key, tuple(found)

    def _place(self, row: PackedRow) -> str:
        return RowPlaces(self.files[row.table], [row.position]).place(0)


class InOrder(Job):
    """Joined rows, in the order of the first table."""

    reduce = Identity()
    sorted_output = True

    def map(self, record: tuple[Any, tuple[PackedRow, ...]]) -> Iterator[tuple[Position, tuple[PackedRow, ...]]]:
        _, rows = record
        yield rows[0].position, rows


@dataclass(frozen=True, slots=True)
class PackedRows(Format):
    """The rows of all tables, one table after the other: records are (key, PackedRow)."""

    tables: tuple[RoleFormat, ...]
    files: tuple[tuple[InputFile, ...], ...]
    on: str

    name: ClassVar[str] = "packed"

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        return self.tables[_table_of(file)].plan_extents(file, split_bytes)

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[Block]:
        number = _table_of(split.file)
        file = self.files[number].index(split.file)
        for block in self.tables[number].read_blocks(split, block_bytes):
            yield PackedBlock(block, number, file, self.on)


class PackedBlock(Block):
    """A table's block, its rows as they travel."""

    def __init__(self, block: Any, table: int, file: int, on: str) -> None:
        self.bytes = block.bytes
        self._block: RoleBlock = block
        self._table = table
        self._file = file
        self._on = on

    def __len__(self) -> int:
        return len(self._block)

    def records(self) -> Iterator[tuple[Any, PackedRow]]:
        keys = class_values(self._block.typed([self._on]), self._on, self._block.place, role="the key").tolist()
        rows = zip(keys, positions_of(self._block, self._file), pack_rows(self._block), strict=True)
        return ((key, PackedRow(self._table, position, data)) for key, position, data in rows)

    def place(self, index: int) -> str:
        return self._block.place(index)

    @property
    def arrow(self) -> pa.RecordBatch:
        return self._block.arrow


@dataclass(frozen=True, slots=True)
class JoinedRows(Format):
    """Rows that were joined, as they rest: `files` are those that they came from, a tuple a table."""

    tables: tuple[RoleFormat, ...]
    roles: Roles
    files: tuple[tuple[InputFile, ...], ...]

    name: ClassVar[str] = "joined"

    def feature_names(self) -> tuple[str, ...] | None:
        return self.roles.features

    def target_name(self) -> str | None:
        return self.roles.target

    def weights_name(self) -> str | None:
        return self.roles.weights

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        return RecordsFormat().plan_extents(file, split_bytes)

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[BesideBlock]:
        for block in RecordsFormat().read_blocks(split, block_bytes):
            together = [rows for _, rows in block.records()]
            parts = []
            for number, (table, files) in enumerate(zip(self.tables, self.files, strict=True)):
                own: list[PackedRow] = [rows[number] for rows in together]
                places = RowPlaces(files, [row.position for row in own])
                parts.append(Rows(Whole(unpack_rows(table, [row.data for row in own], places)), 0, len(own)))
            yield BesideBlock(tuple(parts), self.roles)


def _table_of(file: InputFile) -> int:
    return file.member if isinstance(file, MemberFile) else 0

"""How are Parquet files cut and read? Whole row groups make a split; a group that is too large is cut between rows.

A file is cut by rows, counted over the whole file. Rows of a row group can only be decoded from its first one on, so a
split that begins inside a group decodes what comes before it in vain. To spare most of that, a worker that has read one
cut of a group leaves its reader for the next cut of it that it gets (`_parked`): each worker then decodes a group once.
Files with many row groups (of some 10 MB) avoid the matter: `pyarrow.parquet.write_table(..., row_group_size=...)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, ClassVar, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import InputError
from mapreduce.formats.arrays import plan_rows
from mapreduce.formats.base import Extent, InputFile, Split
from mapreduce.formats.columns import check_string_lists
from mapreduce.formats.features import ArrowBlock
from mapreduce.formats.inputs import is_remote
from mapreduce.formats.roles import Kinds, RoleFormat
from mapreduce.formats.tables import (
    EVERY_COLUMN,
    VARIABLE_BYTES,
    Columns,
    choose_columns,
    common_schema,
    fixed_bytes,
    open_native,
    selected_fields,
    telling,
)

READ_BYTES = 1 << 16
"""Read of a column at a time: rows of many columns are then buffered in little memory."""

MIN_VARIABLE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Parquet(RoleFormat):
    """Parquet files. A record is a dict by column name.

    target, features  y's column and X's columns; None: every numeric column but target and weights
    weights           the column with each row's weight
    columns           which columns to read; None: all, or features, target and weights where features are named
    """

    columns: tuple[str, ...] | None = None
    schema: Columns = EVERY_COLUMN

    name: ClassVar[str] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    def __post_init__(self) -> None:
        check_string_lists(columns=self.columns, features=self.features)

    def resolve(self, files: Sequence[InputFile]) -> Self:
        """Reads each file's footer. Raises InputError where columns differ, UsageError for names that are not there."""
        schema = common_schema(files, _schema_of)
        if schema is None:
            return self
        return replace(
            self, schema=choose_columns(schema, self.columns, self.asked, only_roles=self.features is not None)
        )

    def feature_names(self) -> tuple[str, ...] | None:
        return self.schema.roles.features

    def kinds(self) -> Kinds | None:
        return self.schema.kinds

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        if file.size == 0:
            return []
        with _open(file) as parquet:
            groups = _groups_of(file, parquet.metadata)
        extents: list[Extent] = []
        start, size = 0, 0  # of the groups gathered so far
        for group in groups:
            if group.start > start and size + group.bytes > split_bytes:
                extents.append(Extent(start, group.start, size))
                start, size = group.start, 0
            if group.bytes > split_bytes:
                cuts = plan_rows(group.rows, group.bytes, split_bytes)
                extents += [Extent(group.start + cut.start, group.start + cut.end, cut.bytes) for cut in cuts]
                start, size = group.start + group.rows, 0
            else:
                size += group.bytes
        rows = groups[-1].start + groups[-1].rows if groups else 0
        if rows > start:
            extents.append(Extent(start, rows, size))
        return extents

    def count_rows(self, split: Split) -> int:
        return split.extent.end - split.extent.start

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[ArrowBlock]:
        file, extent = split.file, split.extent
        names = list(self.schema.names) if self.schema.names is not None else None
        reader = _take_reader(_ReaderKey(file, self.schema.names, block_bytes), extent, names)
        try:
            for row, batch in reader.read(extent.start, extent.end):
                size = extent.bytes * len(batch) // (extent.end - extent.start)
                yield ArrowBlock(batch, file.path, row, self.schema.roles, size)
        except BaseException:
            reader.close()
            raise
        if extent.end < reader.end:
            _park(reader)
        else:
            reader.close()


class _Group(NamedTuple):
    """A row group: its first row, its rows, and its share of the file's bytes."""

    start: int
    rows: int
    bytes: int


def _open(file: InputFile) -> pq.ParquetFile:
    """An open file; closing it closes what it reads from."""
    source = open_native(file)
    try:
        with telling(file, "Parquet"):
            return _ClosingFile(source, pre_buffer=is_remote(file.path), buffer_size=READ_BYTES)
    except BaseException:
        source.close()
        raise


class _ClosingFile(pq.ParquetFile):
    def __init__(self, source: pa.NativeFile, *, pre_buffer: bool, buffer_size: int) -> None:
        self.native = source
        super().__init__(source, pre_buffer=pre_buffer, buffer_size=0 if pre_buffer else buffer_size)

    def __exit__(self, *_: object) -> None:
        self.close(force=True)

    def close(self, force: bool = False) -> None:
        super().close(force=True)
        self.native.close()


def _schema_of(file: InputFile) -> pa.Schema:
    with _open(file) as parquet, telling(file, "Parquet"):
        return parquet.schema_arrow.remove_metadata()


def _groups_of(file: InputFile, metadata: pq.FileMetaData) -> list[_Group]:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    starts = accumulate((group.num_rows for group in groups), initial=0)
    total = max(1, sum(group.total_byte_size for group in groups))
    return [
        _Group(start, group.num_rows, file.size * group.total_byte_size // total)
        for start, group in zip(starts, groups, strict=False)
    ]


class _ReaderKey(NamedTuple):
    file: InputFile
    columns: tuple[str, ...] | None
    block_bytes: int


class _Reader:
    """Reads rows of consecutive row groups, forwards only. Blocks end where they would if all were read."""

    def __init__(self, key: _ReaderKey, extent: Extent, names: list[str] | None) -> None:
        self.key = key
        self._parquet = _open(key.file)
        groups = _groups_of(key.file, self._parquet.metadata)
        mine = [
            n for n, group in enumerate(groups) if group.start < extent.end and group.start + group.rows > extent.start
        ]
        self.start = groups[mine[0]].start
        self.end = groups[mine[-1]].start + groups[mine[-1]].rows
        self.next_row = self.start
        self._last: pa.RecordBatch | None = None  # the batch that ends at next_row
        rows = max(1, int(key.block_bytes / self._row_bytes(mine[0], names)))
        self._batches = self._parquet.iter_batches(rows, row_groups=mine, columns=names, use_threads=False)

    def can_read(self, extent: Extent) -> bool:
        last = len(self._last) if self._last is not None else 0
        return self.next_row - last <= extent.start and extent.end <= self.end

    def read(self, start: int, end: int) -> Iterator[tuple[int, Any]]:
        """The rows [start, end) as (first row, batch)."""
        batch = self._last
        while True:
            if batch is not None:
                first = self.next_row - len(batch)
                low, high = max(start, first), min(end, self.next_row)
                if low < high:
                    yield low, batch.slice(low - first, high - low)
            if self.next_row >= end:
                return
            with telling(self.key.file, "Parquet"):
                batch = self._last = next(self._batches, None)
            if batch is None:
                raise InputError(f"{self.key.file.path}: has fewer rows than its footer says; write it again")
            self.next_row += len(batch)

    def _row_bytes(self, group: int, names: list[str] | None) -> float:
        """What a row takes in memory: known where values have a fixed size, else as large as in the file."""
        metadata = self._parquet.metadata.row_group(group)
        encoded: dict[str, float] = {}
        for number in range(metadata.num_columns):
            chunk = metadata.column(number)
            column = chunk.path_in_schema.split(".")[0]
            encoded[column] = encoded.get(column, 0.0) + chunk.total_uncompressed_size / max(1, metadata.num_rows)
        total = 0.0
        for field in selected_fields(self._parquet.schema_arrow, Columns(None if names is None else tuple(names))):
            fixed = fixed_bytes(field.type)
            total += fixed if fixed is not None else max(encoded.get(field.name, VARIABLE_BYTES), MIN_VARIABLE_BYTES)
        return max(total, 1 / 8)

    def close(self) -> None:
        self._last = None
        self._batches.close()
        self._parquet.close()


_parked: dict[_ReaderKey, _Reader] = {}
"""At most one reader, left inside a row group by a split that ended there; of this process."""


def _take_reader(key: _ReaderKey, extent: Extent, names: list[str] | None) -> _Reader:
    for parked_key in list(_parked):
        reader = _parked.pop(parked_key, None)
        if reader is None:
            continue
        if parked_key == key and reader.can_read(extent):
            return reader
        reader.close()
    return _Reader(key, extent, names)


def _park(reader: _Reader) -> None:
    _parked[reader.key] = reader

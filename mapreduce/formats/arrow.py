"""How are Arrow IPC files (.arrow, .feather) and streams (.arrows) cut and read?

A file is cut between its record batches, and inside them where they are fewer than splits are wanted: an extent counts
in parts of a batch (PARTS to a batch), because how many rows a batch has is known only when it is read. Files are
mapped into memory, so uncompressed columns are not copied; a compressed batch is decompressed as a whole for each cut.
A stream has no index: it is one split.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import pyarrow as pa

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import InputError
from mapreduce.formats.arrays import plan_rows
from mapreduce.formats.base import Extent, InputFile, Split
from mapreduce.formats.columns import check_string_lists
from mapreduce.formats.features import ArrowBlock
from mapreduce.formats.inputs import open_input
from mapreduce.formats.roles import Kinds, RoleFormat
from mapreduce.formats.tables import (
    EVERY_COLUMN,
    Columns,
    choose_columns,
    common_schema,
    open_native,
    selected_fields,
    slices,
    telling,
)

log = logging.getLogger(__name__)

FILE_MAGIC = b"ARROW1"
FEATHER_1_MAGIC = b"FEA1"
PARTS = 64
"""The most cuts of one batch: enough for default splits of a file of 4 GiB in a single batch."""


@dataclass(frozen=True, slots=True)
class Arrow(RoleFormat):
    """Arrow IPC files and streams; which one, its first bytes tell. A record is a dict by column name.

    target, features  y's column and X's columns; None: every numeric column but target and weights
    weights           the column with each row's weight
    columns           which columns to read; None: all, or features, target and weights where features are named
    """

    columns: tuple[str, ...] | None = None
    schema: Columns = EVERY_COLUMN

    name: ClassVar[str] = "arrow"
    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".arrows", ".feather", ".ipc")

    def __post_init__(self) -> None:
        check_string_lists(columns=self.columns, features=self.features)

    def resolve(self, files: Sequence[InputFile]) -> Self:
        """Reads each file's schema. Raises InputError where columns differ, UsageError for names that are not there."""
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
        if _is_stream(file):
            log.info("%s: an Arrow stream cannot be split, so the file is one split", file.path)
            return [Extent(0, 1, file.size)]
        with open_native(file, mapped=True) as source, telling(file, "Arrow"):
            batches = pa.ipc.open_file(source).num_record_batches
        unit = PARTS if file.size <= batches * split_bytes else 1
        extents = plan_rows(batches * PARTS // unit, file.size, split_bytes)
        return [Extent(extent.start * unit, extent.end * unit, extent.bytes) for extent in extents]

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[ArrowBlock]:
        file, extent = split.file, split.extent
        with open_native(file, mapped=True) as source:
            pieces = self._read_stream(file, source) if _is_stream(file) else self._read_file(file, source, extent)
            for piece in pieces:
                step = max(1, int(block_bytes * len(piece.batch) / max(1, piece.batch.nbytes)))
                for start, batch in slices(piece.batch, piece.start, piece.end, step):
                    share = piece.bytes * len(batch) // (piece.end - piece.start)
                    place = f"{file.path}, batch {piece.number}"
                    yield ArrowBlock(batch, place, start, self.schema.roles, share)

    def _read_file(self, file: InputFile, source: pa.NativeFile, extent: Extent) -> Iterator[_Piece]:
        with telling(file, "Arrow"):
            reader = pa.ipc.open_file(source, options=self._options(pa.ipc.open_file(source).schema))
        for number in range(extent.start // PARTS, (extent.end - 1) // PARTS + 1):
            with telling(file, "Arrow"):
                batch = reader.get_batch(number)
            low, high = max(0, extent.start - number * PARTS), min(PARTS, extent.end - number * PARTS)
            start, end = len(batch) * low // PARTS, len(batch) * high // PARTS
            if start < end:
                yield _Piece(batch, number, start, end, extent.bytes * (high - low) // (extent.end - extent.start))

    def _read_stream(self, file: InputFile, source: pa.NativeFile) -> Iterator[_Piece]:
        with telling(file, "Arrow"):
            schema = pa.ipc.open_stream(source).schema
            source.seek(0)
            reader = pa.ipc.open_stream(source, options=self._options(schema))
        number, done = 0, 0
        while True:
            with telling(file, "Arrow"):
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            if len(batch):
                yield _Piece(batch, number, 0, len(batch), source.tell() - done)
                done = source.tell()
            number += 1

    def _options(self, schema: pa.Schema) -> pa.ipc.IpcReadOptions:
        fields = [schema.get_field_index(field.name) for field in selected_fields(schema, self.schema)]
        return pa.ipc.IpcReadOptions(use_threads=False, included_fields=fields)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows [start, end) of record batch `number`, and their bytes in the file."""

    batch: pa.RecordBatch
    number: int
    start: int
    end: int
    bytes: int


def _is_stream(file: InputFile) -> bool:
    with open_input(file) as stream:
        magic = stream.read(len(FILE_MAGIC))
    if magic.startswith(FEATHER_1_MAGIC):
        raise InputError(f"{file.path}: a Feather file of version 1, which is no Arrow IPC; write it as version 2")
    return magic != FILE_MAGIC


def _schema_of(file: InputFile) -> pa.Schema:
    is_stream = _is_stream(file)
    with open_native(file, mapped=True) as source, telling(file, "Arrow"):
        reader = pa.ipc.open_stream(source) if is_stream else pa.ipc.open_file(source)
        return reader.schema.remove_metadata()

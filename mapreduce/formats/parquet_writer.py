"""How are pairs written to Parquet? Two columns, `key` and `value`, of the types that the first batch of pairs has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from mapreduce.errors import UsageError
from mapreduce.formats.base import RecordWriter

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_PAIRS = 1 << 16


class ParquetWriter(RecordWriter):
    """Pairs are gathered in batches. A key or value of another type than the first batch's is a UsageError."""

    suffix: ClassVar[str] = ".parquet"

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._keys: list[Any] = []
        self._values: list[Any] = []
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    def write(self, key: Any, value: Any) -> None:
        self._keys.append(key)
        self._values.append(value)
        if len(self._keys) >= BATCH_PAIRS:
            self._flush()

    def write_columns(self, keys: pa.Array, values: pa.Array) -> None:
        self._flush()
        self._write_batch(keys, values)

    def _flush(self) -> None:
        if self._keys:
            types = (None, None) if self._schema is None else tuple(self._schema.types)
            keys = to_column("key", self._keys, types[0])
            values = to_column("value", self._values, types[1])
            self._keys, self._values = [], []
            self._write_batch(keys, values)

    def _write_batch(self, keys: pa.Array, values: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._schema is None:
            self._schema = pa.schema([("key", keys.type), ("value", values.type)])
            self._writer = pq.ParquetWriter(self.file, self._schema)
        columns = [_fitting(field, column) for field, column in zip(self._schema, (keys, values), strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        """Write what is gathered and the footer; without any pair, a file with two columns of no type."""
        import pyarrow as pa

        self._flush()
        if self._writer is None:
            self._write_batch(pa.nulls(0), pa.nulls(0))
        self._writer.close()


def to_column(name: str, cells: list[Any], type: pa.DataType | None) -> pa.Array:
    """An Arrow array of these cells, of `type` if given. Raises UsageError naming the first cell that does not fit."""
    import pyarrow as pa

    errors = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeEncodeError)
    try:
        return pa.array(cells, type)
    except errors:
        pass
    for count in range(1, len(cells) + 1):
        try:
            type = type or (pa.array(cells[:1]).type if cells[0] is not None else None)
            pa.array(cells[count - 1 : count], type)
        except errors:
            break
    cell = cells[count - 1]
    expected = f", the first was {cells[0]!r:.80}" if type is None else f", but the column holds {type}"
    raise UsageError(
        f"the {name} {cell!r:.80} is of type {_type_name(cell)}{expected}; a Parquet column has one type: yield "
        f"{name}s of one type, or choose --output-format jsonl"
    )


def _type_name(cell: Any) -> str:
    return type(cell).__name__


def _fitting(field: pa.Field, column: pa.Array) -> pa.Array:
    import pyarrow as pa

    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UsageError(
            f"{field.name}s of type {column.type} follow {field.name}s of type {field.type}; a Parquet column has one "
            f"type: yield {field.name}s of one type, or choose --output-format jsonl"
        ) from None


def read_parquet_pairs(path: Path | str) -> Iterator[tuple[Any, Any]]:
    """The pairs of one part file."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)

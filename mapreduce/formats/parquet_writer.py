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
        columns = []
        for field, column in zip(self._schema, (keys, values), strict=True):
            try:
                columns.append(_fitting(column, field.type))
            except ValueError:
                raise UsageError(
                    f"{field.name}s of type {column.type} follow {field.name}s of type {field.type}; yield "
                    f"{field.name}s of one type, or choose --output-format jsonl"
                ) from None
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
    try:
        return _fitting(_array(cells), type)
    except ValueError:
        pass
    fitting, too_many = 0, len(cells)
    while too_many - fitting > 1:  # the first n cells fit, the first m do not
        middle = (fitting + too_many) // 2
        try:
            _fitting(_array(cells[:middle]), type)
            fitting = middle
        except ValueError:
            too_many = middle
    cell = cells[fitting]
    held = type if type is not None else _array(cells[:fitting]).type if fitting else None
    expected = f"but the column holds {held}" if held is not None else "which no Parquet column holds"
    raise UsageError(
        f"the {name} {cell!r:.80} is of type {cell.__class__.__name__}, {expected}; yield {name}s of one type, "
        f"or choose --output-format jsonl"
    )


def _array(cells: list[Any]) -> pa.Array:
    """Of the type that the cells have: asked for int64, Arrow would make 2 of 2.5. Raises ValueError."""
    import pyarrow as pa

    try:
        return pa.array(cells)
    except (pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _fitting(column: pa.Array, type: pa.DataType | None) -> pa.Array:
    """The column as `type`, where no value changes. Raises ValueError."""
    import pyarrow as pa

    if type is None or column.type == type:
        return column
    is_text = pa.types.is_string(column.type) and not pa.types.is_large_string(type)
    if is_text or (pa.types.is_boolean(column.type) and not pa.types.is_null(type)):
        raise ValueError(f"{column.type} is not {type}")  # Arrow would parse it, or make 1 of true
    try:
        return column.cast(type)
    except pa.ArrowNotImplementedError as error:
        raise ValueError(str(error)) from error


def read_parquet_pairs(path: Path | str) -> Iterator[tuple[Any, Any]]:
    """The pairs of one part file."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)

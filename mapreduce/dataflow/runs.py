"""How does a run rest in a segment file, and how does it come back?

Batches are cut or gathered into frames of about FRAME_MEMORY_BYTES as they will be in memory again, since that is what
a merge of many runs has to hold: a frame of each. Rows are pickled, columns are an Arrow stream of one batch.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mapreduce.dataflow.batches import Batch, ColumnBatch, RowBatch
from mapreduce.dataflow.narrow import narrowed, widened
from mapreduce.dataflow.package import dump_value, load_value
from mapreduce.dataflow.sizes import mean_size
from mapreduce.storage.segment_format import Frame, FrameKind
from mapreduce.storage.segment_writer import SegmentInfo, SegmentWriter
from mapreduce.storage.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

FRAME_MEMORY_BYTES = 256 << 10
"""512 runs of this take 128 MiB; a frame's own cost, some 20 us, is small against what is in it."""

OBJECT_BYTES = 64
"""What a small Python object takes beyond its pickle: header, reference count, type, a slot in a list."""

FIRST_PAIRS, MAX_PAIRS, GROWTH = 16, 8192, 8
"""Pairs in a run's first frame, when their size isn't known yet; at most; and how much the next one may grow."""


TOO_LARGE = 4
"""A frame of rows so many times the usual size is cut in two: a merge holds one of each run."""


def encode_rows(batch: RowBatch) -> Frame:
    """Raises UsageError for what can't be pickled."""
    payload = dump_value((batch.keys, batch.values))
    return Frame(FrameKind.PICKLE, len(batch), payload, len(payload) + 2 * OBJECT_BYTES * len(batch))


def encode_columns(batch: ColumnBatch) -> Frame:
    import pyarrow as pa

    table = narrowed(batch.table)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_batch(table)
    payload = memoryview(sink.getvalue())
    memory = len(payload) if table is batch.table else max(len(payload), batch.table.nbytes)
    return Frame(FrameKind.ARROW, len(batch), payload, memory)


def decode_frame(frame: Frame) -> Batch:
    """The inverse of `encode_rows` and `encode_columns`."""
    if frame.kind is FrameKind.PICKLE:
        keys, values = load_value(frame.payload)
        return RowBatch(keys, values)
    import pyarrow as pa

    return ColumnBatch(widened(pa.ipc.open_stream(pa.py_buffer(frame.payload)).read_next_batch()))


class RunWriter:
    """Writes a segment file of sorted runs, one a partition. Partitions ascend, and so do the keys within one.

    As a context manager it removes what it wrote unless `finish` was called. Raises ResourceError, UsageError.
    """

    def __init__(self, store: Store, path: str, partitions: int, *, compress: bool = True) -> None:
        self._segment = SegmentWriter(store, path, partitions, compress=compress)
        self._partition = 0
        self._keys: list[Any] = []
        self._values: list[Any] = []
        self._pairs = FIRST_PAIRS
        self._tables: list[pa.RecordBatch] = []
        self._table_bytes = 0

    def write(self, partition: int, batch: Batch) -> None:
        """Append a batch to a partition's run."""
        if partition != self._partition:
            self._flush()
            self._partition = partition
        if isinstance(batch, RowBatch):
            self._flush_columns()
            self._write_rows(batch)
        else:
            self._flush_rows()
            self._write_columns(batch)

    def finish(self) -> SegmentInfo:
        """Complete the file under its own name."""
        self._flush()
        return self._segment.finish()

    def abort(self) -> None:
        """Remove what was written. Harmless after `finish`."""
        self._segment.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _write_rows(self, batch: RowBatch) -> None:
        at = 0
        while at < len(batch):
            room = self._pairs - len(self._keys)
            if not self._keys and len(batch) - at <= room:
                self._keys, self._values = batch.keys[at:], batch.values[at:]
            else:
                self._keys += batch.keys[at : at + room]
                self._values += batch.values[at : at + room]
            at += room
            if len(self._keys) >= self._pairs:
                self._flush_rows()

    def _flush_rows(self) -> None:
        if not self._keys:
            return
        batch = RowBatch(self._keys, self._values)
        self._keys, self._values = [], []
        frame = self._write_frames(batch)
        fitting = FRAME_MEMORY_BYTES * frame.records // frame.memory
        self._pairs = max(1, min(fitting, self._pairs * GROWTH, MAX_PAIRS))

    def _write_frames(self, batch: RowBatch) -> Frame:
        """Write the pairs as a frame or, where they turn out too large for one, as several. Returns the last."""
        most = TOO_LARGE * FRAME_MEMORY_BYTES
        if len(batch) == 1 or (mean_size(batch.keys) + mean_size(batch.values)) * len(batch) <= most:
            frame = encode_rows(batch)
            if len(batch) == 1 or frame.memory <= most:
                self._segment.write(self._partition, frame)
                return frame
            del frame
        half = len(batch) // 2
        self._write_frames(RowBatch(batch.keys[:half], batch.values[:half]))
        return self._write_frames(RowBatch(batch.keys[half:], batch.values[half:]))

    def _write_columns(self, batch: ColumnBatch) -> None:
        table = batch.table
        if self._tables and self._tables[0].schema != table.schema:
            self._flush_columns()
        rows = max(1, FRAME_MEMORY_BYTES * table.num_rows // max(1, table.nbytes))
        if table.num_rows > rows:
            self._flush_columns()
            for start in range(0, table.num_rows, rows):
                self._segment.write(self._partition, encode_columns(ColumnBatch(table.slice(start, rows))))
        elif table.num_rows:
            self._tables.append(table)
            self._table_bytes += table.nbytes
            if self._table_bytes >= FRAME_MEMORY_BYTES // 2:
                self._flush_columns()

    def _flush_columns(self) -> None:
        if not self._tables:
            return
        import pyarrow as pa

        table = self._tables[0] if len(self._tables) == 1 else pa.concat_batches(self._tables)
        self._tables, self._table_bytes = [], 0
        self._segment.write(self._partition, encode_columns(ColumnBatch(table)))

    def _flush(self) -> None:
        self._flush_rows()
        self._flush_columns()

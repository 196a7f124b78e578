"""What does a map task do? Read its split block by block, map, combine within a bound, and write one segment file.

```text
split -> blocks -> map -> buffer --full--> sorted run (spill)
                            |                  |
                            '------ end ------>'--> runs merged --> one segment: partition 0 | partition 1 | ...
```

A job without `reduce` has no segments: its pairs go to a part file, in input order. `run_sample` maps only the first
blocks, to learn where the keys of a sorted output lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mapreduce.columns import Words
from mapreduce.dataflow.attempt import Attempt, MapSpec, SampleSpec
from mapreduce.dataflow.batches import COLUMNS_FROM_BYTES
from mapreduce.dataflow.combine import Buffer, PairsBuffer, PartialsBuffer, RefusedPair
from mapreduce.dataflow.mapped import MappedBlock, in_block, own_words, placed, skipping_of
from mapreduce.dataflow.output import PartWriter
from mapreduce.dataflow.package import dump_value
from mapreduce.dataflow.partitioner import Partitioner
from mapreduce.dataflow.reduction import Reduction, reduction_of
from mapreduce.dataflow.results import Output
from mapreduce.dataflow.spill import SegmentBuilder
from mapreduce.errors import JobError
from mapreduce.formats.base import Block, Split
from mapreduce.reducers.sums import Sum

if TYPE_CHECKING:
    from mapreduce.dataflow.skipper import Skipper

SAMPLE_KEYS = 1000
"""Keys a sampled split: 32 splits give 32,000, which place each of 256 cuts within a few per cent."""


def run(attempt: Attempt, spec: MapSpec) -> Output:
    """Map a split; the output is a segment file or, without `reduce`, a folder of part files."""
    if attempt.job.reduce is None and not hasattr(attempt.job, "reduce_stream"):
        return _run_map_only(attempt, spec)
    with skipping_of(attempt) as skipper:
        pairs = MappedPairs(attempt, spec)
        if hasattr(attempt.job, "map_stream"):
            pairs.take(attempt.job.map_stream(_lines(attempt, spec.split)))
        elif hasattr(attempt.job, "map_block"):
            for block in _blocks(attempt, spec.split):
                if skipper is None:
                    _take_block(attempt, pairs, block)
                    continue
                for keys, values in _made_columns(attempt, skipper, block):
                    pairs.take_columns(keys, values)
        else:
            for block in _blocks(attempt, spec.split):
                mapped = _mapped(attempt, skipper, block)
                pairs.take(mapped.pairs, mapped.explain)
        return pairs.finish()


def _take_block(attempt: Attempt, pairs: MappedPairs, block: Block) -> None:
    with placed(block, attempt.monitor):
        made = attempt.job.map_block(block)
    if isinstance(made, Words) and pairs.counts_words:
        pairs.take_words(made)
    else:
        pairs.take_columns(*_columns_of(attempt, made))


class MappedPairs:
    """Takes pairs by row or by column, and spills whenever the buffer in use is full."""

    def __init__(self, attempt: Attempt, spec: MapSpec) -> None:
        context = attempt.context
        self.attempt = attempt
        self.reduction: Reduction = reduction_of(attempt.job)
        self.partitioner = Partitioner(attempt.job, context.partitions, spec.cuts)
        self.builder = SegmentBuilder(attempt, self.reduction)
        self.rows: Buffer = self._row_buffer()
        self.words: Any = None
        self.columns: list[Any] = []  # buffers, once there are columns: Arrow is loaded only then

    def take(
        self, pairs: Iterator[tuple[Any, Any]], explain: Callable[[Exception, Any], Exception] | None = None
    ) -> None:
        steps = self.rows.add_pairs(pairs)
        while True:
            try:
                next(steps)
            except StopIteration:
                return
            except Exception as error:
                raised = self._explained(error, explain)
                raise raised from raised.__cause__
            self.attempt.monitor.check()
            if self.rows.full:
                self._spill(self.rows)

    def _explained(self, error: Exception, explain: Callable[[Exception, Any], Exception] | None) -> Exception:
        pair = None
        if isinstance(error, RefusedPair):
            pair, error = error.pair, error.error
        return explain(error, pair) if explain else own_words(error, f"{type(self.attempt.job).__name__}.map")

    @property
    def counts_words(self) -> bool:
        return isinstance(self.reduction.monoid, Sum)

    def take_words(self, words: Words) -> None:
        """Take a text block's words, in the table of all the task's words."""
        if self.words is None:
            from mapreduce.dataflow.combine_columns import WordsBuffer

            self.words = WordsBuffer(self.partitioner, self.attempt.context.buffer_bytes)
        self.words.add(words)
        if self.words.full:
            self._spill(self.words)

    def take_columns(self, keys: Any, values: Any) -> None:
        """Take a block's pairs: in the first buffer that can hold their types, by row if none can."""
        if not self.columns:
            self.columns = self._column_buffers()
        for buffer in self.columns:
            batch = buffer.columns_for(keys, values)
            if batch is not None:
                if not buffer.accepts(batch):
                    self._spill(buffer)
                self._fill(buffer, batch)
                return
        self.take(zip(keys.to_pylist(), values.to_pylist(), strict=True))

    def _fill(self, buffer: Any, batch: Any) -> None:
        added = 0
        while added < len(batch):
            added += buffer.add(batch.slice(added))
            if buffer.full or added < len(batch):
                self._spill(buffer)

    def finish(self) -> Output:
        """Write what is left, and make the one segment of all runs."""
        for buffer in (self.words, *self.columns, self.rows):
            if buffer is not None and not buffer.empty:
                self._spill(buffer)
        return self.builder.finish()

    def _column_buffers(self) -> list[Any]:
        from mapreduce.dataflow.combine_columns import ColumnsBuffer, TotalsBuffer

        monoid, size = self.reduction.monoid, self.attempt.context.buffer_bytes
        if monoid is None and not self.reduction.passes_pairs:
            return []
        columns: list[Any] = [ColumnsBuffer(monoid, self.partitioner, size)]
        return (
            columns if monoid is None or not monoid.totals else [TotalsBuffer(monoid, self.partitioner, size), *columns]
        )

    def _spill(self, buffer: Any) -> None:
        self.builder.add_run(buffer.drain())

    def _row_buffer(self) -> Buffer:
        size = self.attempt.context.buffer_bytes
        monoid = self.reduction.monoid
        if monoid is None:
            return PairsBuffer(self.reduction, self.partitioner, size, self.attempt.monitor)
        columns_pay = self.attempt.context.input_bytes >= COLUMNS_FROM_BYTES
        if columns_pay and monoid.totals:
            from mapreduce.dataflow.plain_pairs import PlainPairsBuffer

            return PlainPairsBuffer(monoid, self.partitioner, size)
        return PartialsBuffer(monoid, self.partitioner, size, columns_pay=columns_pay)


def run_sample(attempt: Attempt, spec: SampleSpec) -> Output:
    """A sample of a split's keys, evenly spaced over its first blocks; the output is a pickled list."""
    keys: list[Any] = []
    with skipping_of(attempt, logged=False) as skipper:
        for block in _blocks(attempt, spec.split):
            if hasattr(attempt.job, "map_block"):
                for column, _ in _made_columns(attempt, skipper, block):
                    step = max(1, len(column) // SAMPLE_KEYS)
                    keys += column.take(list(range(0, len(column), step))).to_pylist()
            else:
                mapped = _mapped(attempt, skipper, block)
                try:
                    keys += [key for key, _ in mapped.pairs]
                except Exception as error:
                    raised = mapped.explain(error)
                    raise raised from raised.__cause__
            if len(keys) >= SAMPLE_KEYS:
                break
    attempt.job._counters = None  # the map task will count these records
    data = dump_value(keys[:: max(1, len(keys) // SAMPLE_KEYS)])
    return Output(inline=data, bytes=len(data))


def _run_map_only(attempt: Attempt, spec: MapSpec) -> Output:
    writer = PartWriter(attempt)
    job = attempt.job
    try:
        with skipping_of(attempt) as skipper:
            if hasattr(job, "map_stream"):
                writer.write_pairs(job.map_stream(_lines(attempt, spec.split)))
            elif hasattr(job, "map_block"):
                for block in _blocks(attempt, spec.split):
                    for keys, values in _made_columns(attempt, skipper, block):
                        writer.write_columns(keys, values)
            else:
                for block in _blocks(attempt, spec.split):
                    mapped = _mapped(attempt, skipper, block)
                    try:
                        writer.write_pairs(mapped.pairs)
                    except Exception as error:
                        raised = mapped.explain(error)
                        raise raised from raised.__cause__
            return writer.close()
    except BaseException:
        writer.abort()
        raise


def _mapped(attempt: Attempt, skipper: Skipper | None, block: Block) -> MappedBlock:
    """The block's pairs: as fast as can be, or without those of bad records."""
    if skipper is None:
        return MappedBlock(attempt.job, block, attempt.monitor)
    from mapreduce.dataflow.skipping_block import SkippingBlock

    return SkippingBlock(skipper, block)


def _made_columns(attempt: Attempt, skipper: Skipper | None, block: Block) -> list[tuple[Any, Any]]:
    """[the columns that `map_block` made]; [] if the block has no good record."""

    def columns(block: Block) -> tuple[Any, Any]:
        return _columns_of(attempt, attempt.job.map_block(block))

    with placed(block, attempt.monitor):
        if skipper is not None:
            return skipper.map_block(columns, block)
        made = attempt.job.map_block(block)
    return [_columns_of(attempt, made)]


def _blocks(attempt: Attempt, split: Split) -> Iterator[Block]:
    """The split's blocks; progress is noted, and a cancelled attempt ends, between them."""
    context, monitor = attempt.context, attempt.monitor
    total = split.extent.bytes
    for block in context.format.read_blocks(split, context.settings.block_bytes):
        monitor.check()
        monitor.in_hand = in_block(block)
        yield block
        monitor.records_in += len(block)
        monitor.bytes_in = min(total, monitor.bytes_in + block.bytes)
    monitor.bytes_in = total
    monitor.in_hand = monitor.within = None


def _lines(attempt: Attempt, split: Split) -> Iterator[bytes]:
    """The bytes of a split, in pieces of whole lines, for jobs that take the whole split as a stream."""
    for block in _blocks(attempt, split):
        data = getattr(block, "data", None)
        if data is None:
            raise JobError("streaming reads text; use --format text")
        yield data


def _columns_of(attempt: Attempt, made: Any) -> tuple[Any, Any]:
    """What `map_block` returned, as two Arrow arrays of one length. Raises JobError for anything else."""
    from mapreduce.dataflow.combine_columns import as_array

    if isinstance(made, Words):
        made = made.counts()
    name = f"{type(attempt.job).__name__}.map_block"
    if not isinstance(made, tuple) or len(made) != 2:
        raise JobError(f"{name} returned {type(made).__name__}; it must return two columns: keys and values")
    keys, values = as_array(made[0], "keys"), as_array(made[1], "values")
    if len(keys) != len(values):
        raise JobError(f"{name} returned {len(keys)} keys and {len(values)} values; they must be equally many")
    return keys, values

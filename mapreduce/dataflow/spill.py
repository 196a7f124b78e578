"""What if a map task's pairs don't fit in its memory, or a reduce task's runs don't?

Map side: each time its buffer is full, an attempt spills a sorted run of every partition to a file. At the end the runs
are merged, partition by partition, into the attempt's one segment file. One run simply becomes that file.

```text
buffer -> run 0 -.
buffer -> run 1 --+-> merged, FAN_IN at a time -> segment: partition 0 | partition 1 | ...
buffer -> run 2 -'
```

Reduce side: a merge holds a frame of each run. Where the frames of all segments are more than memory allows, runs that
stand next to each other are first merged into longer ones on disk, so their order, and the result, stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from mapreduce.dataclass import dataclass, replace
from mapreduce.dataflow.attempt import Attempt, ReduceSpec
from mapreduce.dataflow.batches import Batch, RowBatch
from mapreduce.dataflow.merge import CHUNK_PAIRS, Run, group_pairs, merge_pairs, merge_rows
from mapreduce.dataflow.merge_columns import merge_batches, merge_partials
from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.reduction import CombineGroup, Reduction
from mapreduce.dataflow.results import Output
from mapreduce.dataflow.runs import RunWriter, decode_frame
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.segment_reader import open_segment
from mapreduce.storage.segment_writer import SegmentInfo
from mapreduce.storage.store import OPEN_AHEAD, Store, open_store, sync_named, will_open, will_read
from mapreduce.storage.traffic import note_read

FAN_IN = 64
"""Runs of a map attempt merged at a time: their frames take 16 MiB. Fewer where frames are large or memory is short."""

MERGE_COPIES = 2
"""A merge holds a run's frame and, for a moment, the pairs that it takes from it."""

RUN_BYTES = 16 << 10
"""What a run takes in a merge beside its frames: its cursor, an open stream, what else was read with a small frame."""

COMPRESS_FROM_BYTES = 4 << 30
"""Input of a job whose segments are compressed. Those of a smaller one stay in the page cache, where LZ4 costs more
than it saves: a sixth of the CPU of a shuffle of numbers."""

MergeRuns = Callable[[Sequence[Run]], Iterator[Batch]]


def merging_of(reduction: Reduction) -> MergeRuns:
    """How runs of this job become one run: combined where it has a combiner or a named reducer."""
    monoid, combine, value_order = reduction.monoid, reduction.combine, reduction.value_order
    if monoid is not None:
        return lambda runs: merge_partials(runs, monoid)
    if combine is not None:
        return lambda runs: _combined(merge_pairs(runs, value_order), combine)
    if value_order is not None:
        return lambda runs: merge_rows(runs, value_order)
    return merge_batches


def watched(merge: MergeRuns, monitor: Monitor) -> MergeRuns:
    """The same merge; each batch that it reads shows progress, and is a point at which the attempt may end."""
    return lambda runs: merge([monitor.watched(run) for run in runs])


def _combined(pairs: Iterator[tuple[Any, Any]], combine: CombineGroup) -> Iterator[RowBatch]:
    combined = ((key, value) for key, values in group_pairs(pairs) for value in combine(key, values))
    while chunk := list(islice(combined, CHUNK_PAIRS)):
        yield RowBatch([key for key, _ in chunk], [value for _, value in chunk])


class SpilledRuns:
    """The runs of one attempt, in order, each a file of all partitions; `finish` makes one file of them.

    `remove` takes away what is left; call it when the attempt fails. Raises ResourceError where the disk is full.
    """

    def __init__(
        self,
        store: Store,
        partitions: int,
        merge: MergeRuns,
        name: Callable[[int], str],
        memory_bytes: int,
        *,
        compress: bool = True,
        early: Store | None = None,
    ) -> None:
        self.compress = compress
        self.store = store
        self.early = early or store  # for what may become the segment file: the first run, or what all are merged into
        self.partitions = partitions
        self.merge = merge
        self.name = name  # of the n-th run
        self.memory_bytes = memory_bytes  # for the frames of the runs that are being merged
        self.count = 0
        self.runs: list[_Spilled] = []

    def add(self, batches: Iterable[tuple[int, Batch]]) -> None:
        """Write a run: (partition, sorted batch) partitions ascending. When a level has enough, they are merged."""
        store = self.store if self.count else self.early
        with RunWriter(store, self._next_name(), self.partitions, compress=self.compress) as writer:
            for partition, batch in batches:
                writer.write(partition, batch)
            info = writer.finish()
        self.runs.append(self._spilled(info, 0))
        while len(self.runs) >= (enough := self._fan_in()) and len({run.level for run in self.runs[-enough:]}) == 1:
            self._merge_last(enough)

    def finish(self, path: str) -> SegmentInfo:
        """Make all runs one segment file at `path`."""
        if len(self.runs) == 1:
            (run,) = self.runs
            self.store.rename(run.info.path, path)
            self.runs = []
            return SegmentInfo(path, run.info.bytes, run.info.records, run.info.checksum)
        while len(self.runs) > (most := self._fan_in()):
            self._merge_last(max(2, min(most, len(self.runs) - most + 1)))
        info = self._merged(self.runs, path, self.early)
        self.runs = []
        return info

    def remove(self) -> None:
        for run in self.runs:
            self.store.remove(run.info.path)
        self.runs = []

    def _next_name(self) -> str:
        self.count += 1
        return self.name(self.count - 1)

    def _fan_in(self) -> int:
        """How many of the runs can be merged at a time."""
        largest = max((run.frame_bytes for run in self.runs), default=0)
        return max(2, min(FAN_IN, self.memory_bytes // (MERGE_COPIES * largest + RUN_BYTES)))

    def _merge_last(self, count: int) -> None:
        last = self.runs[-count:]
        merged = self._merged(last, self._next_name(), self.store)
        self.runs[-count:] = [self._spilled(merged, last[0].level + 1)]

    def _spilled(self, info: SegmentInfo, level: int) -> _Spilled:
        segment = open_segment(self.store, info.path, info.checksum)
        frame_bytes = max(segment.entry(partition).memory for partition in range(self.partitions))
        return _Spilled(info, level, frame_bytes)

    def _merged(self, spilled: Sequence[_Spilled], path: str, store: Store) -> SegmentInfo:
        segments = [open_segment(self.store, run.info.path, run.info.checksum) for run in spilled]
        with RunWriter(store, path, self.partitions, compress=self.compress) as writer:
            for partition in range(self.partitions):
                holders = [segment for segment in segments if segment.entry(partition).records]
                if holders:
                    for batch in self.merge([map(decode_frame, segment.frames(partition)) for segment in holders]):
                        writer.write(partition, batch)
            info = writer.finish()
        for run in spilled:
            self.store.remove(run.info.path)
        return info


@dataclass(frozen=True, slots=True)
class _Spilled:
    info: SegmentInfo
    level: int  # how often it has been merged
    frame_bytes: int  # of its largest frame, in memory


class SegmentBuilder:
    """Makes the one segment file of a map attempt from its runs. `remove` on failure leaves nothing behind."""

    def __init__(self, attempt: Attempt, reduction: Reduction) -> None:
        self.attempt = attempt
        self.paths = JobPaths(attempt.context.root)
        self.spilled = SpilledRuns(
            open_store(attempt.context.root),
            attempt.context.partitions,
            watched(merging_of(reduction), attempt.monitor),
            lambda number: self.paths.spill(attempt.id, number),
            attempt.context.buffer_bytes,
            compress=attempt.context.input_bytes >= COMPRESS_FROM_BYTES,
            early=open_store(attempt.context.root, early=attempt.context.durable),
        )

    def add_run(self, batches: Iterable[tuple[int, Batch]]) -> None:
        """Write (partition, sorted batch), partitions ascending."""
        try:
            self.spilled.add(batches)
        except BaseException:
            self.remove()
            raise

    def finish(self) -> Output:
        """The segment file; its name holds the attempt, so nobody reads it before the attempt is reported."""
        monitor = self.attempt.monitor
        if self.spilled.count > 1:
            monitor.spills += self.spilled.count
        try:
            info = self.spilled.finish(self.paths.segment(self.attempt.id))
            if self.attempt.context.durable:
                sync_named(self.spilled.store, info.path)
        except BaseException:
            self.remove()
            raise
        monitor.records_out += info.records
        return Output(path=info.path, checksum=info.checksum, bytes=info.bytes)

    def remove(self) -> None:
        """Remove the runs that are on disk. Harmless after `finish`."""
        self.spilled.remove()


def open_runs(attempt: Attempt, spec: ReduceSpec, reduction: Reduction) -> list[Run]:
    """The runs of a reduce task's partition, in order of map task, few enough to be merged within its memory.

    Raises OutputLostError, whose `path` names the segment.
    """
    paths = JobPaths(attempt.context.root)
    runs = runs_within(
        open_store(attempt.context.root),
        list(zip(spec.segments, spec.checksums, strict=True)),
        spec.partition,
        attempt.context.buffer_bytes,
        watched(merging_of(reduction), attempt.monitor),
        lambda number: paths.spill(attempt.id, number),
    )
    return [attempt.monitor.watched(run) for run in runs]


def runs_within(
    store: Store,
    segments: Sequence[tuple[str, int | None]],
    partition: int,
    memory_bytes: int,
    merge: MergeRuns,
    name: Callable[[int], str],
) -> list[Run]:
    """One partition's run of each segment (its path and, if known, checksum) that has any; neighbours merged into files
    `name(n)` while all their frames would take more than `memory_bytes`. Those files are removed once read."""
    sources = list(_sources(store, segments, partition))
    note_read(sum(source.size for source in sources if not source.path.startswith("@")))  # of others the store tells
    number = 0
    while len(sources) > 2 and sum(source.memory for source in sources) > memory_bytes:
        merged: list[_Source] = []
        for group in _neighbours(sources, memory_bytes):
            if len(group) == 1:
                merged += group
                continue
            with RunWriter(store, name(number), 1) as writer:
                for batch in merge(_begun(store, group)):
                    writer.write(0, batch)
                info = writer.finish()
            (source,) = _sources(store, [(info.path, info.checksum)], 0)
            merged.append(replace(source, run=_removed_at_end(source.run, store, info.path)))
            number += 1
        sources = merged
    return _begun(store, sources)


@dataclass(frozen=True, slots=True)
class _Source:
    run: Run
    memory: int  # what a merge holds of it
    path: str
    offset: int
    size: int


def _begun(store: Store, sources: Sequence[_Source]) -> list[Run]:
    """The runs of sources that are merged now: what of them lies on other hosts is on its way from here on."""
    will_read(store, [(source.path, source.offset, source.size) for source in sources])
    return [source.run for source in sources]


def _sources(store: Store, segments: Sequence[tuple[str, int | None]], partition: int) -> Iterator[_Source]:
    for path, _ in segments[:OPEN_AHEAD]:
        will_open(store, path)
    for number, (path, checksum) in enumerate(segments):
        for following, _ in segments[number + OPEN_AHEAD : number + OPEN_AHEAD + 1]:
            will_open(store, following)
        segment = open_segment(store, path, checksum)
        entry = segment.entry(partition)
        if entry.records:
            memory = MERGE_COPIES * entry.memory + RUN_BYTES
            yield _Source(map(decode_frame, segment.frames(partition)), memory, path, entry.offset, entry.length)


def _neighbours(sources: Sequence[_Source], memory_bytes: int) -> Iterator[list[_Source]]:
    """Cut into groups that can be merged within the memory, of at least two."""
    group: list[_Source] = []
    for source in sources:
        if len(group) >= 2 and sum(member.memory for member in group) + source.memory > memory_bytes:
            yield group
            group = []
        group.append(source)
    yield group


def _removed_at_end(run: Run, store: Store, path: str) -> Run:
    try:
        yield from run
    finally:
        store.remove(path)

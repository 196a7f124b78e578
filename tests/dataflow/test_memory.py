"""Does memory stay within its bound, whatever the pairs? Sizes here are small; bench/memory.py shows it at 2 GB."""

from __future__ import annotations

import dataclasses
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataflow import sizes
from mapreduce.dataflow.batches import Batch, RowBatch
from mapreduce.dataflow.combine import Buffer, PairsBuffer, PartialsBuffer
from mapreduce.dataflow.merge import Run, merge_rows
from mapreduce.dataflow.merge_columns import merge_batches, merge_partials
from mapreduce.dataflow.partitioner import Partitioner
from mapreduce.dataflow.plain_pairs import PlainPairsBuffer
from mapreduce.dataflow.reduction import Reduction
from mapreduce.dataflow.runs import FRAME_MEMORY_BYTES, TOO_LARGE, RunWriter
from mapreduce.dataflow.spill import SpilledRuns, merging_of
from mapreduce.errors import InputError, UsageError
from mapreduce.settings import MIN_MEMORY_BYTES, MiB, Settings
from mapreduce.storage.segment_reader import open_segment
from mapreduce.storage.store import LocalStore
from tests.dataflow.columnar import columns_from_rows

BUFFER = 4 * MiB
MEMORY = "128MB"
KEYS = 300_000

PLAIN = Reduction(None, None, None, None)
BY_VALUE = Reduction(None, None, None, lambda key, value: value)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path))


class AnyJob(mr.Job):
    """Partitions by hash."""


def partitioner() -> Partitioner:
    return Partitioner(AnyJob(), 3, None)


# what a buffer holds


SHAPES: dict[str, tuple[Callable[[], Buffer], Callable[[int], tuple[Any, Any]]]] = {
    "counts": (lambda: PartialsBuffer(mr.Sum(), partitioner(), BUFFER), lambda n: (f"word{n}", 1)),
    "counts in a table": (lambda: PlainPairsBuffer(mr.Sum(), partitioner(), BUFFER), lambda n: (f"word{n}", 1)),
    "long keys in a table": (
        lambda: PlainPairsBuffer(mr.Count(), partitioner(), BUFFER),
        lambda n: (f"{n:20000}" if n > 5000 else "short", n),
    ),
    "no longer plain": (
        lambda: PlainPairsBuffer(mr.Sum(), partitioner(), BUFFER),
        lambda n: (f"word{n}", n if n < 9000 else n / 3),
    ),
    "means": (lambda: PartialsBuffer(mr.Mean(), partitioner(), BUFFER), lambda n: (n, n / 3)),
    "a list that grows": (lambda: PartialsBuffer(mr.Sum(), partitioner(), BUFFER), lambda n: ("key", [n, str(n)])),
    "many lists": (lambda: PartialsBuffer(mr.Sum(), partitioner(), BUFFER), lambda n: (n % 1000, [f"document {n}"])),
    "pairs": (lambda: PairsBuffer(PLAIN, partitioner(), BUFFER), lambda n: (f"word{n}", n)),
    "pairs by value": (lambda: PairsBuffer(BY_VALUE, partitioner(), BUFFER), lambda n: ("key", n * 7919 % 10**6)),
    "dictionaries": (lambda: PairsBuffer(PLAIN, partitioner(), BUFFER), lambda n: (n, {"a": n, "b": [str(n)] * 5})),
    "long values": (lambda: PairsBuffer(PLAIN, partitioner(), BUFFER), lambda n: (n, bytes(200_000))),
    "suddenly long values": (
        lambda: PairsBuffer(PLAIN, partitioner(), BUFFER),
        lambda n: (n, bytes(20_000) if n > 5000 else 0),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_buffer_is_full_before_it_takes_more_than_its_share(shape: str, store: LocalStore) -> None:
    make, pair = SHAPES[shape]
    with peak_of_allocations() as peak:
        buffer = make()
        fill(buffer, pair)
        held = peak.now()
        with RunWriter(store, "run", 3) as writer:
            for partition, batch in buffer.drain():
                writer.write(partition, batch)
            writer.finish()
    assert held <= 2.5 * BUFFER
    assert peak.most <= 3.0 * BUFFER


def fill(buffer: Buffer, pair: Callable[[int], tuple[Any, Any]]) -> None:
    for _ in buffer.add_pairs(map(pair, iter(range(10**9)))):
        if buffer.full:
            return


def test_a_buffer_is_full_at_the_same_pair_every_time() -> None:
    def pairs_until_full() -> int:
        seen = 0

        def pair(number: int) -> tuple[Any, Any]:
            nonlocal seen
            seen = number
            return f"word{number}", {frozenset({str(number), "x"}): [number]}

        fill(PairsBuffer(PLAIN, partitioner(), BUFFER), pair)
        return seen

    assert pairs_until_full() == pairs_until_full() > 0


def test_few_keys_with_small_partials_never_fill_a_buffer() -> None:
    buffer = PartialsBuffer(mr.TopK(3), partitioner(), 1 * MiB)
    for _ in buffer.add_pairs((f"key{number % 50}", number) for number in range(200_000)):
        assert not buffer.full
    assert len(buffer.partials) == 50


class Peak:
    """Bytes that Python and numpy have allocated since the start, and the most there were."""

    def __enter__(self) -> Peak:
        tracemalloc.start(1)
        self.base = tracemalloc.get_traced_memory()[0]
        self.most = 0
        return self

    def now(self) -> int:
        return tracemalloc.get_traced_memory()[0] - self.base

    def __exit__(self, *_: object) -> None:
        self.most = tracemalloc.get_traced_memory()[1] - self.base
        tracemalloc.stop()


def peak_of_allocations() -> Peak:
    return Peak()


# what a merge holds


def runs_of_large_values(runs: int, pairs: int, value_bytes: int) -> list[Run]:
    def run(number: int) -> Iterator[Batch]:
        for at in range(0, pairs, 4):
            yield RowBatch([at, at + 1, at + 2, at + 3], [bytes(value_bytes) for _ in range(4)])

    return [run(number) for number in range(runs)]


@pytest.mark.parametrize("merge", [merge_rows, merge_batches, lambda runs: merge_partials(runs, mr.Max())])
def test_a_merge_of_large_values_holds_few_of_them(merge: Callable[[list[Run]], Iterator[Batch]]) -> None:
    with peak_of_allocations() as peak:
        pairs = sum(len(batch) for batch in merge(runs_of_large_values(runs=4, pairs=400, value_bytes=200_000)))
    assert pairs in (1600, 400)  # 320 MB went through; merged by key, 80 MB
    assert peak.most <= 48 * MiB


@pytest.mark.parametrize("reducer", [mr.Sum(), mr.Max()])
def test_a_key_that_goes_on_is_merged_as_it_comes(reducer: Any) -> None:
    rows, batches = 50_000, 40

    def run() -> Iterator[Batch]:
        for _ in range(batches):
            columns = columns_from_rows(["key"] * rows, [1] * rows)
            assert columns is not None
            yield columns

    import pyarrow as pa

    before = pa.total_allocated_bytes()
    most = 0

    def watched() -> Iterator[Batch]:
        nonlocal most
        for batch in run():
            most = max(most, pa.total_allocated_bytes() - before)
            yield batch

    merged = [batch for batch in merge_partials([watched(), run()], reducer) if len(batch)]
    assert [len(batch) for batch in merged] == [1]
    assert merged[0].table.column(1).to_pylist() == [2 * rows * batches if reducer == mr.Sum() else 1]  # type: ignore[union-attr]
    assert most < 30 * MiB  # of 60 MiB that went through


def test_large_pairs_get_small_frames_even_after_small_ones(store: LocalStore) -> None:
    values = [b"x"] * 20_000 + [random.Random(n).randbytes(50_000) for n in range(200)]
    with RunWriter(store, "run", 1) as writer:
        writer.write(0, RowBatch(list(range(len(values))), values))
        writer.finish()
    assert open_segment(store, "run").entry(0).memory <= TOO_LARGE * FRAME_MEMORY_BYTES


def test_runs_with_large_frames_are_merged_few_at_a_time(store: LocalStore) -> None:
    merging = merging_of(PLAIN)
    most = 0

    def merge(runs: Any) -> Iterator[Batch]:
        nonlocal most
        most = max(most, len(runs))
        return merging(runs)

    spilled = SpilledRuns(store, 1, merge, lambda number: f"run-{number}", 10 * MiB)
    for number in range(20):
        spilled.add([(0, RowBatch([number % 3], [random.Random(number).randbytes(1 * MiB)]))])
    info = spilled.finish("segment")
    assert info.records == 20
    assert most <= 5  # each holds a frame of 1 MiB, and takes as much again while it is merged


# whole jobs


def command(*arguments: str) -> Any:
    import json
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "mapreduce", *arguments, "--json"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def many_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    rng = random.Random(7)
    with path.open("w") as file:
        for _ in range(KEYS // 10):
            file.write(" ".join(f"{rng.randrange(KEYS):08d}" for _ in range(15)) + "\n")
    return path


@pytest.mark.parametrize("job", ["wordcount", "wordcount_columns"])
def test_a_job_stays_within_its_memory_and_its_output_is_the_same_for_any(
    job: str, many_words: Path, tmp_path: Path
) -> None:
    tight, ample = tmp_path / "tight", tmp_path / "ample"
    split = "--split-size", "4MB"  # several spills each
    summary = command("run", job, str(many_words), "-o", str(tight), "--memory", MEMORY, "--workers", "2", *split)
    command("run", job, str(many_words), "-o", str(ample), "--memory", "2GB", "--workers", "2")
    assert summary["spills"] > 0
    assert summary["lost_workers"] == 0
    assert parts(tight) == parts(ample)
    counts = Counter(many_words.read_text().split())
    assert parts(tight) == "".join(f"{word}\t{count}\n" for word, count in sorted(counts.items())).encode()


def parts(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("part-*")))


def test_memory_below_the_least_is_refused_with_the_least() -> None:
    with pytest.raises(UsageError, match="at least --memory 128MB"):
        Settings(memory_bytes=MIN_MEMORY_BYTES - 1)
    assert Settings(memory_bytes=MIN_MEMORY_BYTES).memory_bytes == MIN_MEMORY_BYTES


def test_a_line_that_would_take_all_memory_is_refused_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mapreduce.formats.bytes_io import LineBound

    path = tmp_path / "lines.txt"
    path.write_bytes(b"short\n" + b"x" * 3_000_000 + b"\nshort\n")
    lines = mr.read_text(path)
    assert len(list(mr.run(Lengths(), lines, engine="inline", split_size=10**8).records())) == 2
    monkeypatch.setattr(LineBound, "most_bytes", 1_000_000)
    with pytest.raises(InputError, match=r"lines.txt, byte 1048576: .* more than 1 MB.*--memory"):
        mr.run(Lengths(), lines, engine="inline", split_size=10**8)


class Lengths(mr.Job):
    """How many lines of each length there are."""

    reduce = mr.Count()

    def map(self, line: str) -> Iterator[tuple[int, None]]:
        yield len(line), None


# sizes


@dataclasses.dataclass(slots=True)
class Point:
    """With slots."""

    name: str
    numbers: list[float]


class Plain:
    """With a dictionary."""

    def __init__(self) -> None:
        self.text = "x" * 10_000


def test_nested_values_are_reckoned_with_what_they_hold() -> None:
    import numpy as np

    text = "x" * 10_000
    for value in ([text] * 5, (text, [text]), {"a": text}, {text}, Point(text, []), Plain(), [{"a": [text]}]):
        assert sizes.size_of(value) >= 10_000
    assert sizes.size_of([text] * 1000) >= 10_000_000
    assert sizes.size_of(np.zeros((100, 100))[:50]) >= 40_000
    assert sizes.size_of([[[]]] * 3) < 1000
    endless: list[Any] = []
    endless.append(endless)
    assert sizes.size_of(endless) < 1000

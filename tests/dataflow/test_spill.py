"""Runs come back from disk as they went; any number of spills, within any memory, makes the same segment."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.dataflow import runs, spill
from mapreduce.dataflow.batches import Batch, ColumnBatch, RowBatch, to_rows
from mapreduce.dataflow.merge import Run
from mapreduce.dataflow.merge_columns import merge_batches
from mapreduce.dataflow.order import order_key
from mapreduce.dataflow.reduction import Reduction
from mapreduce.dataflow.runs import RunWriter, decode_frame
from mapreduce.dataflow.spill import SpilledRuns, merging_of, runs_within
from mapreduce.errors import OutputLostError, ResourceError, UsageError
from mapreduce.reducers.sums import Sum
from mapreduce.storage.segment_reader import open_segment
from mapreduce.storage.store import LocalStore
from tests.dataflow.columnar import columns_from_rows
from tests.dataflow.key_strategies import keys

PARTITIONS = 3
PASS = merging_of(Reduction(None, None, None, None))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path))


def files(store: LocalStore) -> list[str]:
    return sorted(path.name for path in Path(store.root).rglob("*") if path.is_file())


def open_run(store: LocalStore, path: str, partition: int) -> Run:
    return map(decode_frame, open_segment(store, path).frames(partition))


def pairs_of(run: Run) -> list[tuple[Any, Any]]:
    rows = [to_rows(batch) for batch in run]
    return [pair for row in rows for pair in zip(row.keys, row.values, strict=True)]


def write(store: LocalStore, path: str, batches: list[tuple[int, Batch]]) -> None:
    with RunWriter(store, path, PARTITIONS) as writer:
        for partition, batch in batches:
            writer.write(partition, batch)
        writer.finish()


@given(st.lists(st.lists(st.tuples(keys, keys), max_size=5), max_size=4), st.lists(st.integers(0, 2), min_size=4))
def test_rows_come_back(tmp_path_factory: pytest.TempPathFactory, lists: list[list[Any]], where: list[int]) -> None:
    store = LocalStore(str(tmp_path_factory.getbasetemp()))
    batches: list[tuple[int, Batch]] = [
        (partition, RowBatch([k for k, _ in pairs], [v for _, v in pairs]))
        for partition, pairs in zip(sorted(where), lists, strict=False)
    ]
    write(store, "run", batches)
    for partition in range(PARTITIONS):
        expected = [pair for number, batch in batches if number == partition for pair in pairs_of(iter([batch]))]
        found = pairs_of(open_run(store, "run", partition))
        assert list(map(order_key, found)) == list(map(order_key, expected))


def test_types_come_back_exactly(store: LocalStore) -> None:
    values = [True, 1, 1.0, None, "x", b"x", (1, [2]), {"a": {1}}, 2**70, float("inf")]
    write(store, "run", [(1, RowBatch(list(range(len(values))), values))])
    assert repr([value for _, value in pairs_of(open_run(store, "run", 1))]) == repr(values)


def test_large_batches_are_cut_and_small_ones_gathered(store: LocalStore) -> None:
    words = [f"word{number:09d}" for number in range(40_000)]
    numbers = list(range(40_000))
    columns = columns_from_rows(words, numbers)
    assert columns is not None
    cut_columns: list[tuple[int, Batch]] = [
        (1, ColumnBatch(columns.table.slice(at, 10))) for at in range(0, 40_000, 10)
    ]
    singles: list[tuple[int, Batch]] = [(2, RowBatch([w], [n])) for w, n in zip(words, numbers, strict=True)]
    write(store, "run", [(0, RowBatch(words, numbers)), *cut_columns, *singles])
    segment = open_segment(store, "run")
    for partition in range(PARTITIONS):
        assert pairs_of(open_run(store, "run", partition)) == list(zip(words, numbers, strict=True))
        entry = segment.entry(partition)
        assert 4 <= entry.frames <= 40
        assert entry.memory <= 2 * runs.FRAME_MEMORY_BYTES


def test_frames_shrink_for_large_values(store: LocalStore) -> None:
    write(store, "run", [(0, RowBatch(list(range(200)), [b"x" * 50_000] * 200))])
    write(store, "other", [(0, RowBatch(list(range(200)), [os.urandom(50_000) for _ in range(200)]))])
    assert open_segment(store, "other").entry(0).frames >= 28  # one of 64 before the size is known, then 5 each


def iter_nothing() -> Iterator[int]:
    yield from ()


def test_what_cannot_be_pickled_is_named(store: LocalStore) -> None:
    with pytest.raises(UsageError):
        write(store, "run", [(0, RowBatch(["a"], [iter_nothing()]))])
    assert files(store) == []


# spills


def spilled(store: Any, merge: spill.MergeRuns, pieces: list[list[tuple[int, Batch]]]) -> SpilledRuns:
    runs = SpilledRuns(store, PARTITIONS, merge, lambda number: f"attempts/0-0-0.run-{number}", 1 << 26)
    for piece in pieces:
        runs.add(piece)
    return runs


words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=6)


def sorted_piece(pairs: list[tuple[str, int]]) -> list[tuple[int, Batch]]:
    by_partition = [
        sorted((p for p in pairs if ord(p[0]) % PARTITIONS == n), key=lambda p: p[0]) for n in range(PARTITIONS)
    ]
    return [(n, RowBatch([k for k, _ in part], [v for _, v in part])) for n, part in enumerate(by_partition) if part]


@given(st.lists(words, max_size=9), st.sampled_from([2, 3, 64]))
def test_any_number_of_spills_gives_one_stable_segment(
    tmp_path_factory: pytest.TempPathFactory, lists: list[list[str]], fan_in: int
) -> None:
    store = LocalStore(str(tmp_path_factory.mktemp("spills")))
    numbers = iter(range(100))
    pieces = [[(word, next(numbers)) for word in some] for some in lists]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "FAN_IN", fan_in)
        info = spilled(store, PASS, [sorted_piece(piece) for piece in pieces]).finish("segments/0-0-0.seg")
    everything = dict(sorted_piece([pair for piece in pieces for pair in piece]))
    for partition in range(PARTITIONS):
        expected = pairs_of(iter([everything.get(partition, RowBatch([], []))]))
        assert pairs_of(open_run(store, info.path, partition)) == expected
    assert info.records == sum(map(len, lists))
    assert files(store) == ["0-0-0.seg"]


@given(st.lists(words, max_size=9), st.sampled_from(["sum", "combine"]), st.booleans())
def test_spills_combine(
    tmp_path_factory: pytest.TempPathFactory, lists: list[list[str]], how: str, columnar: bool
) -> None:
    store = LocalStore(str(tmp_path_factory.mktemp("spills")))
    merge = merging_of(Reduction(Sum() if how == "sum" else None, None, lambda key, values: [sum(values)], None))
    pieces = []
    for some in lists:
        piece = sorted_piece(list(Counter(some).items()))
        if columnar:
            piece = [(number, columns_from_rows(*parts(batch)) or batch) for number, batch in piece]
        pieces.append(piece)
    info = spilled(store, merge, pieces).finish("out.seg")
    found = Counter(dict(pair for number in range(PARTITIONS) for pair in pairs_of(open_run(store, info.path, number))))
    assert found == sum((Counter(some) for some in lists), Counter())
    if len(lists) != 1:
        assert info.records == len(found)


def parts(batch: Batch) -> tuple[list[Any], list[Any]]:
    rows = to_rows(batch)
    return rows.keys, rows.values


def test_no_runs_make_an_empty_segment(store: LocalStore) -> None:
    info = spilled(store, PASS, []).finish("out.seg")
    assert (info.records, pairs_of(open_run(store, "out.seg", 2))) == (0, [])


class FullStore(LocalStore):
    """Has no space left from the n-th creation on."""

    left = 99

    def create(self, path: str) -> BinaryIO:
        FullStore.left -= 1
        if FullStore.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return LocalStore.create(self, path)


@pytest.mark.parametrize("space", range(4))
def test_a_full_disk_leaves_nothing_once_removed(tmp_path: Path, space: int) -> None:
    store = FullStore(str(tmp_path))
    FullStore.left = space
    runs = SpilledRuns(store, PARTITIONS, PASS, lambda number: f"run-{number}", 1 << 26)
    with pytest.raises(ResourceError, match="no space left"):
        for _ in range(4):
            runs.add(sorted_piece([("a", 1)]))
        runs.finish("out.seg")
    runs.remove()
    assert files(store) == []


# passes


@pytest.mark.parametrize("memory_bytes", [1, 3_000_000, 1 << 40])
@pytest.mark.parametrize("columnar", [False, True])
def test_merging_within_any_memory_gives_the_same(store: LocalStore, memory_bytes: int, columnar: bool) -> None:
    segments = []
    for number in range(17):
        keys, values = [f"k{i % 50:02d}" for i in range(40)], list(range(number * 40, number * 40 + 40))
        keys.sort()
        batch = (columns_from_rows(keys, values) if columnar else None) or RowBatch(keys, values)
        segments.append(f"s{number}")
        write(store, segments[-1], [(1, batch)] if number != 3 else [])
    merged = runs_within(
        store, [(path, None) for path in segments], 1, memory_bytes, PASS, lambda number: f"passes/{number}"
    )
    assert len(merged) == (16 if memory_bytes > 2**30 else 2 if memory_bytes == 1 else len(merged))
    pairs = pairs_of(merge_batches(merged))
    assert pairs == sorted(pairs_of(_all(store, segments)), key=lambda pair: pair[0])
    assert files(store) == sorted(segments)


def _all(store: LocalStore, segments: list[str]) -> Iterator[Batch]:
    for path in segments:
        yield from open_run(store, path, 1)


def test_a_lost_segment_is_named(store: LocalStore) -> None:
    write(store, "s0", [])
    with pytest.raises(OutputLostError) as caught:
        runs_within(store, [("s0", None), ("s1", None)], 0, 1 << 30, PASS, str)
    assert caught.value.path == "s1"


def test_columns_keep_their_schema(store: LocalStore) -> None:
    table = pa.RecordBatch.from_arrays(
        [pa.array([b"k"], pa.binary(1)), pa.array([1.5]), pa.array([2])], ["key", "s", "n"]
    )
    write(store, "run", [(0, ColumnBatch(table))])
    (batch,) = open_run(store, "run", 0)
    assert isinstance(batch, ColumnBatch)
    assert batch.table.equals(table)

"""Does the table that adds up plain pairs give what the dictionary gives, whatever else comes among them?"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.dataflow import map_task, plain_pairs
from mapreduce.dataflow.batches import ColumnBatch
from mapreduce.dataflow.combine import Buffer, PartialsBuffer, RefusedPair
from mapreduce.dataflow.merge_columns import merge_partials
from mapreduce.dataflow.partitioner import Partitioner
from mapreduce.dataflow.plain_pairs import PlainPairsBuffer
from mapreduce.dataflow.reduce_task import finished
from mapreduce.kernels import available

relaxed = settings(deadline=None, max_examples=150)
BUFFER = 1 << 20
REDUCERS = (mr.Sum(), mr.Count(), mr.Mean())

COMPILED = available("words", "groups", "pairs", compile=True)  # on a new machine nothing is yet


class AnyJob(mr.Job):
    """Partitions by hash."""


class Colour(enum.StrEnum):
    """A key that is text, and more than that."""

    RED = "red"


KEYS = st.sampled_from(
    ["", "a", "b", "red", "a\nb", "\n", "\udc80", "é" * 9, "x" * 40, Colour.RED, 1, 2, True, 1.0, 2**70]
)
VALUES = st.sampled_from([1, 1, 2, -(2**63), 2**63 - 1, 2**70, True, 0.1, 1e300, float("inf")]) | st.integers(300, 305)
PLAIN = [("a", 1)] * 20


def found(buffer: Buffer, reducer: mr.Monoid, blocks: list[list[tuple[Any, Any]]]) -> dict[Any, str]:
    runs = []
    for block in blocks:
        for _ in buffer.add_pairs(iter(block)):
            if buffer.full:
                runs.append([batch for _, batch in buffer.drain()])
    if not buffer.empty:
        runs.append([batch for _, batch in buffer.drain()])
    result: dict[Any, str] = {}
    for batch in merge_partials([iter(run) for run in runs], reducer):
        if isinstance(batch, ColumnBatch):
            keys, values = (column.to_pylist() for column in finished(batch, reducer))
        else:
            keys, values = batch.keys, list(map(reducer.finish, batch.values))
        result |= dict(zip(keys, map(repr, values), strict=True))
    return result


@pytest.mark.parametrize("compiled", [True, False])
@relaxed
@given(
    blocks=st.lists(st.lists(st.tuples(KEYS, VALUES), max_size=8).map(lambda some: some * 3), max_size=4),
    chunk_pairs=st.sampled_from([1, 3, 8192]),
    chunk_bytes=st.sampled_from([0, 20, 1 << 20]),
)
@example([PLAIN, [("b", 2**63 - 1)] * 40, [("a", -1)], [("a", 0.5)], PLAIN], 8192, 1 << 20)
@example([[("b", 2**63 - 1)] * 2, [("b", 1)] * 9, PLAIN], 3, 20)
@example([[("a", 1)] * 4, [("a", True)] * 4, [("a", 1.0)] * 4], 8192, 1 << 20)
@example([[("a\nb", 1), ("", 1), ("a", 1)] * 5, [("\udc80", 1)], [("", 1)]], 8192, 1 << 20)
@example([[("x" * 40, 1), ("a", 1), ("x" * 40, 2), ("y" * 40, 2), ("y" * 40, 2.5)]], 8192, 20)
@example([[(number, 1) for number in (1, 2, 1)] * 9, [(True, 1), (1.0, 1)]], 8192, 1 << 20)
def test_the_same_as_a_dictionary(
    compiled: bool, blocks: list[list[tuple[Any, Any]]], chunk_pairs: int, chunk_bytes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_pairs, "CHUNK_PAIRS", chunk_pairs)
        patch.setattr(plain_pairs, "CHUNK_BYTES", chunk_bytes)
        if not compiled:
            patch.setenv("MAPREDUCE_KERNELS", "off")
        partitioner = Partitioner(AnyJob(), 1, None)
        for reducer in REDUCERS:
            plain = found(PlainPairsBuffer(reducer, partitioner, BUFFER), reducer, blocks)
            assert plain == found(PartialsBuffer(reducer, partitioner, BUFFER), reducer, blocks)


def test_keys_keep_their_type() -> None:
    buffer = PlainPairsBuffer(mr.Sum(), Partitioner(AnyJob(), 1, None), BUFFER)
    keys = found(buffer, mr.Sum(), [[(Colour.RED, 1)]]).keys()
    assert [type(key) for key in keys] == [Colour]


def test_counts_do_not_look_at_values() -> None:
    buffer = PlainPairsBuffer(mr.Count(), Partitioner(AnyJob(), 1, None), BUFFER)
    assert found(buffer, mr.Count(), [[("a", None), ("a", [1]), ("b", "x")] * 9]) == {"a": "18", "b": "9"}
    assert len(buffer.stages) == (2 if COMPILED else 0)  # the first is enough


def test_spills_when_full() -> None:
    buffer = PlainPairsBuffer(mr.Sum(), Partitioner(AnyJob(), 3, None), 8 << 20)
    held, fills = 0, 0
    for _ in buffer.add_pairs((f"a word that is long {number}", number) for number in range(400_000)):
        if buffer.full:
            held += sum(len(batch) for _, batch in buffer.drain())
            fills += 1
            assert buffer.empty and not buffer.full
    assert fills > 1
    assert held + sum(len(batch) for _, batch in buffer.drain()) == 400_000


def test_a_chunk_of_large_keys_is_short() -> None:
    buffer = PlainPairsBuffer(mr.Sum(), Partitioner(AnyJob(), 1, None), 16 << 20)
    taken = 0

    def pairs() -> Iterator[tuple[str, int]]:
        nonlocal taken
        for taken in range(400):
            yield f"{taken:100000}", 1

    steps = [taken for _ in buffer.add_pairs(pairs())]
    assert max(b - a for a, b in pairwise(steps)) <= 11  # a sixteenth of the buffer


def test_a_refused_pair_is_told() -> None:
    buffer = PlainPairsBuffer(mr.Sum(), Partitioner(AnyJob(), 1, None), BUFFER)
    with pytest.raises(RefusedPair) as caught:
        list(buffer.add_pairs(iter([("a", 1)] * 700 + [("a", "x")] + [("a", 1)] * 50)))
    assert caught.value.pair == ("a", "x")
    assert isinstance(caught.value.error, TypeError)


class Lengths(mr.Job):
    """The length of each word, and something else for one that is bad."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[Any, Any]]:
        for word in line.split():
            yield "length", word if word == "bad" else len(word)


class BadKeys(mr.Job):
    """A key that can't be one."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[Any, Any]]:
        yield (["bad"] if line == "bad" else line), 1


@pytest.fixture
def columns_always(monkeypatch: pytest.MonkeyPatch) -> None:
    if not COMPILED:
        pytest.skip("no compiled kernels here")
    monkeypatch.setattr(map_task, "COLUMNS_FROM_BYTES", 0)


@pytest.mark.usefixtures("columns_always")
@pytest.mark.parametrize("job", [Lengths(), BadKeys()])
def test_the_record_of_a_refused_pair_is_named(job: mr.Job, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("good line\n" * 3000 + "bad\n" + "good line\n" * 3000)
    with pytest.raises(mr.JobError) as caught:
        mr.run(job, mr.read_text(path), engine="inline")
    assert f"{path}, byte 30000" in str(caught.value)
    assert "'bad'" in str(caught.value)


class Looks(mr.Job):
    """Its error comes from a loop in C, so no frame of the job's is in the traceback."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        words = line.split()
        return zip(words, map({"good": 1, "line": 1}.__getitem__, words), strict=True)


@pytest.mark.usefixtures("columns_always")
def test_an_error_without_a_frame_is_the_jobs(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("good line\n" * 3000 + "bad\n" + "good line\n" * 3000)
    with pytest.raises(mr.JobError, match="failed 4 times") as caught:
        mr.run(Looks(), mr.read_text(path), engine="inline")
    assert f"{path}, byte 30000" in str(caught.value)


@pytest.mark.usefixtures("columns_always")
def test_bad_records_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("good\n" * 3000 + "bad\n" + "good\n" * 3000)

    class Skips(mr.Job):
        reduce = mr.Sum()

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            yield line, 1 // (line != "bad")

    result = mr.run(Skips(), mr.read_text(path), engine="inline", skip_bad_records=0.1)
    assert dict(result.records()) == {"good": 6000}


@pytest.mark.usefixtures("columns_always")
def test_a_whole_job_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Words(mr.Job):
        reduce = mr.Mean()

        def map(self, line: str) -> Iterator[tuple[str, float]]:
            for number, word in enumerate(line.split()):
                yield word, number / 7

    for name in ("table", "dictionary"):
        if name == "dictionary":
            monkeypatch.setattr(map_task, "COLUMNS_FROM_BYTES", 1 << 60)
        mr.run(Words(), mr.read_text("data/hamlet.txt"), output=tmp_path / name, engine="inline", split_size=40_000)
    table, dictionary = ((tmp_path / name / "part-00000.tsv").read_bytes() for name in ("table", "dictionary"))
    assert table == dictionary

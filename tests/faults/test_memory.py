"""A task that takes too much memory: asked to end, ended, tried again with less, and the same bits at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataflow.frugal import SHARE, may_shrink
from mapreduce.dataflow.results import FailureKind
from mapreduce.settings import MiB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is weighed in /proc")

MEMORY = "300MB"
STEP_BYTES = 4 * MiB


class Kept(mr.Job):
    """Every value of a key, in order: shows each pair that comes elsewhere."""

    def map(self, line: str) -> Iterator[tuple[str, str]]:
        for word in line.split():
            yield word, line

    def reduce(self, key: str, values: Iterator[str]) -> str:
        return ",".join(values)


class Averages(mr.Job):
    """Sums of floats, combined, and exact: their last digits would show each sum that was rounded on the way."""

    reduce = mr.Mean()

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        for word in line.split():
            yield word[:2], 1.0 / (1 + int(word[1:]))


class Balloon(mr.Job):
    """Counts words, and keeps too much while it maps the word `boom`, as often as there are notes in a folder."""

    reduce = mr.Sum()

    def __init__(self, notes: str, *, soon: bool) -> None:
        self.notes = notes
        self.soon = soon  # between two records of a block nobody looks

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        if line == "boom" and (note := next(iter(sorted(Path(self.notes).iterdir())), None)) is not None:
            note.unlink()
            held = []
            while True:
                held.append(b"x" * STEP_BYTES)
                time.sleep(0.02)
                if not self.soon:
                    yield from [("held", 0)] * 20_000  # and so lets others look
        yield line, 1


def text_of(folder: Path, lines: list[str]) -> mr.Dataset:
    path = folder / "input.txt"
    path.write_text("\n".join(lines) + "\n")
    return mr.read_text(str(path))


def notes_in(folder: Path, count: int) -> str:
    notes = folder / "notes"
    notes.mkdir()
    for number in range(count):
        (notes / str(number)).touch()
    return str(notes)


@pytest.mark.parametrize("soon", [True, False], ids=["ended", "asked to end"])
def test_a_task_that_needs_too_much_once_runs_again_alone(tmp_path: Path, soon: bool) -> None:
    dataset = text_of(tmp_path, ["a", "boom", "b", "a", "c", "b"])
    result = mr.run(Balloon(notes_in(tmp_path, 1), soon=soon), dataset, workers=2, memory=MEMORY)
    assert {key: value for key, value in result.records() if key != "held"} == {"a": 2, "b": 2, "boom": 1, "c": 1}
    (report,) = result.failures
    failure = report.failure
    assert failure.kind is FailureKind.MEMORY
    assert report.verdict == "run after a rest"
    assert failure.limit_bytes == 300 * 10**6
    assert failure.limit_bytes * 0.9 <= failure.peak_memory_bytes
    assert failure.record == "'boom'"
    assert failure.place is not None
    assert "input.txt, byte 2" in failure.place
    assert bool(failure.traceback) is not soon  # asked to end, it tells where


def test_the_last_word_names_task_memory_record_place_and_remedy(tmp_path: Path) -> None:
    dataset = text_of(tmp_path, ["a", "boom", "b"])
    with pytest.raises(mr.ResourceError) as caught:
        mr.run(Balloon(notes_in(tmp_path, 9), soon=True), dataset, workers=1, memory=MEMORY, max_attempts=2)
    text = str(caught.value)
    for words in ("map 0 failed 2 times", "MiB of the 286 MiB that a worker may use", "--memory", "--split-size"):
        assert words in text
    assert "input.txt, byte 2" in text
    assert "record: 'boom'" in text


def test_memory_error_of_the_job_is_tried_again(tmp_path: Path) -> None:
    class Asks(mr.Job):
        reduce = mr.Sum()

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            if not (tmp_path / "note").exists():
                (tmp_path / "note").touch()
                raise MemoryError("no room")
            yield line, 1

    result = mr.run(Asks(), text_of(tmp_path, ["a"]), workers=1)
    assert dict(result.records()) == {"a": 1}
    assert [report.failure.kind for report in result.failures] == [FailureKind.MEMORY]


SETUPS: list[int] = []
"""Numbers of the calls of `setup` that lack memory: the first attempts of one map and of two reduces."""


class Short:
    """A mixin: the first attempt of each task lacks memory, so that the second is frugal. In this process only."""

    def setup(self) -> None:
        if SETUPS:
            SETUPS[0] -= 1
            if not SETUPS[0]:
                SETUPS.pop(0)
                raise MemoryError


class ShortKept(Short, Kept):
    pass


class ShortAverages(Short, Averages):
    pass


class ManyAverages(Averages):
    """Partials enough to fill buffers."""

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        for word in line.split():
            yield f"{word} {line[:16]}", 1.0 / (1 + int(word[1:]))
            yield word, 0.1


class ShortManyAverages(Short, ManyAverages):
    pass


class Arrays(Averages):
    """What numpy adds is rounded: the last digits show what is combined with what."""

    reduce = mr.Sum()  # type: ignore[assignment]

    def map(self, line: str) -> Iterator[tuple[str, Any]]:
        import numpy as np

        self.count("lines")
        for word in line.split():
            yield word[:2], np.full(3, 1.0 / (1 + int(word[1:])))


class ShortArrays(Short, Arrays):
    pass


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


JOBS = {"kept": ShortKept(), "averages": ShortAverages(), "many": ShortManyAverages(), "arrays": ShortArrays()}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_frugal_retry_gives_the_same_bits(tmp_path: Path, job: Any) -> None:
    lines = [" ".join(f"w{(number * step) % 9973}" for step in range(3, 13)) for number in range(25_000)]
    dataset = text_of(tmp_path, lines)
    settings: dict[str, Any] = {"engine": "inline", "memory": MEMORY, "split_size": "100MB", "reducers": 2}
    SETUPS.clear()
    whole = mr.run(job, dataset, output=tmp_path / "whole", **settings)
    SETUPS.extend([1, 3 if isinstance(job, Arrays) else 2, 1])  # matrices are no numbers: it begins anew
    short = mr.run(job, dataset, output=tmp_path / "short", **settings)
    assert not SETUPS
    assert [report.task_name for report in short.failures] == ["map 0", "reduce 0", "reduce 1"]
    assert contents(tmp_path / "whole") == contents(tmp_path / "short")
    assert len(contents(tmp_path / "whole")) == 2
    assert whole.outcome is not None
    assert short.outcome is not None
    assert whole.outcome.stats.spills == 0
    assert (short.outcome.stats.spills > 1) is isinstance(job, Kept | ManyAverages)  # of others partials are few
    assert whole.counters == short.counters


def test_what_shrinks_is_what_cannot_change_the_answer() -> None:
    from dataclasses import dataclass

    from mapreduce.dataflow.attempt import MapSpec, ReduceSpec

    @dataclass
    class Context:
        output_format: str = "tsv"

    @dataclass
    class Attempt:
        job: Any
        context: Context

    class Columns(mr.Job):
        reduce = mr.Identity()

        def map_block(self, block: Any) -> Any:
            return block

    class SumByColumns(Columns):
        reduce = mr.Sum()  # type: ignore[assignment]

    class Largest(Averages):
        reduce = mr.Max()  # type: ignore[assignment]

    class Combined(Kept):
        def combine(self, key: str, values: Iterator[str]) -> str:
            return ",".join(values)

    def shrinks(job: Any, spec: Any, output_format: str = "tsv") -> bool:
        return may_shrink(Attempt(job, Context(output_format)), spec.__new__(spec))  # type: ignore[arg-type]

    assert SHARE > 1
    assert shrinks(Kept(), MapSpec)
    assert shrinks(Kept(), ReduceSpec)
    assert not shrinks(Kept(), ReduceSpec, "parquet")  # its row groups are cut as batches come
    assert shrinks(Averages(), MapSpec)
    assert shrinks(Averages(), ReduceSpec)
    assert not shrinks(Largest(), MapSpec)  # of 1 and 1.0 the first stays
    assert not shrinks(SumByColumns(), MapSpec)
    assert shrinks(SumByColumns(), ReduceSpec)
    assert not shrinks(Combined(), MapSpec)
    assert not shrinks(Columns(), MapSpec)
    assert shrinks(Columns(), ReduceSpec)

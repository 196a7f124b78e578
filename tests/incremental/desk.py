"""Jobs of every kind, and a desk that runs one again and again on an input that changes."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataset import Dataset

FILES = 5


class Words(mr.Job):
    """The row lane."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        self.count("lines")
        for word in line.split():
            yield word, 1


class WordsByColumn(mr.Job):
    """The columnar lane."""

    reduce = mr.Count()

    def map_block(self, block: Any) -> Any:
        return block["line"], block["line"]


class Listed(mr.Job):
    """Values in their order; no combiner."""

    def map(self, line: str) -> Iterator[tuple[str, str]]:
        yield line[:2], line

    def reduce(self, key: str, values: Iterator[str]) -> str:
        return ",".join(values)


class MapOnly(mr.Job):
    """No reduce; two outputs."""

    def map(self, line: str) -> Iterator[Any]:
        yield line[:3], line
        if line.endswith("7"):
            yield mr.Named("sevens", line, None)


class FloatSum(mr.Fold):
    """Bits that depend on the order in which sums are taken."""

    def map(self, block: Any) -> float:
        return sum(1.0 / (1 + len(line) + index) for index, line in enumerate(block.records()))

    def reduce(self, a: float, b: float) -> float:
        return a + b


class BigFold(mr.Fold):
    """Partials too large for a message."""

    def map(self, block: Any) -> list[float]:
        partial = [0.1] * 4000
        for line in block.records():
            partial[len(line) * 7 % 4000] += 0.1
        return partial

    def reduce(self, a: list[float], b: list[float]) -> list[float]:
        return [x + y for x, y in zip(a, b, strict=True)]


class Places(mr.Job):
    """Tells where records stand."""

    reduce = mr.Collect()

    def map_block(self, block: Any) -> Any:
        return ["places"], [block.place(0)]


def write(path: Path, *, seed: int, lines: int = 60) -> None:
    generator = random.Random(seed)
    path.write_text("".join(f"w{generator.randrange(50)} x{generator.randrange(10)}\n" for _ in range(lines)))


def lines_of(folder: Path) -> Dataset:
    return mr.read_text(str(folder))


def bytes_of(output: Path) -> dict[str, bytes]:
    """All parts of an output, by name."""
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("part-*"))}


class Desk:
    """Runs a job again and again on the same input, and a fresh run beside it."""

    def __init__(self, tmp_path: Path, job: Any, dataset: Callable[[], Dataset], **settings: Any) -> None:
        self.tmp_path = tmp_path
        self.job = job
        self.dataset = dataset
        self.settings = {"engine": "inline", "incremental": True, **settings}
        self.runs = 0

    def run(self) -> mr.Result:
        """Bring the output up to date, and see that it is that of a fresh run with an empty store."""
        output = self.tmp_path / "output"
        result = mr.run(self.job, self.dataset(), output=output, **self.settings)
        expected = self.tmp_path / f"fresh-{self.runs}"
        self.runs += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MAPREDUCE_CACHE", str(self.tmp_path / "empty"))
            fresh = mr.run(self.job, self.dataset(), output=expected, **self.settings)
        shutil.rmtree(self.tmp_path / "empty", ignore_errors=True)
        assert bytes_of(output) == bytes_of(expected)
        if not result.already_complete:
            assert result.counters == fresh.counters
            assert repr(result.value) == repr(fresh.value)
            assert fresh.notes[0].startswith("reused 0 of ")
        return result

    def reused(self) -> str:
        """What the summary tells of a run."""
        result = self.run()
        return "nothing ran" if result.already_complete else result.notes[0]


def desk_of(tmp_path: Path, texts: Path, job: Any, **settings: Any) -> Desk:
    return Desk(tmp_path, job, lambda: lines_of(texts), **settings)


JOBS = [Words(), WordsByColumn(), Listed(), MapOnly(), FloatSum(), BigFold()]

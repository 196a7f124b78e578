"""A tracker that is killed at any record of its journal, or at any step in the file system: the same command goes on,
runs no finished task again, and makes the same bits."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from tests.faults.killed_runs import (
    When,
    counters_of,
    finished_tasks,
    hash_of,
    in_child,
    killed_at_record,
    killed_at_step,
)


class Mean(mr.Job):
    """Mean of floats by key: their sums depend on the order."""

    reduce = mr.Mean()

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        key, value = line.split()
        self.count("lines")
        yield key, float(value)


class Rejects(mr.Job):
    """With a further output."""

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        key, value = line.split()
        yield key, float(value)

    def reduce(self, key: str, values: Iterator[float]) -> Iterator[Any]:
        total = sum(values)
        yield mr.Named("negative", key, total) if total < 0 else (key, total)


class Lines(mr.Job):
    """Map only."""

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, len(line)


class Moments(mr.Fold):
    """Sums of floats, in partials too large for a message."""

    def map(self, block: Any) -> Any:
        values = np.array([float(line.split()[1]) for line in block.records()])
        return np.outer(values, values)[:60, :60]

    def reduce(self, a: Any, b: Any) -> Any:
        return a + b


class Best(mr.Job):
    """Of a chain: the mean of means by first letter."""

    reduce = mr.Mean()

    def map(self, pair: tuple[str, float]) -> Iterator[tuple[str, float]]:
        yield pair[0][:1], pair[1]


class MeanOfMeans(mr.Chain):
    """Two jobs."""

    def jobs(self) -> list[Any]:
        return [Mean(), Best()]


JOBS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "keyed": (Mean, {"reducers": 2}),
    "sorted": (Mean, {"reducers": 2, "sort": True}),
    "named outputs": (Rejects, {"reducers": 2}),
    "parquet": (Mean, {"reducers": 2, "output_format": "parquet"}),
    "map only": (Lines, {}),
    "fold": (Moments, {}),
    "chain": (MeanOfMeans, {"reducers": 2}),
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(7)
    path = tmp_path_factory.mktemp("in") / "in.txt"
    path.write_text("".join(f"k{rng.randrange(20)} {rng.gauss(0, 1)!r}\n" for _ in range(300)))
    return path


@pytest.fixture(scope="module")
def undisturbed(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The output of a job that nobody disturbed."""
    made: dict[str, Path] = {}

    def output_of(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("whole") / "out"
            run(name, text, made[name])
        return made[name]

    return output_of


def run(name: str, text: Path, output: Path, **settings: Any) -> mr.Result:
    make, options = JOBS[name]
    size = max(1, text.stat().st_size // 3)
    given = {"engine": "inline", "split_size": size, **options, **settings}
    return mr.run(make(), mr.read_text(text), output=output, **given)


def check(root: Path, whole: Path) -> None:
    assert hash_of(root) == hash_of(whole)
    assert counters_of(root) == counters_of(whole)
    assert not (root / "_job").exists()


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("when", When)
def test_killed_at_every_record(
    name: str, when: When, text: Path, tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    whole = undisturbed(name)
    number = 0
    while True:
        number += 1
        out = tmp_path / str(number)
        if not killed_at_record(lambda out=out: run(name, text, out), number, when):  # type: ignore[misc]
            break
        done = finished_tasks(out)
        if name != "chain":  # whose first job has a journal of its own
            assert len(done) == number - (when is not When.AFTER)
        result = run(name, text, out)
        assert result.outcome is not None
        if name != "chain":
            assert result.outcome.past_tasks == len(done)
            assert sum(seconds > 0 for stage in result.outcome.stages for seconds in stage.task_seconds) + len(
                done
            ) == sum(len(stage.task_seconds) for stage in result.outcome.stages)
        check(out, whole)
    assert number >= 3


@pytest.mark.parametrize("name", ["keyed", "fold", "chain"])
def test_killed_at_steps_in_the_file_system(
    name: str, text: Path, tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    """At every third step; `python -m tests.faults.resume_everywhere` does them all."""
    whole = undisturbed(name)
    number = 0
    while True:
        number += 3
        out = tmp_path / str(number)
        if not killed_at_step(lambda out=out: run(name, text, out), number, out):  # type: ignore[misc]
            break
        run(name, text, out)
        check(out, whole)
    assert number > 60


def test_killed_while_going_on(text: Path, tmp_path: Path, undisturbed: Callable[[str], Path]) -> None:
    """And again, at every step of the run that goes on."""
    whole = undisturbed("keyed")
    out = tmp_path / "out"
    assert killed_at_record(lambda: run("keyed", text, out), 4, When.AFTER)
    number, runs = 0, 0
    while killed_at_step(lambda: run("keyed", text, out), number := number + 3, out):
        runs += 1
        assert runs < 200
    check(out, whole)


def test_it_runs_in_children(text: Path, tmp_path: Path) -> None:
    assert in_child(lambda: run("keyed", text, tmp_path / "out")) == 0

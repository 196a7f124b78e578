"""A tracker that is killed at any record of its journal, or at any step in the file system: the same command goes on,
runs no finished task again, and makes the same bits."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
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
    return write_input(tmp_path_factory.mktemp("in") / "in.txt")


def write_input(path: Path) -> Path:
    rng = random.Random(7)
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
        if not killed_at_record(partial(run, name, text, out), number, when):
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
    """At every seventh step; `python -m tests.faults.resume_everywhere` does all of all jobs."""
    assert kill_everywhere(name, text, tmp_path, undisturbed(name), every=7) > 10


@pytest.mark.parametrize("name", ["keyed", "chain"])
def test_killed_while_going_on(name: str, text: Path, tmp_path: Path, undisturbed: Callable[[str], Path]) -> None:
    """And again, at steps of the run that goes on."""
    assert kill_again_everywhere(name, text, tmp_path, undisturbed(name), every=7) > 10


def kill_everywhere(name: str, text: Path, folder: Path, whole: Path, *, every: int) -> int:
    """How many times it was killed, each at another step."""
    kills = 0
    while killed_at_step(partial(run, name, text, folder / "out"), (kills + 1) * every, folder):
        kills += 1
        run(name, text, folder / "out")
        check(folder / "out", whole)
        shutil.rmtree(folder / "out")
    return kills


def kill_again_everywhere(name: str, text: Path, folder: Path, whole: Path, *, every: int) -> int:
    """The same for a run that goes on with what another left after half of its records."""
    out, kept = folder / "out", folder / "kept"
    assert killed_at_record(partial(run, name, text, out), 3, When.AFTER)
    shutil.copytree(out, kept)
    kills = 0
    while killed_at_step(partial(run, name, text, out), (kills + 1) * every, folder):
        kills += 1
        run(name, text, out)
        check(out, whole)
        shutil.rmtree(out)
        shutil.copytree(kept, out)  # with the times of its files
    return kills


def test_killed_while_replacing_an_output(text: Path, tmp_path: Path, undisturbed: Callable[[str], Path]) -> None:
    """With --fresh: the old output is complete, or gone, or on its way out; the same command makes the new one."""
    out, old = tmp_path / "out", tmp_path / "old"
    run("named outputs", text, old, reducers=5)
    shutil.copytree(old, out)
    number, again = 0, {"fresh": True}
    while killed_at_step(partial(run, "keyed", text, out, fresh=True), number := number + 2, tmp_path) and number < 60:
        complete = (out / "_SUCCESS").exists()
        assert not complete or hash_of(out) == hash_of(old)
        run("keyed", text, out, **(again if complete or number % 4 else {}))
        check(out, undisturbed("keyed"))
        shutil.rmtree(out)
        shutil.copytree(old, out)
    assert number > 20


@pytest.mark.parametrize("done", ["all but the last", "all"])
def test_only_the_last_steps_are_left(done: str, text: Path, tmp_path: Path) -> None:
    """A fold and a keyed job whose tasks are all finished write their value, manifest and `_SUCCESS`, and run none."""
    for name, number in (("keyed", 6), ("fold", 5)):
        out = tmp_path / name
        assert killed_at_record(partial(run, name, text, out), number, When.AFTER if done == "all" else When.BEFORE)
        result = run(name, text, out)
        assert result.outcome is not None
        tasks = sum(len(stage.task_seconds) for stage in result.outcome.stages)
        assert result.outcome.past_tasks == (tasks if done == "all" else tasks - 1)

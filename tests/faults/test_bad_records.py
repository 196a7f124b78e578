"""Are records that kill their workers left out after two attempts, and does nobody see who ran what?"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr

LINES = 400
RAISING = (3, 57, 58, 399)
KILLING = (120,)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.txt"
    path.write_text("".join(f"{number}\n" for number in range(LINES)))
    return path


def suffer(number: int, killing: tuple[int, ...] = KILLING) -> None:
    if number in RAISING:
        raise ValueError(f"{number} is bad")
    if number in killing:
        os.kill(os.getpid(), signal.SIGKILL)


class ByRow(mr.Job):
    reduce: Any = mr.Collect()
    killing: tuple[int, ...] = KILLING

    def map(self, line: str) -> Iterator[tuple[int, int]]:
        self.count("seen")
        suffer(int(line), self.killing)
        yield int(line) % 3, int(line)


class MapOnly(ByRow):
    reduce = None


class ByBlock(mr.Job):
    reduce: Any = mr.Sum()

    def map_block(self, block: Any) -> Any:
        numbers = [int(line) for line in block.records()]
        for number in numbers:
            self.count("seen")
            suffer(number)
        return [number % 3 for number in numbers], numbers


class Added(mr.Fold):
    """Floats: the bits tell in which order they were added."""

    def map(self, block: Any) -> float:
        total = 0.0
        for line in block.records():
            self.count("seen")
            suffer(int(line))
            total += 1 / (1 + int(line))
        return total

    def reduce(self, a: float, b: float) -> float:
        return a + b


def digest(folder: Path) -> dict[str, str]:
    """Of every file that tells the result or what was left out."""
    files = [*folder.glob("part-*"), *folder.glob("_skipped/*")]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.parametrize("job", [ByRow, MapOnly, ByBlock, Added])
def test_killers_are_skipped(job: Callable[[], Any], text: Path, tmp_path: Path) -> None:
    """Same bytes, side files and counters for one worker and for three; the killer cost two attempts."""
    found = []
    for workers in (1, 3):
        out = tmp_path / f"out-{workers}"
        result = mr.run(job(), mr.read_text(text), output=out, workers=workers, skip_bad_records=0.1, split_size=500)
        told = [(record.record, record.cause) for record in result.skipped()]
        assert told == [(str(number), "killed" if number in KILLING else "raised") for number in (3, 57, 58, 120, 399)]
        assert result.counters["records skipped"] == 5
        assert result.counters["seen"] == LINES - 5
        assert 1 <= len(result.failures) <= 2  # the end of one that was cancelled just then is nobody's concern
        assert result.outcome is not None
        assert any("skipped 5 of 400 records (1.25 %)" in note for note in result.outcome.notes)
        found.append(digest(out))
    assert found[0] == found[1]


def test_several_killers_in_one_task(text: Path, tmp_path: Path) -> None:
    """Each costs two attempts; those that found a killer don't count against the task."""
    job = ByRow()
    job.killing = (10, 20, 30, 40)
    result = mr.run(job, mr.read_text(text), workers=1, skip_bad_records=0.1, split_size="1MB")
    assert [record.record for record in result.skipped() if record.cause == "killed"] == ["10", "20", "30", "40"]
    assert len(result.failures) == 8


class Hangs(ByRow):
    def map(self, line: str) -> Iterator[tuple[int, int]]:
        while line == "5":
            time.sleep(1)
        yield from super().map(line)


def test_a_record_that_never_ends_kills(text: Path) -> None:
    job = Hangs()
    job.killing = ()
    data = mr.read_text(text)
    result = mr.run(job, data, workers=1, skip_bad_records=0.1, split_size="1MB", task_timeout_seconds=0.4)
    assert [record.record for record in result.skipped() if record.cause == "killed"] == ["5"]


class DiesInSetup(ByRow):
    def setup(self) -> None:
        os._exit(7)


def test_what_kills_without_a_record_ends_the_job(text: Path) -> None:
    with pytest.raises(mr.LostWorkerError, match="exit code 7"):
        mr.run(DiesInSetup(), mr.read_text(text), workers=1, skip_bad_records=0.1, split_size="1MB")


def test_sorted_and_inline(text: Path, tmp_path: Path) -> None:
    """A sample meets the bad records first; and without workers the side files are the same."""
    job = ByRow()
    job.killing = ()
    digests = []
    asked: dict[str, Any] = {"skip_bad_records": 0.1, "split_size": 500, "sort": True, "reducers": 2}
    for engine in (mr.Engine("inline"), mr.Engine(workers=2)):
        out = tmp_path / f"out-{engine.kind}"
        with engine:
            engine.run(job, mr.read_text(text), output=out, **asked)
        digests.append(digest(out))
    assert digests[0] == digests[1]


class Doubled(mr.Job):
    """The first job of a chain: it meets what is bad."""

    reduce: Any = mr.Collect()

    def map(self, line: str) -> Iterator[tuple[int, int]]:
        suffer(int(line), ())
        yield int(line) % 50, int(line)


class Lengths(mr.Job):
    """The second, which has bad records of its own."""

    reduce: Any = mr.Sum()

    def map(self, pair: tuple[int, list[int]]) -> Iterator[tuple[str, int]]:
        if pair[0] == 7:
            raise ValueError("seven")
        yield "all", len(pair[1])


class Chained(mr.Chain):
    def jobs(self) -> list[Any]:
        return [Doubled(), Lengths()]


@pytest.mark.parametrize("kept", [False, True])
def test_chains_tell_of_all_their_jobs(kept: bool, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" if kept else None
    result = mr.run(Chained(), mr.read_text(text), output=out, engine="inline", skip_bad_records=0.1)
    told = list(result.skipped())
    assert [record.record for record in told[:-1]] == [str(number) for number in RAISING]
    assert told[-1].error == "ValueError: seven"
    assert str(dict(result.records())["all"]) == str(LINES - len(RAISING) - 7)  # 57 raised before
    if out is not None:
        assert sorted(str(path.relative_to(out)) for path in (out / "_skipped").iterdir())[0] == "_skipped/job-1"
        again = mr.run(Chained(), mr.read_text(text), output=out, engine="inline", skip_bad_records=0.1)
        assert list(again.skipped()) == told


def test_a_lost_side_file_is_made_again(text: Path, tmp_path: Path) -> None:
    """The tracker may die between its journal and the side file's name: then the map runs again."""
    job, out = ByRow(), tmp_path / "out"
    job.killing = ()
    with mr.Engine("inline") as engine:
        with pytest.raises(mr.JobError, match="more than the 0.1 %"):
            engine.run(job, mr.read_text(text), output=out, skip_bad_records=0.001, split_size=500)
        side = sorted((out / "_skipped").iterdir())
        before = [path.read_bytes() for path in side]
        side[-1].unlink()
        result = engine.run(job, mr.read_text(text), output=out, skip_bad_records=0.1, split_size=500)
    assert [path.read_bytes() for path in side] == before
    assert result.counters["records skipped"] == len(list(result.skipped())) == len(RAISING)

"""Workers that stand still: stopped, hung, or silent. The job goes on without them, and its bytes are the same."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.dataflow.results import FailureKind
from mapreduce.tracker.observer import Observer, WorkerSample

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="stops processes, and looks into /proc")

LINES = 400
RECORD_SECONDS = 0.004


class SlowMean(mr.Job):
    """Means of floats by word, slowly enough to be disturbed."""

    reduce = mr.Mean()

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        time.sleep(RECORD_SECONDS)
        for word in line.split():
            yield word, 1.0 / (1 + len(line) * int(word[1:]))


class Stops(Observer):
    """Stops the first so many workers that are seen at work; lets them go on when told."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.stopped: list[int] = []

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        for sample in samples:
            if len(self.stopped) < self.most and sample.attempt is not None and sample.pid not in self.stopped:
                os.kill(sample.pid, signal.SIGSTOP)
                self.stopped.append(sample.pid)


def dataset_in(folder: Path) -> mr.Dataset:
    path = folder / "input.txt"
    path.write_text("".join(f"w{n % 7} w{n % 31} w{n % 3}\n" for n in range(LINES)))
    return mr.read_text(str(path))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds where users have tens of them."""
    monkeypatch.setattr("mapreduce.tracker.policy.SILENCE_SECONDS", 1.0)


def undisturbed(folder: Path, split_size: str) -> dict[str, bytes]:
    mr.run(SlowMean(), dataset_in(folder), output=folder / "whole", workers=4, split_size=split_size)
    return contents(folder / "whole")


@pytest.mark.usefixtures("patience")
def test_half_of_the_workers_are_stopped(tmp_path: Path) -> None:
    whole = undisturbed(tmp_path, "1KB")
    stops = Stops(2)
    result = mr.run(
        SlowMean(), dataset_in(tmp_path), output=tmp_path / "stopped", workers=4, split_size="1KB", observer=stops
    )
    assert len(stops.stopped) == 2
    assert contents(tmp_path / "stopped") == whole
    assert result.outcome is not None
    assert result.outcome.backups_won >= 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in stops.stopped)


def test_the_only_worker_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mapreduce.workers.pool.STOPPED_SECONDS", 1.0)
    stops = Stops(1)
    result = mr.run(SlowMean(), dataset_in(tmp_path), workers=1, observer=stops)
    assert len(dict(result.records())) == 31
    (report,) = result.failures
    assert "was stopped by a signal, and did not go on for 1 s" in report.failure.message
    assert report.verdict == "run again"


def test_a_stopped_worker_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    stops = Stops(1)
    result = mr.run(SlowMean(), dataset_in(tmp_path), workers=1, observer=stops, task_timeout_seconds=1.0)
    assert len(dict(result.records())) == 31
    (report,) = result.failures
    assert report.failure.kind is FailureKind.TIMEOUT
    assert report.failure.place is not None
    assert "bytes of it were read when the worker was last seen" in report.failure.place
    assert not Path(f"/proc/{stops.stopped[0]}").exists()


class HangsOnce(mr.Job):
    """One record keeps the interpreter to itself the first time, in C code: not even its worker's watch thread runs."""

    reduce = mr.Sum()

    def __init__(self, note: str) -> None:
        self.note = note

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        import re

        if line == "hang" and not Path(self.note).exists():
            Path(self.note).touch()
            re.match(r"(a*)*b", "a" * 1000)
        yield line, 1


@pytest.mark.usefixtures("patience")
def test_code_that_holds_on_to_the_interpreter_gets_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_text("a\nhang\nb\n")
    result = mr.run(HangsOnce(str(tmp_path / "note")), mr.read_text(str(path)), workers=2)
    assert dict(result.records()) == {"a": 1, "hang": 1, "b": 1}
    assert result.outcome is not None
    assert result.outcome.backups_won == 1
    assert result.failures == []


class Slowly(mr.Job):
    """Each stage takes longer than the timeout, and goes on all the while: many records of one block, many values of
    one key, many keys."""

    def __init__(self, slow: str) -> None:
        self.slow = slow

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        self.wait("map")
        yield ("key" if self.slow == "values" else line), 1

    def reduce(self, key: str, values: Iterator[int]) -> int:
        self.wait("keys")
        total = 0
        for value in values:
            self.wait("values")
            total += value
        return total

    def wait(self, where: str) -> None:
        if self.slow == where:
            time.sleep(0.02)


@pytest.mark.parametrize("slow", ["map", "keys", "values"])
def test_a_task_that_goes_on_slowly_makes_progress(tmp_path: Path, slow: str) -> None:
    path = tmp_path / "input.txt"
    path.write_text("".join(f"{n}\n" for n in range(75)))
    result = mr.run(Slowly(slow), mr.read_text(str(path)), workers=1, split_size="1MB", task_timeout_seconds=1.0)
    assert sum(value for _, value in result.records()) == 75
    assert result.failures == []


class SlowCombine(mr.Job):
    """A combiner that takes longer than the timeout for all keys of a spill, and goes on."""

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, 1

    def combine(self, key: str, values: Iterator[int]) -> int:
        time.sleep(0.02)
        return sum(values)

    def reduce(self, key: str, values: Iterator[int]) -> int:
        return sum(values)


def test_a_long_combine_is_progress(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_text("".join(f"{n}\n" for n in range(75)))
    result = mr.run(SlowCombine(), mr.read_text(str(path)), workers=1, split_size="1MB", task_timeout_seconds=1.0)
    assert sum(value for _, value in result.records()) == 75
    assert result.failures == []

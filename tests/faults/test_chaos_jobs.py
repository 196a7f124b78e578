"""Faults on purpose, in real jobs: each is survived, told, and changes no byte."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.engines.chaos import parse_chaos
from mapreduce.engines.injuries import Moment
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.observer import Observer
from tests.conftest import CliResult
from tests.faults import chaos_runs

forks = pytest.mark.skipif(sys.platform != "linux", reason="looks at stopped processes")


@pytest.mark.parametrize(
    ("engine", "chaos", "said"),
    [
        ("local", "7:die=1", "'die'"),
        ("inline", "7", "worker"),
        ("local", "7:kill-host=1", "strike agents of a cluster"),
    ],
)
def test_it_is_refused_before_anything_runs(engine: Any, chaos: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(mr.UsageError) as caught:
        mr.run(Words(), mr.from_records(["a"]), engine=engine, output=tmp_path / "out", chaos=chaos)
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("faults", ["", ":kill=0.1", ":stop=0.1"])
def test_no_good_record_is_taken_for_a_bad_one(faults: str) -> None:
    with pytest.raises(mr.UsageError) as caught:
        mr.run(Words(), mr.from_records(["a"]), chaos=f"7{faults}", skip_bad_records=0.1)
    assert "--skip-bad-records would skip them" in str(caught.value)


class Lines(mr.Job):
    """Counts lines; says a word itself."""

    reduce = mr.Sum()

    def map(self, line: str) -> Any:
        print("mapped", file=sys.stderr)
        yield line, 1


class Heard(Observer):
    """What workers printed."""

    def __init__(self) -> None:
        self.text = ""

    def logged(self, worker: WorkerId, attempt: AttemptId | None, text: str) -> None:
        self.text += text


@forks
def test_only_what_the_job_prints_is_shown() -> None:
    heard = Heard()
    result = mr.run(Lines(), mr.from_records(LINES), workers=1, chaos="3:slow=1", split_size=64, observer=heard)
    assert "slowed" in result.notes[0]
    assert set(heard.text.splitlines()) == {"mapped"}


class Words(mr.Job):
    """How often each word occurs, some records a split."""

    reduce = mr.Sum()

    def map(self, line: str) -> Any:
        for word in line.split():
            yield word, 1


class Naps(Words):
    """The same, in no hurry."""

    def map(self, line: str) -> Any:
        time.sleep(0.05)
        return super().map(line)


LINES = ["a b", "b c", "c d", "d a"] * 2


@forks
@pytest.mark.parametrize("faults", ["kill=1", "slow=0.3", "corrupt=1", "kill=0.4,corrupt=0.6"])
def test_every_attempt_suffers_and_the_job_survives(faults: str) -> None:
    result = mr.run(Words(), mr.from_records(LINES), workers=2, chaos=f"3:{faults}", split_size=32, reducers=2)
    assert dict(result.records()) == {"a": 4, "b": 4, "c": 4, "d": 4}
    (note,) = result.notes
    assert note.startswith("chaos (seed 3) inflicted ")
    assert note.endswith("; all survived")


@forks
def test_a_stopped_worker_is_backed_up() -> None:
    result = mr.run(Words(), mr.from_records(LINES[:2]), workers=2, chaos="56:stop=0.2", split_size=32)
    assert dict(result.records()) == {"a": 1, "b": 2, "c": 1}
    assert result.notes == ["chaos (seed 56) inflicted 1 stop; all survived"]
    assert not result.failures


@forks
def test_a_worker_is_killed_when_it_has_reported() -> None:
    names = [AttemptId(TaskId(stage, index), number) for index in range(9) for number in range(2) for stage in range(2)]

    def moments(seed: int) -> list[Moment]:
        faults = [parse_chaos(f"{seed}:kill=0.02", "job-1").fault_for(name) for name in names]
        return [fault.moment for fault in faults if fault is not None]

    seed = next(seed for seed in range(10_000) if moments(seed) == [Moment.REPORTED])
    # A job that ends at once may end before it has noticed that it has lost the worker.
    result = mr.run(Naps(), mr.from_records(LINES), workers=2, chaos=f"{seed}:kill=0.02", split_size=32)
    assert dict(result.records()) == {"a": 4, "b": 4, "c": 4, "d": 4}
    assert result.notes == [f"chaos (seed {seed}) inflicted 1 kill; all survived"]
    assert result.outcome is not None
    assert result.outcome.lost_workers == 1


@forks
@pytest.mark.parametrize("seed", range(6))
def test_same_bytes_under_chaos(seed: int, tmp_path: Path, expected: Callable[[str], str]) -> None:
    name = list(chaos_runs.CASES)[seed % len(chaos_runs.CASES)]
    row = chaos_runs.Row()
    chaos_runs.chaos_run(name, seed, tmp_path, expected(name), row)
    assert not row.failed
    assert not row.different
    assert row.inflicted


@forks
def test_same_bytes_though_the_tracker_is_killed(tmp_path: Path, expected: Callable[[str], str]) -> None:
    row = chaos_runs.Row()
    for seed in (81, 2):  # killed while it starts, and, where that takes a while, in the midst of the job
        chaos_runs.killed_run("word count", seed, tmp_path, expected("word count"), row)
    assert not row.failed
    assert not row.different
    assert row.inflicted["tracker kill"] > 0


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The digest of a case that nothing happens to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    known: dict[str, str] = {}

    def digest(name: str) -> str:
        if name not in known:
            known[name] = chaos_runs.reference(name, folder)
        return known[name]

    return digest


@forks
def test_the_command_tells_what_was_inflicted(run_cli: Callable[..., CliResult], datadir: Path) -> None:
    asked = ("run", "wordcount", datadir / "hamlet.txt", "--split-size", "20K", "--workers", "2")
    calm = run_cli(*asked)
    wild = run_cli(*asked, "--chaos", "7:kill=0.5")
    assert wild.rc == 0
    assert wild.out == calm.out
    assert "chaos (seed 7) inflicted" in wild.err
    assert "kills; all survived" in wild.err
    wrong = run_cli(*asked, "--chaos", "7:kill=2")
    assert wrong.rc == 2
    assert "must be from 0" in wrong.err

"""Does `mapreduce history` tell what ran, how it ended and how to go on?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.storage.history import JobEnded, job_began, job_ended
from tests.conftest import CliResult

Cli = Callable[..., CliResult]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "mapreduce" / "history.jsonl"


def enter(job: str, at: float, output: Path | None = None, outcome: str = "succeeded") -> None:
    id = job_began(at, job, ["mapreduce", "run", "my jobs.py", "-o", "out"], output, 2)
    job_ended(JobEnded(id, 2.5, outcome, "it went wrong" if outcome == "failed" else "", 64_000_000, 1))


def test_jobs_of_the_command_line_and_of_python(run_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a b a\n")
    assert run_cli("run", "wordcount", "in.txt", "--workers", "1", "-o", "out").rc == 0
    assert run_cli("run", "wordcount", "in.txt", "--inline").rc == 0
    assert run_cli("run", "wordcount", "in.txt", "--workers", "1", "-o", "out").rc == 0  # complete: nothing runs
    (tmp_path / "points.csv").write_text("x,y\n" + "".join(f"{n % 7},{n % 3}\n" for n in range(60)))
    assert run_cli("fit", "kmeans", "points.csv", "--set", "n_clusters=2", "--inline").rc == 0
    jobs = json.loads(run_cli("history", "--json").out)
    assert [(job["outcome"], job["output"]) for job in jobs] == [
        ("succeeded", str(tmp_path / "out")), ("succeeded", ""), ("succeeded", ""),
    ]  # fmt: skip
    assert jobs[0]["command"][:3] == ["mapreduce", "run", "wordcount"]
    assert jobs[2]["jobs"] > 1  # the passes of a fit are one line


def test_a_job_from_python(run_cli: Cli, tmp_path: Path) -> None:
    class Words(mr.Job):
        reduce = mr.Count()

        def map(self, line: str) -> Iterator[tuple[str, int]]:
            yield line, 1

    mr.run(Words(), mr.from_records(["a", "b"]), engine="inline", output=tmp_path / "out")
    mr.run(Words(), mr.from_records(["a", "b"]), engine="inline").close()  # leaves no trace
    assert [line.split("  ")[1:3] for line in run_cli("history").out.splitlines()] == [["Words", "succeeded"]]


def test_lines(run_cli: Cli, tmp_path: Path) -> None:
    enter("WordCount", 1_000_000.0, tmp_path / "counts")
    enter("Sort", 2_000_000.0, tmp_path / "sorted", "failed")
    told = run_cli("history")
    first, second = told.out.splitlines()
    assert first.endswith(f"  WordCount  succeeded  2.5 s  64.0 MB  1 failure  {tmp_path / 'counts'}")
    assert "  Sort  failed  " in second
    assert told.err == ""


def test_how_to_go_on(run_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "out" / "_job").mkdir(parents=True)
    enter("Sort", 1.0, tmp_path / "out", "stopped")
    err = run_cli("history").err
    assert "is unfinished; the same command goes on: cd " in err
    assert "mapreduce run 'my jobs.py' -o out" in err
    assert json.loads(run_cli("history", "--json").out)[0]["can_go_on"] is True


def test_choosing(run_cli: Cli) -> None:
    for number in range(5):
        enter("WordCount" if number % 2 else "Sort", float(number))
    assert len(run_cli("history", "-n", "2").out.splitlines()) == 2
    assert len(run_cli("history", "word_count").out.splitlines()) == 2
    wrong = run_cli("history", "wordcont")
    assert wrong.rc == 2 and "did you mean 'WordCount'" in wrong.err


def test_nothing_yet_and_switched_off(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (run_cli("history").rc, run_cli("history").out) == (0, "")
    monkeypatch.setenv("MAPREDUCE_HISTORY", "off")
    off = run_cli("history")
    assert off.rc == 2 and "MAPREDUCE_HISTORY is off" in off.err

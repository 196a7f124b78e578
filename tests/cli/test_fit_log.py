"""Is what happened in a fit told beside its model, all steps in one log?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.report.events import read_events
from mapreduce.storage.history import read_history
from tests.conftest import CliResult

Cli = Callable[..., CliResult]


@pytest.fixture
def points(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    path.write_text("x,y\n" + "".join(f"{n % 7},{n % 3}\n" for n in range(60)))
    return path


def test_a_fit_from_the_command_line(run_cli: Cli, points: Path, tmp_path: Path) -> None:
    fit = ("fit", "kmeans", points, "--set", "n_clusters=2", "--inline", "-o", "model")
    assert run_cli(*fit).rc == 0
    first = read_events(tmp_path / "model")
    assert len(first.runs) > 1 and {run.outcome for run in first.runs} == {"succeeded"}
    assert [run.head.number for run in first.runs] == list(range(1, len(first.runs) + 1))
    assert run_cli(*fit, "--fresh").rc == 0
    assert len(read_events(tmp_path / "model").runs) == len(first.runs)  # the log of the other fit went with its model


def test_a_fit_from_python_is_one_entry_of_the_history(
    points: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kmeans = pytest.importorskip("algorithms.kmeans")
    model = kmeans.KMeans(n_clusters=2)
    with mr.Engine("inline") as engine, engine.resumable(tmp_path / "model"):
        model.fit(mr.read_csv(str(points)), engine=engine)
        model.save(tmp_path / "model")
    (past,) = read_history(tmp_path / "state" / "mapreduce" / "history.jsonl")
    assert past.began.output == str(tmp_path / "model") and past.state.value == "succeeded"
    assert past.ended is not None and past.ended.jobs == len(read_events(tmp_path / "model").runs)


def test_a_fit_that_fails_says_so_in_the_history(tmp_path: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "bad.csv").write_text("x,y\n1,2\n3,oops\n")
    failed = run_cli("fit", "kmeans", "bad.csv", "--features", "x,y", "--inline", "-o", "model")
    assert failed.rc != 0
    told = json.loads(run_cli("history", "--json").out or "[]")
    assert [job["outcome"] for job in told] in (["failed"], [])  # [] if it was refused before anything ran

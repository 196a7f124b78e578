"""Does `--trace` leave a trace of what the command ran, and refuse a place that it can't write to?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CliResult


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("a b a\n" * 200)
    return path


def test_a_trace_is_written(run_cli: Callable[..., CliResult], words: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    done = run_cli("run", "wordcount", words, "--workers", "1", "--trace", trace, "-q")
    assert (done.rc, done.out) == (0, "a\t400\nb\t200\n")
    spans = [event["name"] for event in json.loads(trace.read_text()) if event["ph"] == "X"]
    assert spans[0] == "WordCount (succeeded)" and {"map 0", "map 1", "reduce 0"} <= set(spans)


def test_a_trace_of_a_job_that_failed(run_cli: Callable[..., CliResult], words: Path, tmp_path: Path) -> None:
    job = tmp_path / "bad.py"
    job.write_text(
        "import mapreduce as mr\nclass Bad(mr.Job):\n    reduce = None\n    def map(self, line):\n        1 / 0\n"
    )
    done = run_cli(
        "run", job, words, "--workers", "1", "--max-attempts", "1", "-o", "out", "--trace", tmp_path / "trace.json"
    )
    assert done.rc == 1
    events = json.loads((tmp_path / "trace.json").read_text())
    assert any("division by zero" in event["name"] for event in events if event["ph"] == "i")


def test_a_file_that_cannot_be_written_is_refused_first(
    run_cli: Callable[..., CliResult], words: Path, tmp_path: Path
) -> None:
    done = run_cli("run", "wordcount", words, "-o", "out", "--trace", tmp_path / "no" / "trace.json")
    assert done.rc == 2 and "can't write the trace" in done.err
    assert not (tmp_path / "out").exists()


def test_nothing_ran(run_cli: Callable[..., CliResult], words: Path, tmp_path: Path) -> None:
    assert run_cli("run", "wordcount", words, "-o", "out", "--workers", "1").rc == 0
    done = run_cli("run", "wordcount", words, "-o", "out", "--trace", "trace.json")
    assert done.rc == 0 and "nothing to trace" in done.err
    assert not (tmp_path / "trace.json").exists()

"""Does `mapreduce report` make a page of a real job, and say what is wrong where it can't?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import CliResult

RunCli = Callable[..., CliResult]


def test_page_of_a_job(run_cli: RunCli, datadir: Path, tmp_path: Path) -> None:
    assert run_cli("run", "wordcount", datadir / "hamlet.txt", "-o", "counts", "--reducers", 3, "-q").rc == 0
    done = run_cli("report", "counts")
    page = (tmp_path / "counts" / "_report.html").read_text(encoding="utf-8")
    assert (done.rc, done.out) == (0, "")
    assert "wrote counts/_report.html" in done.err
    assert "simulated with these tasks" in page
    for told in ("WordCount", "succeeded", "Timeline", "How long tasks took", "What each reduce was given", "reduce 2"):
        assert told in page
    again = run_cli("run", "wordcount", datadir / "hamlet.txt", "-o", "counts", "--reducers", 3)
    assert again.rc == 0  # the page is no foreign file
    assert "already complete" in again.err
    assert run_cli("run", "wordcount", datadir / "hamlet.txt", "-o", "counts", "--fresh", "-q").rc == 0


def test_page_elsewhere_and_on_standard_output(run_cli: RunCli, datadir: Path, tmp_path: Path) -> None:
    run_cli("run", "wordcount", datadir / "iris.csv", "-o", "out", "-q")
    assert run_cli("report", "out", "-o", "page.html").rc == 0
    assert run_cli("report", "out", "-o", "-").out == (tmp_path / "page.html").read_text(encoding="utf-8")
    refused = run_cli("report", "out", "-o", "nowhere/page.html")
    assert (refused.rc, "can't write nowhere/page.html" in refused.err) == (2, True)


def test_the_trace_of_a_job_that_is_over(run_cli: RunCli, datadir: Path, tmp_path: Path) -> None:
    run_cli("run", "wordcount", datadir / "iris.csv", "-o", "out", "-q")
    assert run_cli("report", "out", "--trace", "out.json").rc == 0
    names = {event["name"] for event in json.loads((tmp_path / "out.json").read_text())}
    assert {"map 0", "map 1", "reduce 0"} <= names


def test_what_has_no_log_is_named(run_cli: RunCli, tmp_path: Path) -> None:
    missing = run_cli("report", "nothing")
    assert missing.rc == 2
    assert "no event log nothing" in missing.err
    (tmp_path / "text").write_text("hello\n")
    other = run_cli("report", "text")
    assert (other.rc, "is no event log" in other.err) == (2, True)

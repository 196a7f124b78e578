"""What was passed on, as people and tools read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.report.events import read_events
from mapreduce.report.page import render_page
from mapreduce.report.passing import Passed, merge_passed, passed_from_json, passed_of, passed_text
from mapreduce.report.summary import summarise
from mapreduce.storage.traffic import Link, Moved, Way, passed_since, rows_of

LINKS = {
    Link("a", "b"): Moved(5_000_000, 0.5),
    Link("b", "b"): Moved(3_000_000, 0.0),
    Link("", "", Way.MAPPED): Moved(400_000_000, 0.25),
    Link("tracker", "workers", Way.MESSAGE): Moved(2000, 0.001),
    Link("c", "b"): Moved(0, 1.0),
}


def test_most_bytes_first_and_nothing_of_nothing() -> None:
    passed = passed_of(LINKS)
    assert [(each.source, each.reader, each.bytes) for each in passed] == [
        ("this host", "this host", 400_000_000),
        ("a", "b", 5_000_000),
        ("b", "b", 3_000_000),
        ("tracker", "workers", 2000),
    ]
    assert passed_text(passed) == (
        "400 MB mapped as shared memory, 5.0 MB between hosts, 3.0 MB read in place, 2.0 KB in messages"
    )


def test_it_comes_back_from_a_log() -> None:
    assert passed_from_json(json.loads(json.dumps(rows_of(LINKS)))) == passed_of(LINKS)
    with pytest.raises(KeyError):
        passed_from_json([{"source": "a"}])


def test_jobs_add_up() -> None:
    one = (Passed("a", "b", "read", 5, 1.0), Passed("a", "a", "mapped", 9, 0.5))
    other = (Passed("a", "b", "read", 7, 0.25),)
    assert merge_passed(one, other) == (Passed("a", "b", "read", 12, 1.25), Passed("a", "a", "mapped", 9, 0.5))


def test_a_job_with_little_says_nothing() -> None:
    assert passed_text(()) == ""
    assert passed_text(passed_of({Link("t", "w", Way.MESSAGE): Moved(5000), Link("", ""): Moved(10**9)})) == ""
    assert passed_text(passed_of({Link("t", "w", Way.MESSAGE): Moved(5_000_000)})) == "5.0 MB in messages"


def test_what_was_added_to_a_tally() -> None:
    before = {Link("a", "b"): Moved(5, 1.0), Link("a", "c"): Moved(7, 1.0)}
    now = {**before, Link("a", "b"): Moved(9, 1.5), Link("c", "a"): Moved(1, 0.0)}
    assert passed_since(before, now) == {Link("a", "b"): Moved(4, 0.5), Link("c", "a"): Moved(1, 0.0)}


class Wide(mr.Fold):
    """Partials too large for a message."""

    def map(self, block: mr.Block) -> list[float]:
        return [1.0 * len(line) for line in block.records()] * 20

    def reduce(self, a: list[float], b: list[float]) -> list[float]:
        return [x + y for x, y in zip(a, b, strict=False)]


def test_a_job_s_summary_log_and_page_tell(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("abc\n" * 4000)
    result = mr.run(Wide(), mr.read_text(tmp_path / "lines"), output=tmp_path / "out", workers=2, split_size=4000)
    assert result.outcome is not None
    summary = summarise(result.outcome, 2)
    ways = {each.way: each.bytes for each in summary.passed}
    assert ways["mapped"] > 4 * 10_000
    assert ways["message"] > 500
    assert f"passed   {passed_text(summary.passed)}" in summary.to_text()
    assert {row["way"] for row in summary.to_json()["passed"]} == set(ways)
    log = read_events(tmp_path / "out")
    assert log.last.end is not None
    assert log.last.end.passed == summary.passed
    assert "<td>mapped as shared memory</td>" in render_page(log)

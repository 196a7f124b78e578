"""Do those who watch a job leave each other alone, and is what workers print kept, in bounds?"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.events import Tick
from mapreduce.tracker.observer import Observer, Observers
from mapreduce.tracker.plan import plan_keyed
from mapreduce.tracker.print_log import PrintLog
from tests.report.fakes import outcome

W3 = WorkerId(3)


def attempt(index: int, number: int = 0) -> AttemptId:
    return AttemptId(TaskId(0, index), number)


class Broken(Observer):
    """Raises at every call."""

    def __init__(self) -> None:
        self.calls = 0

    def handled(self, event: object, commands: object) -> None:
        self.calls += 1
        raise ValueError("no terminal")


class Counting(Observer):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.calls = 0

    def handled(self, event: object, commands: object) -> None:
        self.calls += 1


def test_one_that_fails_is_off_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    broken, first, last = Broken(), Counting(), Counting()
    all_of_them = Observers([first, broken, last])
    for time in (1.0, 2.0, 3.0):
        all_of_them.handled(Tick(time), [])
    assert (broken.calls, first.calls, last.calls) == (1, 3, 3)
    assert len(caplog.records) == 1 and "Broken of this job failed and is off" in caplog.text


def test_prints_are_tagged(tmp_path: Path) -> None:
    log = PrintLog(tmp_path / "_log")
    log.started(plan_keyed(9, 1), 0, 1, 0.0)
    log.logged(W3, attempt(7), "one\ntwo\n")
    log.logged(W3, attempt(7, 1), "again \udcff\n")
    log.logged(W3, None, "bye")
    log.finished(outcome())
    assert (tmp_path / "_log").read_text().splitlines() == [
        "[map 7] one", "[map 7] two", "[map 7, attempt 2] again \\udcff", "[worker 3] bye",
    ]  # fmt: skip


def test_a_next_run_appends(tmp_path: Path) -> None:
    for word in ("first", "second"):
        log = PrintLog(tmp_path / "_log")
        log.started(plan_keyed(1, 1), 0, 1, 0.0)
        log.logged(W3, attempt(0), word)
        log.finished(outcome())
    assert (tmp_path / "_log").read_text() == "[map 0] first\n[map 0] second\n"


def test_who_prints_without_end_keeps_the_last(tmp_path: Path) -> None:
    log = PrintLog(tmp_path / "_log", max_bytes=1_000)
    log.started(plan_keyed(1, 1), 0, 1, 0.0)
    for number in range(500):
        log.logged(W3, attempt(0), f"line {number}")
    log.finished(outcome())
    kept = (tmp_path / "_log.1").read_text() + (tmp_path / "_log").read_text()
    assert len(kept) <= 2_000 and kept.endswith("[map 0] line 499\n")
    numbers = [int(line.rpartition(" ")[2]) for line in kept.splitlines()]
    assert numbers == list(range(numbers[0], 500)) and len(numbers) > 50


def test_a_log_that_cannot_be_written_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = PrintLog(tmp_path / "gone" / "_log")
    with caplog.at_level(logging.WARNING):
        log.logged(W3, None, "one")
        log.logged(W3, None, "two")
    log.finished(outcome())
    assert len(caplog.records) == 1 and "the job goes on" in caplog.text

"""Does the event log tell what happened, survive a death at any byte, and cost the job nothing?"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mapreduce.dataflow.results import AttemptResult, FailureKind, Output, TaskStats
from mapreduce.errors import InputError
from mapreduce.ids import WorkerId
from mapreduce.report.events import parse_events, read_events
from mapreduce.tracker import event_log
from mapreduce.tracker.commands import OutcomeKind
from mapreduce.tracker.event_log import EventLog, JobDescription
from mapreduce.tracker.events import AttemptFinished
from mapreduce.tracker.plan import Plan, plan_keyed
from tests.tracker.logged import LoggedScene


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "_events.jsonl"


Begin = Callable[..., LoggedScene]


@pytest.fixture
def begin(path: Path) -> Iterator[Begin]:
    """`begin(plan, **policy)` starts a job that is logged."""
    begun: list[LoggedScene] = []

    def start(plan: Plan, **policy: Any) -> LoggedScene:
        begun.append(LoggedScene(plan, path, **policy))
        return begun[-1]

    yield start
    for scene in begun:
        scene.log._close()


def lines(path: Path, *kinds: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [line for line in found if not kinds or line["e"] in kinds]


def brief(path: Path) -> list[str]:
    """Each line after the first as 'kind task#n @worker time'."""
    said = []
    for line in lines(path)[1:]:
        name = f" {line['task']}" + (f"#{line['n']}" if line.get("n") else "") if "task" in line else ""
        worker = f" @{line['worker']}" if "worker" in line else ""
        said.append(f"{line['e']}{name}{worker} {line['t']:g}")
    return said


def test_a_job_that_goes_well(path: Path, begin: Begin) -> None:
    scene = begin(plan_keyed(2, 1))
    scene.joins(1, 2)
    scene.time += 0.5
    scene.finishes("map 0", "map 1")
    scene.time += 0.25
    scene.finishes("reduce 0")
    scene.end()
    assert brief(path) == [
        "joined @1 0", "started map 0 @1 0", "joined @2 0", "started map 1 @2 0",
        "finished map 0 @1 0.5", "finished map 1 @2 0.5", "started reduce 0 @1 0.5",
        "finished reduce 0 @1 0.75", "end 0.75",
    ]  # fmt: skip
    head, end = lines(path)[0], lines(path)[-1]
    assert head["job"] == "WordCount" and head["options"] == {"k": 5} and head["when"] == "2023-11-14T22:13:20Z"
    assert head["stages"][1] == {"name": "reduce", "tasks": 1, "needs": "all", "fan_in": 0}
    assert head["input"] == {"bytes": 200, "files": 1} and head["run"] == 1
    assert end["outcome"] == "succeeded" and end["counters"] == {"bad": 3} and end["notes"] == ["reused nothing"]
    assert lines(path, "started")[0]["input"] == "in.txt, bytes 000 to 100"


def test_a_failure_says_why_and_what_follows(path: Path, begin: Begin) -> None:
    scene = begin(plan_keyed(1, 1), max_attempts=2)
    scene.joins(1)
    scene.fails("map 0", message="not a number: 'x'\nand more")
    scene.passes(1.0)
    scene.fails("map 0#1", message="again")
    scene.end(OutcomeKind.FAILED, "map 0 failed 2 times")
    first, second = lines(path, "failed")
    assert (first["kind"], first["type"], first["message"]) == ("user", "ValueError", "not a number: 'x'")
    assert first["then"] == "run after a rest" and second["then"] == "give up"
    assert lines(path, "end")[0]["outcome"] == "failed"


def test_a_lost_worker_takes_what_it_ran_and_what_it_held(path: Path, begin: Begin) -> None:
    scene = begin(plan_keyed(3, 1))
    scene.joins(1)
    scene.passes(0.1)
    held = [line["task"] for line in lines_after_flush(scene, path, "started")]
    scene.time += 1.0
    scene.loses(1, "worker 1 was killed by SIGKILL")
    said = brief(path)
    assert held == ["map 0", "map 1"]
    assert said[-3:] == ["lost @1 1.1", "dropped map 1 @1 1.1", "failed map 0 @1 1.1"]
    assert lines(path, "failed")[0]["kind"] == "lost"
    assert "SIGKILL" in lines(path, "lost")[0]["why"]


def lines_after_flush(scene: LoggedScene, path: Path, *kinds: str) -> list[dict[str, Any]]:
    scene.log._flush()
    return lines(path, *kinds)


def test_a_timeout_and_a_backup_that_wins(path: Path, begin: Begin) -> None:
    scene = begin(plan_keyed(1, 1), timeout_seconds=100.0)
    scene.joins(1, 2)
    for _ in range(150):
        scene.passes(1.0)
    started = lines_after_flush(scene, path, "started")
    assert [line.get("backup", False) for line in started[:2]] == [False, True]
    assert [line["kind"] for line in lines(path, "failed")][:1] == ["timeout"]
    scene.obeys("map 0")
    scene.finishes("map 0#1")
    assert lines_after_flush(scene, path, "cancelled")[0]["why"] == "it made no progress"


def test_the_second_to_finish_is_discarded(path: Path, begin: Begin) -> None:
    scene = begin(plan_keyed(1, 1))
    scene.joins(1, 2)
    for _ in range(100):
        scene.passes(1.0)
    scene.finishes("map 0#1", "map 0")
    assert [line.get("discarded", False) for line in lines_after_flush(scene, path, "finished")] == [False, True]


def test_tasks_of_an_earlier_run(path: Path, begin: Begin) -> None:
    scene = begin(plan_keyed(2, 1))
    result = AttemptResult(Output(path="x"), {}, TaskStats(seconds=2.5, bytes_in=7))
    scene.tell(AttemptFinished(99_999.0, scene.attempt("map 1"), WorkerId(7), result))  # of that run's clock
    scene.joins(1)
    scene.log._flush()
    assert brief(path) == ["past map 1 0", "joined @1 0", "started map 0 @1 0"]
    assert lines(path, "past")[0]["seconds"] == 2.5


def busy_log(path: Path) -> bytes:
    scene = LoggedScene(plan_keyed(2, 1), path)
    scene.joins(1, 2)
    scene.fails("map 0", message="ärger \udcff")
    scene.passes(1.0)
    scene.sample(1, "map 0#1")
    scene.finishes("map 1")
    scene.loses(1)
    scene.end(OutcomeKind.STOPPED, "killed")
    return path.read_bytes()


def test_a_log_may_end_at_any_byte(path: Path) -> None:
    data = busy_log(path)
    whole = parse_events(data).last
    first_line = data.index(b"\n")
    for size in range(len(data)):
        try:
            run = parse_events(data[:size]).last
        except InputError:
            assert size <= first_line
            continue
        assert run.attempts[:0] == ()
        assert len(run.attempts) <= len(whole.attempts)
        assert run.outcome == ("unfinished" if size < len(data) else "stopped")


@pytest.mark.parametrize("torn", [1, 7, 60])
def test_a_next_run_goes_on_behind_whole_lines(path: Path, torn: int) -> None:
    path.write_bytes(busy_log(path)[:-torn])
    busy_log(path)
    log = read_events(path)
    assert [run.head.number for run in log.runs] == [1, 2]
    assert [run.outcome for run in log.runs] == ["unfinished", "stopped"]
    assert log.unreadable_lines == 0


def test_samples_are_bounded(path: Path, begin: Begin) -> None:
    scene = begin(plan_keyed(1, 1))
    scene.joins(1)
    for _ in range(5 * 40_000):  # 40,000 seconds, five looks each
        scene.time += 0.2
        scene.progresses("map 0", 1)
        scene.sample(1, "map 0")
    scene.end()
    samples = lines(path, "sample")
    assert event_log.SAMPLES_AT_FIRST < len(samples) < 4 * event_log.SAMPLES_AT_FIRST
    assert samples[0]["pid"] == 41 and "pid" not in samples[1]


def test_a_log_that_is_full_tells_of_failures_alone(path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "MAX_BYTES", 2_000)
    scene = begin(plan_keyed(1_000, 1))
    scene.joins(1)
    for index in range(900):
        scene.time += 0.1
        scene.finishes(f"map {index}")
    scene.fails("map 900")
    scene.end()
    assert path.stat().st_size < 10_000
    assert [line["e"] for line in lines(path)][-3:] == ["cut", "failed", "end"]
    assert read_events(path).last.failed[0].task == "map 900"


class FullDisk:
    """Takes so many bytes and no more."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.closed = False

    def write(self, data: bytes) -> int:
        taken = min(self.room, len(data))
        self.room -= taken
        if not taken:
            raise OSError(28, "No space left on device")
        return taken

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("room", [0, 10])
def test_a_full_disk_costs_one_warning(path: Path, begin: Begin, room: int, caplog: pytest.LogCaptureFixture) -> None:
    scene = begin(plan_keyed(2, 1))
    assert scene.log._file is not None
    scene.log._file.close()
    disk: Any = FullDisk(room)
    scene.log._file = disk
    with caplog.at_level(logging.WARNING):
        scene.joins(1, 2)
        scene.fails("map 0")
        scene.fails("map 1")
        scene.end()
    assert disk.closed
    assert len(caplog.records) == 1 and "the job goes on" in caplog.text


def test_a_place_that_is_not_there_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(tmp_path / "gone" / "_events.jsonl", JobDescription("J"))
    log.started(plan_keyed(1, 1), 0, 1, 5.0)
    assert "not written" in caplog.text


def test_failures_reach_the_file_at_once_and_other_lines_within_a_second(path: Path, begin: Begin) -> None:
    scene = begin(plan_keyed(2, 1))
    scene.joins(1)
    assert lines(path, "joined") == []
    scene.passes(1.0)
    assert len(lines(path, "joined")) == 1
    scene.fails("map 0", FailureKind.USER)
    assert len(lines(path, "failed")) == 1

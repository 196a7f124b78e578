"""Is an event log read into what happened: who ran what when, and how each attempt ended?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mapreduce.dataflow.results import AttemptResult, Output, TaskStats
from mapreduce.errors import InputError
from mapreduce.report.events import parse_events, read_events
from mapreduce.report.job_log import AttemptRecord, AttemptState, RunLog
from mapreduce.tracker.events import AttemptFinished
from mapreduce.tracker.plan import Plan, plan_keyed
from tests.tracker.logged import LoggedScene

Begin = Callable[..., LoggedScene]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    begun: list[LoggedScene] = []

    def start(plan: Plan, **policy: Any) -> LoggedScene:
        begun.append(LoggedScene(plan, tmp_path / "_events.jsonl", **policy))
        return begun[-1]

    yield start
    for scene in begun:
        scene.log._close()


def finish(scene: LoggedScene, name: str, seconds: float) -> None:
    result = AttemptResult(Output(), {}, TaskStats(seconds=seconds, cpu_seconds=seconds, bytes_in=100, records_in=10))
    attempt = scene.attempt(name)
    scene.tell(AttemptFinished(scene.time, attempt, scene.worker(attempt), result))


def of(run: RunLog, task: str, number: int = 0) -> AttemptRecord:
    (found,) = [attempt for attempt in run.attempts if (attempt.task, attempt.number) == (task, number)]
    return found


def test_the_head_and_the_end(begin: Begin, tmp_path: Path) -> None:
    scene = begin(plan_keyed(1, 1))
    scene.joins(1)
    scene.time += 2.0
    scene.finishes("map 0", "reduce 0")
    scene.end()
    run = read_events(tmp_path).last  # the folder will do
    assert run.head.job == "WordCount" and run.head.at == 1_700_000_000.25 and run.head.workers == 2
    assert [stage.name for stage in run.head.stages] == ["map", "reduce"]
    assert run.end is not None and run.end.counters == {"bad": 3} and run.end.notes == ("reused nothing",)
    assert run.end.totals.records_in == 20
    assert run.seconds == 2.0 and run.outcome == "succeeded"
    assert run.workers[0].joined == 0.0 and run.workers[0].lost is None


def test_an_attempt_begins_when_its_worker_is_free(begin: Begin, tmp_path: Path) -> None:
    """A worker holds a second attempt while it runs the first; what finished tells how long it took."""
    scene = begin(plan_keyed(3, 1))
    scene.joins(1)
    scene.passes(0.0)  # the second attempt is queued
    scene.time += 3.0
    finish(scene, "map 0", 2.5)
    scene.time += 1.0
    scene.fails("map 1")
    scene.end()
    run = read_events(tmp_path).last
    first, second = of(run, "map 0"), of(run, "map 1")
    assert (first.given, first.start, first.end) == (0.0, 0.5, 3.0)
    assert (second.given, second.start, second.end) == (0.0, 3.0, 4.0)
    assert first.figures.records_in == 10 and first.input == "in.txt, bytes 000 to 100"
    assert second.failure is not None and second.failure.then == "run after a rest"
    third = of(run, "map 2")  # still at work when the job ended
    assert third.state is AttemptState.RUNNING and (third.start, third.end) == (4.0, 4.0)


def test_what_waited_at_a_lost_worker_never_began(begin: Begin, tmp_path: Path) -> None:
    scene = begin(plan_keyed(2, 1))
    scene.joins(1)
    scene.passes(1.0)
    scene.loses(1, "worker 1 was killed by SIGKILL")
    run = read_events(tmp_path).last
    assert of(run, "map 0").state is AttemptState.FAILED
    assert of(run, "map 1").state is AttemptState.DROPPED and not of(run, "map 1").began
    assert run.workers[0].lost == 1.0 and "SIGKILL" in run.workers[0].why
    assert run.outcome == "unfinished"


def test_what_was_queued_and_taken_over_never_began(begin: Begin, tmp_path: Path) -> None:
    scene = begin(plan_keyed(2, 1))
    scene.joins(1)
    scene.passes(1.0)
    assert "cancel map 1 on 1: an idle worker takes it over" in scene.joins(2) + scene.passes(1.0)
    scene.time += 1.0
    scene.obeys("map 1")
    scene.log._flush()
    taken = of(read_events(tmp_path).last, "map 1")
    assert taken.state is AttemptState.CANCELLED and not taken.began and "takes it over" in taken.why


def test_lost_outputs(begin: Begin, tmp_path: Path) -> None:
    scene = begin(plan_keyed(1, 1))
    scene.joins(1)
    scene.finishes("map 0")
    scene.time += 1.0
    scene.loses_output("map 0")
    assert [(lost.task, lost.seconds) for lost in read_events(tmp_path).last.lost_outputs] == [("map 0", 1.0)]


def test_a_line_that_is_damaged_is_left_out(begin: Begin, tmp_path: Path) -> None:
    scene = begin(plan_keyed(2, 1))
    scene.joins(1, 2)
    scene.finishes("map 0", "map 1", "reduce 0")
    scene.end()
    whole = (tmp_path / "_events.jsonl").read_bytes().splitlines(keepends=True)
    for number in range(1, len(whole)):
        damaged = [*whole[:number], b'{"e":"started","t":"soon"}\n', b"\x00\xff{\n", b"[1]\n", *whole[number:]]
        log = parse_events(b"".join(damaged))
        assert log.unreadable_lines == 3
        assert log.last == parse_events(b"".join(whole)).last


def test_fields_and_kinds_of_later_versions_are_passed_over() -> None:
    head = b'{"e":"begin","t":0,"version":1,"job":"J","stages":[{"name":"map","tasks":1}],"new":1}\n'
    log = parse_events(head + b'{"e":"moved","t":1,"where":"home"}\n')
    assert log.unreadable_lines == 0 and log.last.head.job == "J"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b"key\t1\n", "is no event log"),
        (b'{"e":"begin","t":0', "ends within its first line"),
        (b'{"e":"begin","t":0}\n', "its first line can't be read"),
        (b'{"e":"begin","t":0,"version":9,"job":"J","stages":[]}\n', "has version 9"),
    ],
)
def test_what_is_no_log(data: bytes, told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse_events(data)


def test_a_folder_without_a_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no event log .*_events.jsonl"):
        read_events(tmp_path)

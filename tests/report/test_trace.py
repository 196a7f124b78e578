"""Does a trace obey the rules of the trace event format, and does it show what went wrong?"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from mapreduce.report.events import parse_events
from mapreduce.report.trace import trace_events, write_trace
from mapreduce.tracker.plan import plan_keyed
from tests.tracker.logged import LoggedScene

Event = dict[str, Any]


@pytest.fixture
def eventful(tmp_path: Path) -> bytes:
    """The log of a job with a failure, a lost worker, a backup that wins, and a lost output; then of a second run."""
    path = tmp_path / "_events.jsonl"
    scene = LoggedScene(plan_keyed(4, 1), path)
    scene.joins(0, 1)
    scene.passes(1.0)
    scene.sample(0, "map 0", 5_000_000)
    scene.fails("map 0", message="not a number")
    scene.passes(2.0)
    scene.loses(1, "worker 1 was killed by SIGKILL")
    scene.joins(2)
    for _ in range(200):
        scene.passes(1.0)
    scene.log._close()
    second = LoggedScene(plan_keyed(1, 1), path)
    second.joins(0)
    second.time += 1.5
    second.finishes("map 0", "reduce 0")
    second.end()
    return path.read_bytes()


def check_rules(events: list[Event]) -> None:
    """What Google's document asks of an event of each phase."""
    open_until: dict[tuple[int, int], list[int]] = defaultdict(list)
    last = 0
    for event in events:
        assert event["ph"] in "XiCM"
        assert isinstance(event["name"], str) and isinstance(event["pid"], int) and isinstance(event["tid"], int)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            assert len(event["args"]) == 1
            continue
        assert isinstance(event["ts"], int) and event["ts"] >= last >= 0
        last = event["ts"]
        if event["ph"] == "X":
            assert isinstance(event["dur"], int) and event["dur"] >= 0
            stack = open_until[event["pid"], event["tid"]]
            while stack and stack[-1] <= event["ts"]:
                stack.pop()
            end = event["ts"] + event["dur"]
            assert not stack or end <= stack[-1], "two that overlap and do not nest"
            stack.append(end)
        elif event["ph"] == "i":
            assert event["s"] in "gpt"
        else:
            assert all(isinstance(value, int | float) for value in event["args"].values())


def test_the_rules_are_kept(eventful: bytes) -> None:
    check_rules(trace_events(parse_events(eventful)))


def test_what_is_shown(eventful: bytes) -> None:
    events = trace_events(parse_events(eventful))
    names = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert names == {"job", "worker 0", "worker 1", "worker 2"}
    spans = {event["name"]: event for event in events if event["ph"] == "X"}
    assert spans["map 0 failed"]["cname"] == "terrible"
    assert spans["map 0 failed"]["args"]["why"] == "ValueError: not a number"
    assert (spans["map 0 failed"]["ts"], spans["map 0 failed"]["dur"]) == (0, 1_000_000)
    assert "WordCount (unfinished)" in spans and "WordCount (succeeded)" in spans
    troubles = [event["name"] for event in events if event["ph"] == "i"]
    assert "map 0 failed: not a number" in troubles
    assert "lost: worker 1 was killed by SIGKILL" in troubles
    counted = {event["name"]: event["args"] for event in events if event["ph"] == "C"}
    assert counted["worker 0 memory, MB"] == {"memory": 5.0}


def test_reports_that_come_late_do_not_make_attempts_overlap() -> None:
    """The tracker may hear of two ends at once, though the worker did one after the other."""
    head = '{"e":"begin","t":0,"version":1,"job":"J","stages":[{"name":"map","tasks":2}],"pid":7}\n'
    lines = [
        '{"e":"joined","t":0,"worker":0}',
        '{"e":"started","t":0,"task":"map 0","n":0,"worker":0}',
        '{"e":"started","t":0,"task":"map 1","n":0,"worker":0}',
        '{"e":"finished","t":0.5,"task":"map 0","n":0,"worker":0,"seconds":0.2}',
        '{"e":"finished","t":0.5,"task":"map 1","n":0,"worker":0,"seconds":0.2}',
    ]
    events = trace_events(parse_events((head + "\n".join(lines) + "\n").encode()))
    check_rules(events)
    spans = [(event["ts"], event["dur"]) for event in events if event["ph"] == "X" and event["tid"] == 1]
    assert spans == [(100_000, 200_000), (300_000, 200_000)]


def test_the_file_is_a_json_array(eventful: bytes, tmp_path: Path) -> None:
    log = parse_events(eventful)
    write_trace(log, tmp_path / "trace.json")
    assert json.loads((tmp_path / "trace.json").read_text()) == trace_events(log)

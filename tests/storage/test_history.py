"""Are past jobs remembered, in bounds, by many at a time, and does nothing that goes wrong with it matter?"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mapreduce.storage import history
from mapreduce.storage.history import JobEnded, JobState, history_path, job_began, job_ended, read_history


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder for each test; returns the history's path."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "mapreduce" / "history.jsonl"


def end(id: str, outcome: str = "succeeded", reason: str = "") -> None:
    job_ended(JobEnded(id, 1.5, outcome, reason, 1_000, 2))


def test_a_job_that_went_well(state: Path) -> None:
    end(job_began(1_000.5, "WordCount", ["mapreduce", "run", "wordcount"], "counts", 8))
    (past,) = read_history(state)
    assert past.state is JobState.SUCCEEDED and past.ended is not None
    assert (past.began.job, past.began.at, past.began.workers) == ("WordCount", 1_000.5, 8)
    assert past.began.command == ("mapreduce", "run", "wordcount")
    assert past.began.output == os.path.abspath("counts") and past.ended.failed_attempts == 2
    assert state.stat().st_mode & 0o777 == 0o600  # command lines are nobody else's business


def test_a_job_without_an_end_runs_or_was_killed(state: Path) -> None:
    job_began(1.0, "Running", [], None, 1)
    code = "from mapreduce.storage.history import job_began; job_began(2.0, 'Killed', [], None, 1)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert [past.state for past in read_history(state)] == [JobState.RUNNING, JobState.KILLED]


def test_a_process_of_the_same_number_is_another_one(state: Path) -> None:
    job_began(1.0, "J", [], None, 1)
    fields = json.loads(state.read_text())
    state.write_text(json.dumps({**fields, "ticks": fields["ticks"] + 1}) + "\n")
    assert read_history(state)[0].state is (JobState.KILLED if fields["ticks"] else JobState.RUNNING)


def test_what_can_go_on(tmp_path: Path, state: Path) -> None:
    output = tmp_path / "out"
    id = job_began(1.0, "J", [], output, 1)
    end(id, "failed", "map 0 failed 4 times")
    assert not read_history(state)[0].can_go_on  # nothing is left there
    (output / "_job").mkdir(parents=True)
    assert read_history(state)[0].can_go_on
    (output / "_SUCCESS").touch()  # a later run went on
    assert not read_history(state)[0].can_go_on


def test_only_the_newest_are_kept(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_BYTES", 20_000)
    monkeypatch.setattr(history, "KEPT_JOBS", 10)
    for number in range(300):
        end(job_began(float(number), f"J{number}", [], None, 1))
    jobs = read_history(state)
    assert state.stat().st_size <= 21_000
    assert 10 <= len(jobs) < 100
    assert jobs[-1].began.job == "J299" and jobs[-1].ended is not None
    assert not state.with_suffix(".new").exists()


def test_long_commands_and_reasons_are_cut(state: Path) -> None:
    end(job_began(1.0, "J", ["mapreduce", *["x" * 100] * 1_000], None, 1), "failed", "no" * 10_000)
    assert state.stat().st_size < 4_096
    assert read_history(state)[0].began.command[-1] == "..."


def test_many_at_a_time(state: Path, tmp_path: Path) -> None:
    """Four processes enter jobs while the file is shortened again and again: no line is torn, the newest are there."""
    code = (
        "import sys\nfrom mapreduce.storage import history as h\nh.MAX_BYTES = 30_000\n"
        "for number in range(60):\n"
        "    id = h.job_began(float(number), sys.argv[1], [], None, 1)\n"
        "    h.job_ended(h.JobEnded(id, 1.0, 'succeeded', '', 1, 0))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, f"J{number}"]) for number in range(4)]
    assert [writer.wait(timeout=50) for writer in writers] == [0, 0, 0, 0]
    lines = state.read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    last = {json.loads(line)["job"] for line in lines if '"at":59.0' in line}
    assert last  # who ended last is there; the others may have been shortened away


def test_damaged_lines_are_passed_over(state: Path) -> None:
    end(job_began(1.0, "J", [], None, 1))
    with state.open("ab") as file:
        file.write(b'\x00\xff\n[]\n{"id": 5}\n{"at": "now"}\n{"id":"x","at":')
    assert [past.began.job for past in read_history(state)] == ["J"]


def test_no_history_yet(state: Path) -> None:
    assert read_history(state) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").mkdir(mode=0o500)
    with caplog.at_level(logging.DEBUG):
        job_began(1.0, "J", [], None, 1)
    assert "not written" in caplog.text


def test_a_place_that_is_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("")
    with caplog.at_level(logging.DEBUG):
        job_began(1.0, "J", [], None, 1)
    assert "not written" in caplog.text


def test_switched_off(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_HISTORY", "off")
    assert history_path() is None
    job_began(1.0, "J", [], None, 1)
    assert not state.exists()

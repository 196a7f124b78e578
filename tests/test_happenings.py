"""Is what happened in a real job told beside its output: attempts, failures, what was printed?"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.report.events import read_events
from mapreduce.report.job_log import AttemptState, RunLog
from mapreduce.report.summary import summarise


class Eventful(mr.Job):
    """Dies once at 'kill', fails once at 'fail', prints 'say'."""

    reduce = mr.Count()

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        if line == "kill" and self.first("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if line == "fail" and self.first("fail"):
            raise ValueError("no luck this time\nbut maybe the next")
        if line.startswith("say"):
            print(line)
        yield line, 1

    def first(self, what: str) -> bool:
        try:
            Path(self.folder, what).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class Hopeless(Eventful):
    """Fails at 'fail', always."""

    def first(self, what: str) -> bool:
        return what == "fail"


@pytest.fixture
def lines(tmp_path: Path) -> mr.Dataset:
    path = tmp_path / "in.txt"
    path.write_text("kill\n" + "plain\n" * 50 + "say something\n" + "plain\n" * 50 + "fail\n")
    return mr.read_text(str(path))


def states(run: RunLog) -> list[str]:
    return [attempt.state.value for attempt in run.attempts]


def test_failures_are_in_the_log_and_in_the_summary(lines: mr.Dataset, tmp_path: Path) -> None:
    result = mr.run(Eventful(str(tmp_path)), lines, output=tmp_path / "out", workers=2, split_size=100)
    run = read_events(tmp_path / "out").last
    assert run.outcome == "succeeded" and run.head.job == "Eventful" and run.head.input_files == 1
    assert run.head.options == {"folder": str(tmp_path)} and run.head.settings["split_bytes"] == 100
    killed = next(attempt for attempt in run.failed if attempt.failure and attempt.failure.kind == "lost")
    unlucky = next(attempt for attempt in run.failed if attempt.failure and attempt.failure.kind == "user")
    assert killed.failure and killed.failure.exit_code == -signal.SIGKILL and killed.failure.then == "run again"
    assert unlucky.failure and unlucky.failure.message == "no luck this time" and unlucky.failure.record == "'fail'"
    assert sum("SIGKILL" in worker.why for worker in run.workers) == 1
    finished = [attempt.task for attempt in run.attempts if attempt.state is AttemptState.FINISHED]
    assert sorted(set(finished)) == sorted(finished)
    assert len(finished) == sum(stage.tasks for stage in run.head.stages)
    assert run.end is not None and run.end.failed_attempts == len(result.failures) == len(run.failed)
    assert result.outcome is not None
    told = summarise(result.outcome, 2).to_text()
    assert "its worker was killed by SIGKILL" in told and "; ran again\n" in told + "\n"
    assert "ValueError: no luck this time" in told and "ran again after a rest" in told


def test_what_workers_printed_stays_beside_the_output(lines: mr.Dataset, tmp_path: Path) -> None:
    mr.run(Eventful(str(tmp_path)), lines, output=tmp_path / "out", workers=1, split_size=10_000)
    told = (tmp_path / "out" / "_log").read_text().splitlines()
    assert told[0].startswith("[map 0") and told[0].endswith("] say something")


def test_a_job_that_prints_nothing_has_no_log_file(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    mr.run(Eventful(str(tmp_path)), mr.read_text(str(tmp_path / "in.txt")), output=tmp_path / "out", workers=1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_SUCCESS", "_events.jsonl", "_manifest.json", "part-00000.tsv",
    ]  # fmt: skip


def test_the_log_of_a_job_that_failed_stays_and_is_in_nobodys_way(lines: mr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(mr.JobError):
        mr.run(Hopeless(""), lines, output=tmp_path / "out", engine="inline", max_attempts=1, split_size=10_000)
    run = read_events(tmp_path / "out").last
    assert run.outcome == "failed" and run.failed[-1].failure is not None
    assert run.failed[-1].failure.then == "give up"
    mr.run(Eventful(str(tmp_path)), mr.from_records(["x"]), output=tmp_path / "out", engine="inline")
    assert read_events(tmp_path / "out").last.outcome == "succeeded"


def test_a_run_that_goes_on_adds_to_the_log(lines: mr.Dataset, tmp_path: Path) -> None:
    job = Eventful(str(tmp_path))
    Path(tmp_path, "kill").touch()
    with pytest.raises(mr.JobError):
        mr.run(job, lines, output=tmp_path / "out", engine="inline", max_attempts=1, split_size=100)
    mr.run(job, lines, output=tmp_path / "out", engine="inline", max_attempts=1, split_size=100)
    log = read_events(tmp_path / "out")
    assert [run.outcome for run in log.runs] == ["failed", "succeeded"]
    assert states(log.last).count("past") >= 1
    assert log.last.end is not None and log.last.end.past_tasks == states(log.last).count("past")


def test_without_an_output_nothing_is_logged(tmp_path: Path) -> None:
    result = mr.run(Eventful(str(tmp_path)), mr.from_records(["x"]), engine="inline")
    (part,) = result.part_files()
    left = [path.name for path in part.parent.iterdir()]
    result.close()
    assert "_events.jsonl" not in left and "_log" not in left

"""Is a job of the tracker kept, whenever the tracker dies?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mapreduce.errors import ResourceError
from mapreduce.service.jobs import JobState
from mapreduce.service.queue import JobQueue
from mapreduce.service.server import Service
from mapreduce.service.state import Ended, JobRecord, JobStatus, StateFolder, read_status, write_ended
from tests.faults.stores import Disk


class Death(BaseException):
    """Nobody catches it, as nobody survives SIGKILL."""


class Dies(Disk):
    """The process dies before the n-th operation."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def before(self, operation: str, path: str) -> None:
        super().before(operation, path)
        if len(self.log) > self.at:
            raise Death


def record(number: int) -> JobRecord:
    return JobRecord(number, "WordCount", f"token-{number}", 1.0, output="/out")


def test_a_job_is_taken_all_or_not_at_all(tmp_path: Path) -> None:
    """Killed before each operation on the disk: the job is there with its package, or no trace of it is."""
    deaths, died = 0, True
    while died:
        root = tmp_path / str(deaths)
        with Dies(deaths).inserted():
            try:
                state = StateFolder(root)
                state.take(record(1), b"package")
                state.note(1, JobStatus(JobState.RUNNING, starts=1))
                state.note(1, JobStatus(JobState.SUCCEEDED, exit_code=0))
                died = False
            except Death:
                deaths += 1
            finally:
                state.close()
        again = StateFolder(root)
        jobs = again.jobs()
        again.close()
        for job in jobs:
            assert job.record == record(1)
            assert (again.folder(1) / "package").read_bytes() == b"package"
            assert job.status.state in (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)
        if not jobs:
            assert list((root / "jobs").iterdir()) == []
    assert deaths > 15 and jobs[0].status.state is JobState.SUCCEEDED


def test_one_tracker_a_folder(tmp_path: Path) -> None:
    first = StateFolder(tmp_path / "state")
    with pytest.raises(ResourceError, match=r"another tracker \(pid \d+\) keeps its state in"):
        StateFolder(tmp_path / "state")
    first.close()
    StateFolder(tmp_path / "state").close()


def test_the_history_is_bounded(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    for number in range(1, 6):
        state.take(record(number), b"")
        state.note(number, JobStatus(JobState.RUNNING if number == 1 else JobState.FAILED))
    assert state.forget_old(state.jobs(), kept=2) == [2, 3]
    assert [job.record.number for job in state.jobs()] == [1, 4, 5]
    state.close()


@pytest.mark.parametrize(("code", "was", "then"), [
    (0, JobState.RUNNING, JobState.SUCCEEDED),
    (1, JobState.RUNNING, JobState.FAILED),
    (1, JobState.STOPPING, JobState.KILLED),
    (1, JobState.KILLED, JobState.KILLED),
])  # fmt: skip
def test_what_a_process_said_after_its_trackers_end_counts(
    tmp_path: Path, code: int, was: JobState, then: JobState
) -> None:
    state = StateFolder(tmp_path / "state")
    state.take(record(1), b"")
    state.note(1, JobStatus(was))
    write_ended(state.folder(1), Ended(code, 5.0, "JobError", "it raised"))
    assert read_status(state.folder(1)).state is then
    state.close()


def test_a_damaged_file_of_state_is_a_waiting_job(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.take(record(1), b"")
    (state.folder(1) / "state.json").write_text("{")
    assert state.jobs()[0].status.state is JobState.QUEUED
    (state.folder(1) / "job.json").write_text("{")
    assert state.jobs() == []
    state.close()


def test_a_job_that_was_submitted_twice_is_taken_once(tmp_path: Path) -> None:
    service = Service(StateFolder(tmp_path / "state"), JobQueue(), workers=0)
    assert [service.submit(record(0), b"") for _ in range(2)] == [1, 1]
    service.close()
    service = Service(StateFolder(tmp_path / "state"), JobQueue(), workers=0)
    service.restore()
    assert service.submit(record(0), b"") == 1
    service.kill(1)
    assert service.jobs[1].status.state is JobState.KILLED
    service.close()

"""Does a job keep to the slots that it was lent, and does a lease that is lowered cost it nothing?"""

from __future__ import annotations

from typing import Any

from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.service.leased import REASON, LeasedExecutor
from mapreduce.tracker.executor import Cancelled, Finished, Lost, Ready, Report

A, B, C = (AttemptId(TaskId(0, index), 0) for index in range(3))


class Fake:
    """Four workers, which do nothing until they are told to."""

    runs_here = False

    def __init__(self, *workers: int) -> None:
        self._workers = [WorkerId(worker) for worker in workers]
        self.calls: list[tuple[str, AttemptId, WorkerId]] = []
        self.reports: list[Report] = []

    def workers(self) -> list[WorkerId]:
        return self._workers

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        self.calls.append(("start", attempt, worker))

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        self.calls.append(("cancel", attempt, worker))

    def wait(self, timeout_seconds: float) -> list[Report]:
        reports, self.reports = self.reports, []
        return reports

    def close(self) -> None: ...


class Lent:
    """A leased executor over a fake one, with a lease to change."""

    def __init__(self, slots: int, *workers: int) -> None:
        self.lease = {"": slots}
        self.returned: list[int] = []
        self.fake = Fake(*workers)
        self.executor = LeasedExecutor(self.fake, lambda: self.lease, lambda host, slots: self.returned.append(slots))

    def wait(self, *reports: Report) -> list[Report]:
        self.fake.reports += reports
        return self.executor.wait(0)


def finished(worker: int, attempt: AttemptId) -> Finished:
    return Finished(WorkerId(worker), attempt, None)  # type: ignore[arg-type]  # nobody looks into it


def seats(reports: list[Report]) -> list[WorkerId]:
    return [report.worker for report in reports if isinstance(report, Ready)]


def test_only_so_many_workers_are_seen_as_are_leased() -> None:
    lent = Lent(2, 10, 11, 12)
    assert seats(lent.wait()) == [0, 1]
    lent.lease = {"": 3}
    assert seats(lent.wait()) == [2]
    assert lent.returned == [2, 3]  # for a higher one that may have come and gone unseen


def test_an_idle_seat_leaves_at_once() -> None:
    lent = Lent(2, 10, 11)
    lent.wait()
    lent.lease = {"": 1}
    assert lent.wait() == [Lost(WorkerId(0), REASON, withdrawn=True)]
    assert lent.returned == [2, 1]
    lent.lease = {"": 2}
    assert seats(lent.wait()) == [2]  # under a new number


def test_a_busy_seat_leaves_when_its_attempt_has_ended() -> None:
    lent = Lent(1, 10)
    lent.wait()
    seat = WorkerId(0)
    lent.executor.start(A, seat, None)
    lent.executor.start(B, seat, None)  # queued behind
    lent.lease = {}
    assert lent.wait() == []
    assert lent.fake.calls[-1] == ("cancel", B, 10)
    lent.executor.start(C, seat, None)  # the driver does not know yet
    assert lent.fake.calls[-1] == ("cancel", B, 10)
    assert lent.wait(Cancelled(WorkerId(10), B)) == []
    assert lent.returned == [1]
    last = lent.wait(finished(10, A))
    assert last == [finished(0, A), Lost(seat, REASON, withdrawn=True)]
    assert lent.returned == [1, 0]


def test_the_driver_calls_back_what_was_called_back_already() -> None:
    """It lets an idle worker take over what is queued on the one that leaves."""
    lent = Lent(1, 10)
    lent.wait()
    seat = WorkerId(0)
    lent.executor.start(A, seat, None)
    lent.executor.start(B, seat, None)
    lent.lease = {}
    lent.wait()
    lent.executor.cancel(B, seat)
    assert lent.wait() == [Cancelled(seat, B)]
    assert lent.wait(Cancelled(WorkerId(10), B)) == []
    assert lent.wait(finished(10, A))[-1] == Lost(seat, REASON, withdrawn=True)


def test_what_ran_before_it_could_be_called_back_counts() -> None:
    lent = Lent(1, 10)
    lent.wait()
    for attempt in (A, B):
        lent.executor.start(attempt, WorkerId(0), None)
    lent.lease = {}
    lent.wait()
    assert lent.wait(finished(10, A), finished(10, B)) == [
        finished(0, A),
        finished(0, B),
        Lost(WorkerId(0), REASON, withdrawn=True),
    ]


def test_a_worker_that_dies_gives_its_slot_back() -> None:
    lent = Lent(2, 10, 11)
    lent.wait()
    lent.executor.start(A, WorkerId(0), None)
    lent.executor.start(B, WorkerId(1), None)
    lent.lease = {"": 1}
    assert lent.wait() == []
    worker = lent.fake.calls[0][2]
    assert lent.wait(Lost(worker, "killed", A)) == [Lost(WorkerId(0), "killed", A)]
    assert lent.returned == [2, 1]

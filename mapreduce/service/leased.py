"""How does a job keep to the slots that it was lent?

A `LeasedExecutor` stands between the driver and an executor that has more workers than the job may use. To the driver
it shows only as many as are leased, each under a number of its own: a seat. If a lease is lowered, idle seats leave at
once; a busy one lets its running attempt end, has what is queued behind it run elsewhere, and leaves then. The driver
hears of it as a worker that was withdrawn, which costs the job nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mapreduce.dataclass import dataclass, field, replace
from mapreduce.dataflow.results import Output
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.tracker.executor import (
    Cancelled,
    Executor,
    Failed,
    Finished,
    LogLines,
    Lost,
    Progress,
    Ready,
    Report,
)

REASON = "lent to another job"


@dataclass(slots=True, eq=False)
class _Seat:
    id: WorkerId
    worker: WorkerId  # as the executor below knows it
    pid: int
    host: str
    held: list[AttemptId] = field(default_factory=list)  # below
    dropped: set[AttemptId] = field(default_factory=set)  # the driver has them here, and they shall run elsewhere
    answered: set[AttemptId] = field(default_factory=set)  # those of them whose end the driver has heard
    leaving: bool = False


class LeasedExecutor:
    """Of an executor's workers those that are leased. `leases` gives slots by host, as they are now; `give_back` is
    told how many of a host are in use, whenever that falls after a lease was lowered."""

    runs_here = False

    def __init__(
        self,
        executor: Executor,
        leases: Callable[[], Mapping[str, int]],
        give_back: Callable[[str, int], None],
        host_of: Callable[[WorkerId], str] = lambda _: "",
    ) -> None:
        self._executor = executor
        self._leases = leases
        self._give_back = give_back
        self._host_of = host_of
        self._next = 0
        self._seats: dict[WorkerId, _Seat] = {}
        self._by_worker: dict[WorkerId, _Seat] = {}
        self._idle: dict[str, dict[WorkerId, int]] = {}  # by host: workers that nobody sits on, with their pids
        self._lowered: dict[str, int] = {}  # hosts of which slots are still to be given back: what we said last
        self._lease: dict[str, int] = {}
        self._unsent: list[Report] = []
        for worker in executor.workers():
            self._arrive(worker, 0)

    # --- what a driver does with it

    def workers(self) -> Sequence[WorkerId]:
        return ()  # they come as Ready

    def host_of(self, worker: WorkerId) -> str:
        seat = self._seats.get(worker)
        return "" if seat is None else seat.host

    def committed(self, attempt: AttemptId, output: Output) -> None:
        """An output counts."""
        tell: Callable[[AttemptId, Output], None] = getattr(self._executor, "committed", lambda *_: None)
        tell(attempt, output)

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        seat = self._seats.get(worker)
        if seat is None:  # it has left, which the driver is just about to hear
            return
        if seat.leaving:
            seat.dropped.add(attempt)
            return
        seat.held.append(attempt)
        self._executor.start(attempt, seat.worker, spec)

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        seat = self._seats.get(worker)
        if seat is None:
            return
        if attempt in seat.dropped:
            seat.dropped.discard(attempt)
            seat.answered.add(attempt)
            self._unsent.append(Cancelled(worker, attempt))
        else:
            self._executor.cancel(attempt, seat.worker)

    def wait(self, timeout_seconds: float) -> list[Report]:
        reports, self._unsent = [*self._unsent, *self._keep_to_leases()], []
        for report in self._executor.wait(0 if reports else timeout_seconds):
            reports += self._heard(report)
        return [*reports, *self._seat_workers()]

    def close(self) -> None:
        self._executor.close()

    # --- leases

    def _keep_to_leases(self) -> list[Report]:
        lease = dict(self._leases())
        if lease == self._lease and not self._idle:
            return []
        for host in {**self._lease, **lease}:
            before, slots = self._lease.get(host), lease.get(host, 0)
            if before is not None and slots < before:
                self._lowered.setdefault(host, before)
            elif before != slots and host not in self._lowered:  # a higher one may have come and gone unseen
                self._give_back(host, max(slots, sum(seat.host == host for seat in self._seats.values())))
        self._lease = lease
        reports: list[Report] = []
        for host in list(self._lowered):
            staying = [seat for seat in self._seats.values() if seat.host == host and not seat.leaving]
            surplus = len(staying) - lease.get(host, 0)
            for seat in sorted(staying, key=lambda seat: len(seat.held))[: max(0, surplus)]:
                reports += self._ask_to_leave(seat)
        self._tell_what_is_back()
        return [*reports, *self._seat_workers()]

    def _ask_to_leave(self, seat: _Seat) -> list[Report]:
        seat.leaving = True
        for attempt in seat.held[1:]:
            seat.dropped.add(attempt)
            self._executor.cancel(attempt, seat.worker)
        return self._leave_if_done(seat)

    def _leave_if_done(self, seat: _Seat) -> list[Report]:
        if not seat.leaving or seat.held:
            return []
        self._remove(seat)
        self._arrive(seat.worker, seat.pid)
        self._tell_what_is_back()
        return [Lost(seat.id, REASON, withdrawn=True)]

    def _tell_what_is_back(self) -> None:
        for host, told in list(self._lowered.items()):
            lease = self._lease.get(host, 0)
            used = max(lease, sum(seat.host == host for seat in self._seats.values()))
            if used < told:
                self._give_back(host, used)
                self._lowered[host] = used
            if used <= lease:
                del self._lowered[host]

    def _seat_workers(self) -> list[Report]:
        """Idle workers are shown to the driver, as far as leases go: who is leaving still takes a slot."""
        reports: list[Report] = []
        for host, idle in self._idle.items():
            used = sum(seat.host == host for seat in self._seats.values())
            while idle and used < self._lease.get(host, 0):
                worker, pid = idle.popitem()
                seat = _Seat(WorkerId(self._next), worker, pid, host)
                self._next += 1
                self._seats[seat.id] = self._by_worker[worker] = seat
                used += 1
                reports.append(Ready(seat.id, pid))
        return reports

    def _arrive(self, worker: WorkerId, pid: int) -> None:
        self._idle.setdefault(self._host_of(worker), {})[worker] = pid

    def _remove(self, seat: _Seat) -> None:
        del self._seats[seat.id], self._by_worker[seat.worker]

    # --- reports

    def _heard(self, report: Report) -> list[Report]:
        if isinstance(report, Ready):
            self._arrive(report.worker, report.pid)
            return []
        if isinstance(report, Progress):
            seat = self._by_worker.get(report.sample.worker)
            return [] if seat is None else [Progress(replace(report.sample, worker=seat.id))]
        if not isinstance(report, Finished | Failed | Cancelled | Lost | LogLines):
            return [report]
        seat = self._by_worker.get(report.worker)
        if isinstance(report, LogLines):
            return [report if seat is None else replace(report, worker=seat.id)]
        if seat is None:
            for idle in self._idle.values():  # a worker that had nothing to do is gone
                idle.pop(report.worker, None)
            return []
        if isinstance(report, Lost):
            self._remove(seat)
            self._tell_what_is_back()
            return [replace(report, worker=seat.id)]
        return self._ended(seat, report)

    def _ended(self, seat: _Seat, report: Finished | Failed | Cancelled) -> list[Report]:
        attempt = report.attempt
        known = attempt in seat.held
        if known:
            seat.held.remove(attempt)
        if attempt in seat.dropped:
            told = not isinstance(report, Cancelled)  # it ran before it could be called back
            if told:
                seat.dropped.discard(attempt)
        else:
            told = isinstance(report, Finished) or (known and attempt not in seat.answered)
        reports: list[Report] = [replace(report, worker=seat.id)] if told else []
        return [*reports, *self._leave_if_done(seat)]

"""Which hosts are to be avoided for a job? Those that failed three times, as long as there is another.

A failure of a host is one that its job is not to blame for: the host or a worker was lost, or it lacked something
(space on its disk, say) that others have. Where there is no other host yet, such a failure waits for one to come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mapreduce.dataclass import replace
from mapreduce.dataflow.results import Failure, FailureKind
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.tracker.executor import Cancelled, Failed, Report

AVOIDED_FROM = 3
"""Once is an accident, twice bad luck."""


class HostRecord:
    """Failures of hosts during one job."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}

    def note(self, host: str) -> None:
        self._failures[host] = self._failures.get(host, 0) + 1

    def choose_avoided(self, hosts: Iterable[str]) -> set[str]:
        """Which of the hosts that are there get no attempts. Never all of them."""
        there = set(hosts)
        bad = {host for host in there if self._failures.get(host, 0) >= AVOIDED_FROM}
        return bad if bad != there else set()


def retryable_elsewhere(failure: Failure, host: str, others: int) -> Failure:
    """What a failure means where `others` hosts remain: that one host's disk is full is no reason to end the job."""
    if failure.kind is not FailureKind.RESOURCE or not others:
        return failure
    return replace(failure, kind=FailureKind.LOST, message=f"host {host}: {failure.message}")


OTHERS_SECONDS = 30.0
"""So long a failure waits for another host: as long as a job without a worker does."""


class WaitingForOthers:
    """Failures for want of something on the only host, while others may come: their attempts count as running."""

    def __init__(self, may_come: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._may_come = may_come
        self._clock = clock
        self._held: dict[AttemptId, Failed] = {}
        self._since = 0.0

    def __bool__(self) -> bool:
        return bool(self._held)

    def holds(self, report: Failed) -> bool:
        """Whether this one waits. If not, it is to be told now."""
        if report.failure.kind is not FailureKind.RESOURCE or not self._may_come():
            return False
        if not self._held:
            self._since = self._clock()
        self._held[report.attempt] = report
        return True

    def over(self, has_other: Callable[[WorkerId], bool]) -> list[Failed]:
        """Those that have waited long enough, or need not wait any more."""
        if not self._held:
            return []
        if any(has_other(report.worker) for report in self._held.values()):
            return self._let_go("")
        if not self._may_come():
            return self._let_go("; no other host will come")
        if self._clock() - self._since >= OTHERS_SECONDS:
            return self._let_go(f"; no other host has come within {OTHERS_SECONDS:g} s")
        return []

    def cancelled(self, attempt: AttemptId) -> list[Report]:
        """Its end, if it is one that waits."""
        report = self._held.pop(attempt, None)
        return [] if report is None else [Cancelled(report.worker, attempt)]

    def lost(self, worker: WorkerId) -> None:
        """Its attempts went with it."""
        self._held = {attempt: report for attempt, report in self._held.items() if report.worker != worker}

    def _let_go(self, why: str) -> list[Failed]:
        held, self._held = list(self._held.values()), {}
        return [replace(each, failure=replace(each.failure, message=each.failure.message + why)) for each in held]

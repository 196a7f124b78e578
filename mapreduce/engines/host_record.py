"""Which hosts are to be avoided for a job? Those that failed three times, as long as there is another.

A failure of a host is one that its job is not to blame for: the host or a worker was lost, or it lacked something
(space on its disk, say) that others have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mapreduce.dataflow.results import Failure, FailureKind

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

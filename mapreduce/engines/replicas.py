"""How do copies of a job's outputs come about on other hosts?

    driver --committed--> Replicas --COPY--> agent c --reads--> data server of a
                             ^                  |
    driver <---Copied--------+----HAVE----------+

A map task is finished when its output is on one host. It is copied behind its back, by the host that will have the
copy, straight from one that has it; the tracker moves no byte of it. What has no copy yet when its host goes, runs
again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container

from mapreduce.dataflow.results import Output
from mapreduce.engines.copies import Copies, Order
from mapreduce.engines.hub_books import CopyFailed, CopyMade, HostJoined, HostLeft
from mapreduce.ids import AttemptId
from mapreduce.tracker.executor import Copied, OutputsGone, Report
from mapreduce.wire.traffic import Link, Moved, Way, copied_sentence

_log = logging.getLogger(__name__)

News = HostJoined | HostLeft | CopyMade | CopyFailed | OutputsGone


class Replicas:
    """Copies of one job's outputs. `ask` gives an order to its host."""

    def __init__(self, replicas: int, ask: Callable[[Order], None]) -> None:
        self._copies = Copies(replicas)
        self._ask = ask
        self._made = 0
        self._troubles: dict[str, str] = {}  # by host, the first of each
        self.moved: dict[Link, Moved] = {}

    def committed(self, attempt: AttemptId, output: Output) -> None:
        self._copies.committed(attempt, output)

    def order(self, avoided: Container[str]) -> None:
        """Order what is to be copied now, of none of the hosts that are avoided."""
        for order in self._copies.orders(avoided):
            self._ask(order)

    def heard(self, news: News) -> list[Report]:
        """What the driver is to know of it."""
        match news:
            case HostJoined(host, machine):
                self._copies.joined(host, machine)
            case HostLeft(host):
                self._copies.left(host)
            case OutputsGone(host):
                self._copies.gone(host)
            case CopyFailed(host, attempt, trouble):
                _log.info("host %s has no copy of %s: %s", host, attempt, trouble.reason)
                self._troubles.setdefault(host, trouble.reason)
                self._copies.not_copied(host, attempt, ours=trouble.ours)
            case CopyMade(host, attempt, have):
                link = Link(have.source, host, Way.COPY)
                if have.bytes:
                    self.moved[link] = self.moved.get(link, Moved()) + Moved(have.bytes, have.seconds)
                if self._copies.copied(host, attempt):
                    self._made += 1
                    return [Copied(attempt, host)]
        return []

    def sentences(self) -> list[str]:
        """For the summary."""
        outputs, full = self._copies.counts()
        if not outputs and not self._made:
            return []
        asked, can_be = self._copies.replicas, self._copies.wanted
        said = f"replicas: {full:,} of {outputs:,} map outputs were on {can_be} {'host' if can_be == 1 else 'hosts'}"
        if can_be < asked:
            said += f" ({asked} were asked for, and no more hosts were there)"
        if self._made:
            said += f"; {copied_sentence(self.moved, self._made)}"
        return [said, *(f"no copy on host {host}: {why}" for host, why in sorted(self._troubles.items()))]

"""How does a job run on the workers of several hosts?

Like on the processes of this one: the hub has a pool's verbs. What is added is where outputs lie. An attempt that ends
on host `b` leaves its file there, and is reported with the path `@b/_job/...`, from which workers of all hosts read it.
What the last stage wrote is brought here first, and then reported: committing it is as ever.
"""

from __future__ import annotations

import logging
import pickle
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from mapreduce.dataclass import replace
from mapreduce.dataflow.package import JobPackage
from mapreduce.dataflow.results import Failure, FailureKind, Output
from mapreduce.dataflow.skipping import COUNTER
from mapreduce.engines.copies import Order
from mapreduce.engines.host_record import HostRecord, WaitingForOthers, retryable_elsewhere
from mapreduce.engines.hub import Hub
from mapreduce.engines.hub_books import TRACKER, CopyFailed, CopyMade, HostJoined, HostLeft, HubReport
from mapreduce.engines.meeting import Begin, CopyOrder
from mapreduce.engines.replicas import Replicas
from mapreduce.engines.segment_lists import SegmentLists
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.storage.host_paths import join_path, split_path, with_host
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.traffic import Link, Links, Moved, add_links, at_host, passed_since, without_moved
from mapreduce.tracker.executor import Cancelled, Failed, Finished, Lost, OutputsGone, Ready, Report
from mapreduce.wire.traffic import moved_sentence
from mapreduce.workers.failures import describe

_log = logging.getLogger(__name__)


class Carrier(Protocol):
    """Brings files of other hosts here, in the background. `moved` is what came, once it is closed."""

    @property
    def moved(self) -> Links: ...

    def fetch(self, attempt: AttemptId, hosts: Sequence[str], paths: Sequence[str]) -> None:
        """Begin to bring files and folders that an attempt left, from one of these hosts to the job's folder here."""

    def fetched(self) -> list[tuple[AttemptId, Failure | None]]:
        """Attempts whose files are here now, or why they can't be had."""

    def close(self) -> None: ...


class ClusterExecutor:
    """One job on the agents of a hub. Closing it leaves them idle and connected.

    `carrier` None: the job's folder is seen by all hosts, and outputs are where they belong. `kept_stage`: of its
    outputs a copy is brought here. `forgives_losses`: no host is avoided for what its workers suffer. `replicas`: on
    how many hosts what a stage leaves for the next shall lie. `may_come`: whether other hosts may join yet."""

    runs_here = False

    def __init__(
        self,
        hub: Hub,
        begin: Begin,
        package: JobPackage,
        last_stage: int,
        carrier: Carrier | None = None,
        tell: Callable[[str], None] = lambda sentence: None,
        *,
        kept_stage: int = -1,
        forgives_losses: bool = False,
        replicas: int = 1,
        may_come: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hub = hub
        self._waiting = WaitingForOthers(may_come, clock)
        self._kept_stage = kept_stage
        self._forgives_losses = forgives_losses
        self._carrier = carrier
        self._last_stage = last_stage
        self.moved: dict[Link, Moved] = {}
        self._tell = tell
        self._done: Counter[str] = Counter()  # tasks by host
        self._record = HostRecord()
        self._hosts: dict[WorkerId, str] = {}
        self._unsent: list[Report] = []
        self._carried: dict[AttemptId, Finished] = {}
        self._avoided: set[str] = set()
        self._gone: set[str] = set()
        self._lost_any = False
        self._open = True
        self._lists = SegmentLists(secrets.token_hex(4))
        self._replicas = Replicas(replicas, self._copy) if replicas > 1 and carrier is not None else None
        data = pickle.dumps(package, protocol=5)
        self._passed_before = hub.passed()
        self._job = hub.open_job(begin, data, tells_hosts=self._replicas is not None)

    def workers(self) -> Sequence[WorkerId]:
        return ()  # the hub reports those that are there as Ready

    def host_of(self, worker: WorkerId) -> str:
        """The name of the host that a worker is on, or was."""
        return self._hosts.get(worker, "")

    def hosts_here(self) -> list[str]:
        """Names of the hosts that work for the job."""
        return [agent.name for agent in self._hub.agents() if agent.seats and agent.name not in self._avoided]

    def committed(self, attempt: AttemptId, output: Output) -> None:
        """An output counts."""
        if self._replicas is not None:
            self._replicas.committed(attempt, output)

    def _copy(self, order: Order) -> None:
        self._hub.copy(self._job, order.attempt, order.host, CopyOrder(order.path, order.bytes))

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        lost = self._lost_inputs(spec) if self._lost_any else ()
        if lost:
            failure = Failure(FailureKind.OUTPUT_LOST, "OutputLostError", "its inputs went with a host", lost=lost)
            self._unsent.append(Failed(worker, attempt, failure))
            return
        try:
            data = pickle.dumps(self._lists.shorten(spec), protocol=5)
        except Exception as error:  # e.g. a key of a class that cannot be pickled, among the cuts of a sort
            self._unsent.append(Failed(worker, attempt, replace(describe(error), kind=FailureKind.USER)))
            return
        self._hub.start(self._job, attempt, worker, data, self._lists)

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        self._unsent += self._waiting.cancelled(attempt)
        self._hub.cancel(self._job, attempt, worker)

    def wait(self, timeout_seconds: float) -> list[Report]:
        reports, self._unsent = self._unsent, []
        if self._carried:
            timeout_seconds = min(timeout_seconds, CARRIED_SECONDS)
        if self._waiting:
            timeout_seconds = min(timeout_seconds, OTHERS_LOOK_SECONDS)
        reports += self._arrived()
        for failed in self._waiting.over(lambda worker: bool(self._others(self._hosts[worker]))):
            reports += self._failed_there(failed, self._others(self._hosts[failed.worker]))
        if self._replicas is not None:
            self._replicas.order(self._avoided)
        for report in self._hub.wait(self._job, 0 if reports else timeout_seconds):
            reports += self._heard(report)
        return reports

    def close(self) -> None:
        if self._open:
            self._open = False
            if self._hosts:
                self._tell(self._by_host())
            self._hub.close_job(self._job)
            self.moved = add_links(self.moved, passed_since(self._passed_before, self._hub.passed()))
            if self._carrier is not None:
                self._carrier.close()
                self.moved = add_links(self.moved, self._carrier.moved)
            if sentence := moved_sentence(self.moved):
                self._tell(sentence)
            if self._replicas is not None:
                self.moved = add_links(self.moved, self._replicas.moved)
                for sentence in self._replicas.sentences():
                    self._tell(sentence)

    def _by_host(self) -> str:
        """What each host did, for the summary."""
        found = []
        for host in sorted(set(self._hosts.values())):
            workers = sum(name == host for name in self._hosts.values())
            what = f"{host} {self._done[host]:,} tasks ({workers} workers)".replace("(1 workers)", "(1 worker)")
            why = "lost" if not self._hub.is_here(host) else "avoided" if host in self._avoided else ""
            found.append(f"{what}, {why}" if why else what)
        return "by host: " + "; ".join(found)

    # --- reports

    def _heard(self, report: HubReport) -> list[Report]:
        match report:
            case HostJoined() | HostLeft() | CopyMade() | CopyFailed():
                return [] if self._replicas is None else self._replicas.heard(report)
            case OutputsGone():
                if self._replicas is not None:
                    self._replicas.heard(report)
            case Ready(worker, _):
                self._hosts[worker] = host = self._hub.host_of(worker)
                self._gone.discard(host)
                return [] if host in self._avoided else [report]
            case Finished():
                return self._finished(report)
            case Failed():
                return self._failed(report)
            case Lost(worker):
                self._waiting.lost(worker)
                self._lost_any = True
                host = self._hosts[worker]
                if host in self._avoided:
                    return []
                if host not in self._gone and not self._forgives_losses:
                    self._record.note(host)  # one that goes has failed once, however many workers it had
                if not self._hub.is_here(host):
                    self._gone.add(host)
                return [report, *self._avoid()]
            case Cancelled(worker):
                return [] if self._hosts[worker] in self._avoided else [report]
        return [report]

    def _finished(self, report: Finished) -> list[Report]:
        self._done[self._hosts[report.worker]] += 1
        counters, links = without_moved(report.result.counters)
        self.moved = add_links(self.moved, at_host(links, self._hosts[report.worker]))
        report = replace(report, result=replace(report.result, counters=counters))
        if self._carrier is None:
            return [report]
        attempt, result, host = report.attempt, report.result, self._hosts[report.worker]
        wanted: list[str] = []
        if COUNTER in result.counters:  # the records that it left out are part of the output
            wanted.append(JobPaths("").skipped(attempt))
        path = result.output.path
        if path is not None and attempt.task.stage == self._last_stage:
            wanted.append(path)
        elif path is not None:
            there = replace(result.output, path=join_path([host], path))
            report = replace(report, result=replace(result, output=there))
            if attempt.task.stage == self._kept_stage and not wanted:
                wanted.append(path)
        if not wanted:
            return [report]
        self._carried[attempt] = report
        self._carrier.fetch(attempt, [host], wanted)
        return []

    def _arrived(self) -> list[Report]:
        """Attempts whose output is here now, and those that were to have a copy here."""
        if self._carrier is None or not self._carried:
            return []
        reports: list[Report] = []
        for attempt, failure in self._carrier.fetched():
            report = self._carried.pop(attempt)
            path = report.result.output.path or ""
            if not path.startswith("@") or COUNTER in report.result.counters:
                reports.append(report if failure is None else Failed(report.worker, attempt, failure))
            elif failure is None:
                here = replace(report.result.output, path=with_host(path, TRACKER))
                reports.append(replace(report, result=replace(report.result, output=here)))
            else:
                _log.warning("no copy of %s is kept here: %s", path, failure.message)
                reports.append(report)
        return reports

    def _failed(self, report: Failed) -> list[Report]:
        host = self._hosts[report.worker]
        others = self._others(host)
        if not others and self._waiting.holds(report):
            _log.warning("host %s: %s; waiting for another host", host, report.failure.message)
            return []
        return self._failed_there(report, others)

    def _failed_there(self, report: Failed, others: int) -> list[Report]:
        host = self._hosts[report.worker]
        excused = retryable_elsewhere(report.failure, host, others)
        if excused is report.failure:
            return [report]
        self._record.note(host)
        return [replace(report, failure=excused), *self._avoid()]

    def _others(self, host: str) -> int:
        """How many hosts there are besides this one."""
        return len({agent.name for agent in self._hub.agents()} - self._avoided - {host})

    def _avoid(self) -> list[Report]:
        """Take the workers of hosts that have failed too often from the job; what they wrote stays."""
        agents = self._hub.agents()
        new = self._record.choose_avoided(agent.name for agent in agents) - self._avoided
        self._avoided |= new
        reports: list[Report] = []
        for agent in agents:
            if agent.name in new:
                reason = f"host {agent.name} has failed too often, and is avoided for the rest of the job"
                _log.warning("%s", reason)
                for seat in agent.seats.values():
                    for attempt in seat.attempts:
                        self._hub.cancel(self._job, attempt, seat.id)
                    reports.append(Lost(seat.id, reason, withdrawn=True))
        return reports

    def _lost_inputs(self, spec: Any) -> tuple[TaskId, ...]:
        """Tasks whose outputs the spec wants from hosts that are gone."""
        spec = getattr(spec, "spec", spec)  # of a wrapped one
        tasks = getattr(spec, "tasks", ())
        paths = getattr(spec, "segments", None) or [partial.path for partial in getattr(spec, "partials", ())]
        return tuple(task for task, path in zip(tasks, paths, strict=True) if path and self._is_gone(path))

    def _is_gone(self, path: str) -> bool:
        hosts, _ = split_path(path)
        return bool(hosts) and all(self._hub.host_is_gone(self._job, host) for host in hosts)


OTHERS_LOOK_SECONDS = 0.25
CARRIED_SECONDS = 0.01
"""How often it is looked whether an output has been brought here, while one is on its way."""

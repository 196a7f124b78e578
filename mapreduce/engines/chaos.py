"""Which faults does `--chaos SEED[:kill=0.05,...]` inflict on the engine, and when?

Whether an attempt suffers, what, and at which moment, is a hash of the seed and the attempt's name: the same on every
run, for any number of workers and hosts, whatever is slow or fast. An attempt that is to suffer carries its fault along
(see `injuries`), so it strikes that attempt and no other, on whichever host it runs.

    kill       SIGKILL of the worker: at the attempt's start, within, at its end, or when it has just reported
    stop       SIGSTOP of the worker; it comes back after 1 to 3 s, when a backup attempt may have been faster
    slow       the attempt pauses for 0.2 to 1 s
    corrupt    a segment or partial is flipped in one bit, cut short or deleted before anybody has read it
    kill-host  on a cluster: SIGKILL of the agent, and with it of all workers of its host and of what lies there
    stop-host  on a cluster: SIGSTOP of the agent for 6 to 8 s; it comes back when it has been given up

Only the first two attempts of a task suffer, and only the very first of a job is killed after its report, which may
cost the attempt queued behind it a try, too: so a task fails three times at the most, and the fourth attempt is left
alone. Hosts suffer twice a job at the most, one after the other, and never the last one; a task may be tried so much
more often. The answer never depends on any of this.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from mapreduce.dataclass import dataclass, replace
from mapreduce.dataflow.attempt import FoldMapSpec, FoldReduceSpec, MapSpec
from mapreduce.dataflow.results import Output
from mapreduce.engines.injuries import Fault, FaultKind, Injured, Moment, without_told
from mapreduce.errors import UsageError, near
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.settings import Settings
from mapreduce.storage.traffic import Links
from mapreduce.tracker.executor import Cancelled, Executor, Failed, Finished, LogLines, Lost, Report
from mapreduce.tracker.plan import Plan
from mapreduce.tracker.policy import Policy

DEFAULT_RATES = {FaultKind.KILL: 0.05, FaultKind.STOP: 0.02, FaultKind.SLOW: 0.1, FaultKind.CORRUPT: 0.01}
"""Of a bare seed: every tenth or so attempt of a job meets something, and a job takes little longer. Hosts suffer where
it is asked for: nobody may be there to begin an agent again."""

SUFFERING_ATTEMPTS = 2
STOP_SECONDS = (1.0, 3.0)
SLOW_SECONDS = (0.2, 1.0)
KILL_SECONDS = (0.001, 0.05)  # after the start; an attempt that is over before is killed at its end
STOP_HOST_SECONDS = (6.0, 8.0)  # longer than a host may be silent
HOST_FAULTS = 2

BACKUP_SECONDS = 1.0
"""Patience of the tracker under chaos: a stopped worker is backed up, and comes back as a straggler nobody needs."""

_log = logging.getLogger(__name__)
_NAMES = tuple(kind.value for kind in FaultKind)
_SAID = {
    FaultKind.KILL: "kill",
    FaultKind.STOP: "stop",
    FaultKind.SLOW: "slowed attempt",
    FaultKind.CORRUPT: "corrupted output",
    FaultKind.KILL_HOST: "host kill",
    FaultKind.STOP_HOST: "host stop",
}
_SECONDS = {
    FaultKind.STOP: STOP_SECONDS,
    FaultKind.SLOW: SLOW_SECONDS,
    FaultKind.STOP_HOST: STOP_HOST_SECONDS,
}
_ENDING_WORKERS = (FaultKind.KILL, FaultKind.STOP, FaultKind.KILL_HOST, FaultKind.STOP_HOST)


@dataclass(frozen=True, slots=True)
class Chaos:
    """Which share of the attempts suffers which fault. `job` tells the jobs of one engine apart."""

    seed: int
    rates: Mapping[FaultKind, float]
    job: str = ""

    def fault_for(self, attempt: AttemptId) -> Fault | None:
        """What the attempt suffers, if anything. The same for the same seed, job and attempt, everywhere."""
        if attempt.number >= SUFFERING_ATTEMPTS:
            return None
        name = f"{self.seed} {self.job} {attempt}"
        draw = _share(name, "kind")
        for kind in FaultKind:
            draw -= self.rates.get(kind, 0.0)
            if draw < 0:
                return _fault(kind, name, attempt)
        return None


def _share(name: str, purpose: str) -> float:
    """A number from 0 to below 1 that anyone can reckon again."""
    digest = blake2b(f"{name} {purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _fault(kind: FaultKind, name: str, attempt: AttemptId) -> Fault:
    moments = [Moment.START, Moment.WITHIN, Moment.END]
    if kind is FaultKind.KILL and attempt == ((0, 0), 0):
        moments.append(Moment.REPORTED)
    moment = moments[int(_share(name, "moment") * len(moments))]
    lowest, highest = _SECONDS.get(kind, KILL_SECONDS)
    seconds = lowest + _share(name, "seconds") * (highest - lowest)
    return Fault(kind, moment, seconds, _share(name, "place"))


def parse_chaos(text: str, job: str = "") -> Chaos:
    """Read `SEED` or `SEED:kill=0.05,stop=0.02`. Faults that are not named don't happen. Raises UsageError."""
    seed, colon, faults = text.partition(":")
    try:
        number = int(seed)
    except ValueError:
        raise UsageError(
            f"chaos {text!r}: {seed!r} is no seed; write a whole number, and rates if you like, such as 7:kill=0.05"
        ) from None
    named = [_parse_rate(part) for part in faults.split(",")] if colon else list(DEFAULT_RATES.items())
    rates = dict(named)
    if len(rates) < len(named):
        twice = next(kind for kind, _ in named if sum(kind is other for other, _ in named) > 1)
        raise UsageError(f"chaos {text!r}: {twice.value} is named twice; give one rate for it")
    if (total := sum(rates.values())) > 1:
        raise UsageError(
            f"chaos {text!r}: the rates add up to {total:g}; an attempt suffers one fault, so at most to 1"
        )
    return Chaos(number, rates, job)


def _parse_rate(part: str) -> tuple[FaultKind, float]:
    name, _, rate = (word.strip() for word in part.partition("="))
    if name not in _NAMES:
        raise UsageError(f"chaos knows no fault {name!r}; {near(name, _NAMES)}")
    try:
        share = float(rate)
    except ValueError:
        raise UsageError(
            f"chaos {part!r}: {rate!r} is no rate; write a share of the attempts, such as {name}=0.05"
        ) from None
    if not 0 <= share <= 1:
        raise UsageError(f"chaos {part!r}: the rate is {share:g}; it must be from 0 (none) to 1 (every attempt)")
    return FaultKind(name), share


def check_chaos(settings: Settings, engine: str) -> None:
    """Refuse, before anything runs, what can't be inflicted. Raises UsageError."""
    rates = parse_chaos(settings.chaos).rates
    if engine == "inline":
        raise UsageError("chaos injures worker processes, and an inline job has none; leave out --chaos or --inline")
    if engine != "cluster" and any(kind.of_host for kind, rate in rates.items() if rate):
        raise UsageError("chaos kill-host and stop-host strike agents of a cluster (--hosts, --listen); leave them out")
    if settings.skip_bad_records and any(rates.get(kind) for kind in _ENDING_WORKERS):
        raise UsageError(
            "chaos ends workers at records that are not bad, and --skip-bad-records would skip them; "
            "leave out one of the two, or the faults kill and stop"
        )


def chaos_policy(policy: Policy, plan: Plan, chaos: Chaos) -> Policy:
    """The tracker's figures under chaos: a stopped worker is noticed soon, each task may lose its output twice, and
    attempts that go with a host are not held against their tasks."""
    hosts = HOST_FAULTS if any(kind.of_host for kind, rate in chaos.rates.items() if rate) else 0
    return replace(
        policy,
        max_attempts=policy.max_attempts + hosts,
        backup_seconds=min(policy.backup_seconds, BACKUP_SECONDS),
        max_lost_inputs=max(
            policy.max_lost_inputs, (SUFFERING_ATTEMPTS + hosts) * sum(stage.tasks for stage in plan.stages)
        ),
    )


class Hosts(Protocol):
    """Who knows which hosts work for the job."""

    def hosts_here(self) -> Sequence[str]: ...


class ChaosExecutor:
    """Another executor's attempts, some of them injured; what was inflicted is told to `tell` in one sentence when it
    is closed. `hosts`: of a cluster."""

    runs_here = False

    def __init__(
        self, executor: Executor, chaos: Chaos, tell: Callable[[str], None], hosts: Hosts | None = None
    ) -> None:
        self._executor = executor
        self._chaos = chaos
        self._tell = tell
        self._hosts = hosts
        self._injuries: dict[AttemptId, Fault] = {}  # of attempts under way
        self._struck: set[str] = set()  # attempts whose fault was counted when it was told
        self._inflicted: Counter[FaultKind] = Counter()
        self._hit: set[TaskId] = set()  # tasks that a kill cost an attempt, and that have not finished since
        self._unwanted: set[AttemptId] = set()  # injured ones that were cancelled: their end costs nothing
        self._host_faults = 0
        self._host_fault: tuple[AttemptId, WorkerId] | None = None  # who carries one now
        self._open = True

    def workers(self) -> Sequence[WorkerId]:
        return self._executor.workers()

    def host_of(self, worker: WorkerId) -> str:
        """The name of the host that a worker is on, where there are several."""
        of_other: Callable[[WorkerId], str] = getattr(self._executor, "host_of", lambda _: "")
        return of_other(worker)

    def committed(self, attempt: AttemptId, output: Output) -> None:
        """An output counts."""
        tell: Callable[[AttemptId, Output], None] = getattr(self._executor, "committed", lambda *_: None)
        tell(attempt, output)

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        fault = self._chaos.fault_for(attempt)
        if fault is not None and self._may_suffer(fault, spec):
            _log.debug("chaos: attempt %s will suffer %s", attempt, fault)
            self._injuries[attempt] = fault
            if fault.kind.of_host:
                self._host_fault = (attempt, worker)
                self._host_faults += 1
            spec = Injured(spec, fault)
        self._executor.start(attempt, worker, spec)

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        if attempt in self._injuries:
            self._unwanted.add(attempt)
        self._executor.cancel(attempt, worker)

    def wait(self, timeout_seconds: float) -> list[Report]:
        reports = [self._heard(report) for report in self._executor.wait(timeout_seconds)]
        return [report for report in reports if report is not None]

    @property
    def moved(self) -> Links:
        """What was passed on, once it is closed."""
        return getattr(self._executor, "moved", {})

    def close(self) -> None:
        self._executor.close()
        if self._open:
            self._open = False
            self._tell(self._account())

    def _may_suffer(self, fault: Fault, spec: Any) -> bool:
        if fault.kind is FaultKind.CORRUPT:
            return _is_checked(spec)
        if not fault.kind.of_host:
            return True
        is_next = self._host_fault is None and self._host_faults < HOST_FAULTS
        return is_next and self._hosts is not None and len(self._hosts.hosts_here()) > 1

    def _heard(self, report: Report) -> Report | None:
        match report:
            case Finished(_, attempt):
                self._hit.discard(attempt.task)
                fault = self._over(attempt)
                if fault is not None and fault.kind is FaultKind.KILL:  # just after this report
                    self._inflicted[FaultKind.KILL] += 1
            case Failed() | Cancelled():
                self._over(report.attempt)
            case Lost():
                self._lost(report)
            case LogLines():
                return self._without_told(report)
        return report

    def _over(self, attempt: AttemptId) -> Fault | None:
        self._unwanted.discard(attempt)
        if self._host_fault is not None and self._host_fault[0] == attempt:
            self._host_fault = None
        return self._injuries.pop(attempt, None)

    def _lost(self, report: Lost) -> None:
        struck = report.running
        if self._host_fault is not None and self._host_fault[1] == report.worker:
            if self._hosts is not None and self.host_of(report.worker) not in self._hosts.hosts_here():
                struck = self._host_fault[0]  # before the end of the attempt ahead of it was heard
            self._host_fault = None
        wanted = struck not in self._unwanted
        fault = None if struck is None else self._over(struck)
        if struck is None or fault is None or not (fault.kind is FaultKind.KILL or fault.kind.of_host):
            return
        if str(struck) not in self._struck:
            self._inflicted[fault.kind] += 1
        if wanted:
            self._hit.add(struck.task)

    def _without_told(self, report: LogLines) -> LogLines | None:
        text, told = without_told(report.text)
        for kind, attempt in told:
            self._struck.add(attempt)
            self._inflicted[kind] += 1
        return replace(report, text=text) if text else None

    def _account(self) -> str:
        # A task may also be hit when nobody needs it any more, or never again: the job's end tells of that.
        return account(self._chaos.seed, self._inflicted, all_survived=not self._hit)


SURVIVED = "; all survived"
_ACCOUNT = re.compile(r"chaos \(seed (-?\d+)\) (?:inflicted|spared)")


def account(seed: int, inflicted: Mapping[FaultKind, int], *, all_survived: bool) -> str:
    """What was inflicted, in one sentence."""
    counted = [_counted(kind, inflicted[kind]) for kind in FaultKind if inflicted.get(kind)]
    if not counted:
        return f"chaos (seed {seed}) spared every attempt; try another seed, or higher rates"
    return f"chaos (seed {seed}) inflicted {', '.join(counted)}{SURVIVED if all_survived else ''}"


def inflicted_by(note: str) -> Counter[FaultKind]:
    """The inverse of `account`, as far as faults go."""
    kinds = {said: kind for kind, said in _SAID.items()}
    found = re.findall(rf"(\d+) ({'|'.join(kinds)})", note)
    return Counter({kinds[said]: int(count) for count, said in found})


def one_account(notes: Sequence[str]) -> list[str]:
    """The same notes, with the accounts of several jobs as one, where the first of them stood."""
    ours = [note for note in notes if _ACCOUNT.match(note)]
    if len(ours) < 2:
        return list(notes)
    seeds = [match.group(1) for note in ours if (match := _ACCOUNT.match(note))]
    inflicted: Counter[FaultKind] = sum(map(inflicted_by, ours), Counter())
    survived = all(note.endswith(SURVIVED) for note in ours if inflicted_by(note))
    place = notes.index(ours[0])
    others = [note for note in notes if note not in ours]
    return [*others[:place], account(int(seeds[0]), inflicted, all_survived=survived), *others[place:]]


def _counted(kind: FaultKind, count: int) -> str:
    return f"{count} {_SAID[kind]}{'' if count == 1 else 's'}"


def _is_checked(spec: Any) -> bool:
    """Whether what the attempt makes is checked by who reads it: segments and partials are."""
    return isinstance(spec, MapSpec | FoldMapSpec) or (isinstance(spec, FoldReduceSpec) and not spec.last)

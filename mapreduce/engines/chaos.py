"""Which faults does `--chaos SEED[:kill=0.05,...]` inflict on the engine, and when?

Whether an attempt suffers, what, and at which moment, is a hash of the seed and the attempt's name: the same on every
run, for any number of workers, whatever is slow or fast. An attempt that is to suffer carries its fault along (see
`injuries`), so it strikes that attempt and no other. What a worker can't do to itself is done here: a stopped worker is
continued, and a finished output is damaged before anybody has read it.

    kill      SIGKILL of the worker: at the attempt's start, within, at its end, or when it has just reported
    stop      SIGSTOP of the worker; it comes back after 1 to 3 s, when a backup attempt may have been faster
    slow      the attempt pauses for 0.2 to 1 s
    corrupt   a segment or partial is flipped in one bit, cut short or deleted after it was reported

Only the first two attempts of a task suffer, and only the very first of a job is killed after its report, which may
cost the attempt queued behind it a try, too: so a task fails three times at the most, and the fourth attempt is left
alone. The answer never depends on any of this.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Protocol

from mapreduce.dataflow.attempt import FoldMapSpec, FoldReduceSpec, MapSpec
from mapreduce.engines.injuries import Fault, FaultKind, Injured, Moment, damage
from mapreduce.errors import UsageError, near
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.settings import Settings
from mapreduce.tracker.executor import Cancelled, Executor, Failed, Finished, Lost, Report
from mapreduce.tracker.plan import Plan
from mapreduce.tracker.policy import Policy

DEFAULT_RATES = {FaultKind.KILL: 0.05, FaultKind.STOP: 0.02, FaultKind.SLOW: 0.1, FaultKind.CORRUPT: 0.01}
"""Of a bare seed: every tenth or so attempt of a job meets something, and a job takes little longer."""

SUFFERING_ATTEMPTS = 2
STOP_SECONDS = (1.0, 3.0)
SLOW_SECONDS = (0.2, 1.0)
KILL_SECONDS = (0.001, 0.05)  # after the start; an attempt that is over before is killed at its end

BACKUP_SECONDS = 1.0
"""Patience of the tracker under chaos: a stopped worker is backed up, and comes back as a straggler nobody needs."""

LOOK_SECONDS = 0.05  # how often a worker is looked at that will stop

_log = logging.getLogger(__name__)
_NAMES = tuple(kind.value for kind in FaultKind)
_SAID = {
    FaultKind.KILL: "kill",
    FaultKind.STOP: "stop",
    FaultKind.SLOW: "slowed attempt",
    FaultKind.CORRUPT: "corrupted output",
}


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
    lowest, highest = {FaultKind.STOP: STOP_SECONDS, FaultKind.SLOW: SLOW_SECONDS}.get(kind, KILL_SECONDS)
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
    if settings.skip_bad_records and (rates.get(FaultKind.KILL) or rates.get(FaultKind.STOP)):
        raise UsageError(
            "chaos ends workers at records that are not bad, and --skip-bad-records would skip them; "
            "leave out one of the two, or the faults kill and stop"
        )


def chaos_policy(policy: Policy, plan: Plan) -> Policy:
    """The tracker's figures under chaos: a stopped worker is noticed soon, and each task may lose its output twice."""
    return replace(
        policy,
        backup_seconds=min(policy.backup_seconds, BACKUP_SECONDS),
        max_lost_inputs=max(policy.max_lost_inputs, SUFFERING_ATTEMPTS * sum(stage.tasks for stage in plan.stages)),
    )


class Processes(Protocol):
    """Who knows the processes of the workers."""

    def pid(self, worker: WorkerId) -> int | None:
        """None once it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class _Injury:
    """What an attempt suffers. `checked`: who reads its output will notice damage."""

    fault: Fault
    checked: bool


@dataclass(slots=True)
class _Stop:
    """A worker that stops itself during an attempt. `until`: when it shall go on, once it was seen to stand."""

    fault: Fault
    worker: WorkerId
    until: float | None = None
    over: bool = False


class ChaosExecutor:
    """Another executor's attempts, some of them injured. `root` is the job's folder; what was inflicted is told to
    `tell` in one sentence when it is closed."""

    runs_here = False

    def __init__(
        self,
        executor: Executor,
        processes: Processes,
        chaos: Chaos,
        root: str,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._processes = processes
        self._chaos = chaos
        self._root = root
        self._tell = tell
        self._clock = clock
        self._injuries: dict[AttemptId, _Injury] = {}  # of attempts under way
        self._stops: dict[AttemptId, _Stop] = {}
        self._inflicted: Counter[FaultKind] = Counter()
        self._hit: set[TaskId] = set()  # tasks that a kill cost an attempt, and that have not finished since
        self._unwanted: set[AttemptId] = set()  # injured ones that were cancelled: their end costs nothing
        self._open = True

    def workers(self) -> Sequence[WorkerId]:
        return self._executor.workers()

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        fault = self._chaos.fault_for(attempt)
        if fault is not None:
            _log.debug("chaos: attempt %s will suffer %s", attempt, fault)
            self._injuries[attempt] = _Injury(fault, _is_checked(spec))
            if fault.kind is FaultKind.STOP:
                self._stops[attempt] = _Stop(fault, worker)
            if fault.kind is not FaultKind.CORRUPT:
                spec = Injured(spec, fault)
        self._executor.start(attempt, worker, spec)

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        if attempt in self._injuries:
            self._unwanted.add(attempt)
        self._executor.cancel(attempt, worker)

    def wait(self, timeout_seconds: float) -> list[Report]:
        if self._stops:
            timeout_seconds = min(timeout_seconds, LOOK_SECONDS)
        reports = [self._heard(report) for report in self._executor.wait(timeout_seconds)]
        looked_at: set[WorkerId] = set()
        for stop in self._stops.values():
            if stop.worker not in looked_at:  # a later one of the same worker waits for its turn
                looked_at.add(stop.worker)
                self._look_at(stop)
        self._stops = {attempt: stop for attempt, stop in self._stops.items() if not stop.over}
        return reports

    def close(self) -> None:
        for stop in self._stops.values():
            if stop.until is not None:
                stop.until = self._clock()
                self._look_at(stop)
        self._executor.close()  # what stands still even so is killed
        if self._open:
            self._open = False
            self._tell(self._account())

    def _heard(self, report: Report) -> Report:
        if isinstance(report, Finished):
            return self._finished(report)
        if isinstance(report, Failed | Cancelled):
            self._over(report.attempt)
        elif isinstance(report, Lost):
            self._lost(report)
        return report

    def _over(self, attempt: AttemptId) -> _Injury | None:
        self._stops.pop(attempt, None)
        self._unwanted.discard(attempt)
        return self._injuries.pop(attempt, None)

    def _finished(self, report: Finished) -> Finished:
        self._hit.discard(report.attempt.task)
        injury = self._over(report.attempt)
        if injury is None or injury.fault.kind is FaultKind.STOP:  # it was counted when its worker stood
            return report
        if injury.fault.kind is FaultKind.CORRUPT:
            output = damage(self._root, report.result.output, injury.fault) if injury.checked else None
            if output is None:
                return report
            report = report._replace(result=replace(report.result, output=output))
        self._inflicted[injury.fault.kind] += 1
        return report

    def _lost(self, report: Lost) -> None:
        self._stops = {attempt: stop for attempt, stop in self._stops.items() if stop.worker != report.worker}
        wanted = report.running not in self._unwanted
        injury = None if report.running is None else self._over(report.running)
        if report.running is not None and injury is not None and injury.fault.kind is FaultKind.KILL:
            self._inflicted[FaultKind.KILL] += 1
            if wanted:
                self._hit.add(report.running.task)

    def _look_at(self, stop: _Stop) -> None:
        """See that a worker stands, and let it go on when it has stood for as long as it should."""
        pid = self._processes.pid(stop.worker)
        if pid is None:
            return
        if stop.until is None and _stands(pid):
            self._inflicted[FaultKind.STOP] += 1
            stop.until = self._clock() + stop.fault.seconds
        elif stop.until is not None and self._clock() >= stop.until:
            os.kill(pid, signal.SIGCONT)
            stop.over = True

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
    found = re.findall(r"(\d+) (kill|stop|slowed attempt|corrupted output)", note)
    kinds = {said: kind for kind, said in _SAID.items()}
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


def _stands(pid: int) -> bool:
    """Whether our child is stopped; taken for granted where the system does not tell (macOS)."""
    if not hasattr(os, "waitid"):
        return True
    try:
        seen = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return seen is not None

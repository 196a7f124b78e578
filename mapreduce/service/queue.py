"""Which job runs next, and on which slots? A pure state machine: events in, commands out, no clock of its own.

```text
Submitted  KillAsked  SlotsChanged  LeaseReturned          StartJob  Lease  StopJob
JobEnded   JobDied    Tick                         --->    Refuse    NoteState
```

A host lends its slots; a job holds leases. A lease is raised at once where slots are free. It is lowered by asking: the
job lets the attempts that run there end, and says what it returned; until then those slots are not lent to another. So
no slot ever has two jobs, and no work is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping

from mapreduce.dataclass import dataclass, field
from mapreduce.service.jobs import Cause, JobState, next_state
from mapreduce.service.shares import ANY, Claim, Sharing, choose_hosts, share_slots

MOST_DEATHS = 3
"""A job whose process dies so often without a word is not started again: it is the job that kills it."""

KILL_SECONDS = 10.0
"""A job that was told to stop has so long to end in order."""

REST_SECONDS = 1.0
"""Before a job whose process died is started again; doubles."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the service. `jobs` run at once, `queued` wait at most; `workers` is the most of one job."""

    jobs: int = 4
    queued: int = 1000
    workers: int | None = None


# Events


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job, by its number. Numbers ascend; `restored` ones were taken before a restart, and are never refused."""

    time: float
    job: int
    claim: Claim = ANY
    restored: bool = False


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The job's process has said how the job ended, and is gone."""

    time: float
    job: int
    succeeded: bool


@dataclass(frozen=True, slots=True)
class JobDied:
    """The job's process is gone without having said how the job ended."""

    time: float
    job: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KillAsked:
    time: float
    job: int


@dataclass(frozen=True, slots=True)
class SlotsChanged:
    """A host lends so many slots from now on. `gone`: it was lost or is new, and all leases there are void."""

    time: float
    host: str
    slots: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class LeaseReturned:
    """A job uses no more than so many slots of the host from now on."""

    time: float
    job: int
    host: str
    slots: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `JobQueue.wake_time` says by when one is due."""

    time: float


Event = Submitted | JobEnded | JobDied | KillAsked | SlotsChanged | LeaseReturned | Tick


# Commands


@dataclass(frozen=True, slots=True)
class StartJob:
    job: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The job may use so many slots of the host. Fewer than before: it lets go of the others, and says so."""

    job: int
    host: str
    slots: int


@dataclass(frozen=True, slots=True)
class StopJob:
    """End the job's process; `at_once` without leave to say a word."""

    job: int
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """The job was not taken."""

    job: int
    reason: str


@dataclass(frozen=True, slots=True)
class NoteState:
    """The job's state is now this one: write it down before anything else is done for it."""

    job: int
    state: JobState
    reason: str = ""


Command = StartJob | Lease | StopJob | Refuse | NoteState


@dataclass(slots=True)
class _Job:
    number: int
    claim: Claim
    state: JobState = JobState.QUEUED
    held: dict[str, int] = field(default_factory=dict)  # slots that it may be using
    told: dict[str, int] = field(default_factory=dict)  # slots that it was last told to use
    deaths: int = 0
    rests_until: float = 0.0
    stop_by: float | None = None


class JobQueue:
    """The machine. Give it every event, carry out every command in order. Jobs that have ended are forgotten."""

    def __init__(self, sharing: Sharing = Sharing.FIFO, limits: Limits | None = None) -> None:
        self.sharing = sharing
        self.limits = limits or Limits()
        self._jobs: dict[int, _Job] = {}  # in the order of their numbers
        self._slots: dict[str, int] = {}
        self._commands: list[Command] = []

    def handle(self, event: Event) -> list[Command]:
        """What follows from the event. One about a job that is unknown or has ended is harmless."""
        self._commands = []
        match event:
            case Submitted():
                self._submitted(event)
            case JobEnded(job=number, succeeded=succeeded):
                self._ended(number, Cause.SUCCEEDED if succeeded else Cause.FAILED)
            case JobDied():
                self._died(event)
            case KillAsked(time, number):
                self._kill(time, number)
            case SlotsChanged():
                self._slots_changed(event)
            case LeaseReturned():
                self._returned(event)
            case Tick(time):
                self._stop_the_slow(time)
        self._start_jobs(event.time)
        self._share()
        return self._commands

    # What may be asked, at any time

    def state(self, job: int) -> JobState | None:
        """None of a job that has ended or never was."""
        return self._jobs[job].state if job in self._jobs else None

    def leases(self, job: int) -> dict[str, int]:
        """Slots by host that the job may be using."""
        return dict(self._jobs[job].held) if job in self._jobs else {}

    def slots(self) -> dict[str, int]:
        return dict(self._slots)

    def reason_to_refuse(self) -> str:
        """Why a job that is submitted now would not be taken; empty if it would."""
        waiting = sum(job.state is JobState.QUEUED for job in self._jobs.values())
        if waiting < self.limits.queued:
            return ""
        return f"{waiting:,} jobs are waiting, and the tracker takes no more; try again later"

    def wake_time(self) -> float | None:
        """By when a Tick is due; None if nothing depends on time."""
        rests = [job.rests_until for job in self._jobs.values() if job.state is JobState.QUEUED and job.rests_until]
        stops = [job.stop_by for job in self._jobs.values() if job.stop_by is not None]
        return min(rests + stops, default=None)

    # What happened

    def _submitted(self, event: Submitted) -> None:
        reason = self.reason_to_refuse()
        if reason and not event.restored:
            self._commands.append(Refuse(event.job, reason))
            return
        self._jobs[event.job] = _Job(event.job, self._limited(event.claim))
        if not event.restored:
            self._commands.append(NoteState(event.job, JobState.QUEUED))

    def _limited(self, claim: Claim) -> Claim:
        bounds = [most for most in (claim.most, self.limits.workers) if most is not None]
        return Claim(claim.weight, min(bounds, default=None))

    def _move(self, job: _Job, cause: Cause, reason: str = "") -> None:
        before = job.state
        job.state = next_state(before, cause)
        if job.state is not before:
            self._commands.append(NoteState(job.number, job.state, reason))
        if job.state.ended:
            del self._jobs[job.number]

    def _ended(self, number: int, cause: Cause) -> None:
        job = self._jobs.get(number)
        if job is not None and job.state is not JobState.QUEUED:
            self._move(job, cause)

    def _died(self, event: JobDied) -> None:
        job = self._jobs.get(event.job)
        if job is None or job.state is JobState.QUEUED:
            return
        job.held.clear()
        job.told.clear()
        job.deaths += 1
        if job.state is JobState.RUNNING and job.deaths >= MOST_DEATHS:
            self._move(job, Cause.FAILED, f"its process died {job.deaths} times; the last time: {event.reason}")
            return
        job.rests_until = event.time + REST_SECONDS * 2 ** (job.deaths - 1)
        self._move(job, Cause.DIED, event.reason)

    def _kill(self, time: float, number: int) -> None:
        job = self._jobs.get(number)
        if job is None:
            return
        if job.state is JobState.RUNNING:
            job.stop_by = time + KILL_SECONDS
            self._commands.append(StopJob(number))
        self._move(job, Cause.KILL)

    def _stop_the_slow(self, time: float) -> None:
        for job in self._jobs.values():
            if job.stop_by is not None and job.stop_by <= time:
                job.stop_by = None
                self._commands.append(StopJob(job.number, at_once=True))

    def _slots_changed(self, event: SlotsChanged) -> None:
        if event.gone:
            for job in self._jobs.values():
                job.held.pop(event.host, None)
                job.told.pop(event.host, None)
        self._slots[event.host] = event.slots
        if not event.slots and not any(event.host in job.held for job in self._jobs.values()):
            del self._slots[event.host]

    def _returned(self, event: LeaseReturned) -> None:
        job = self._jobs.get(event.job)
        if job is None or event.host not in job.held:
            return
        job.held[event.host] = max(min(event.slots, job.held[event.host]), job.told[event.host])
        if not job.held[event.host]:
            del job.held[event.host], job.told[event.host]
            if not self._slots[event.host] and not any(event.host in other.held for other in self._jobs.values()):
                del self._slots[event.host]

    # What follows

    def _start_jobs(self, time: float) -> None:
        """As many as may run at once and would get a slot, in order."""
        running = [job for job in self._jobs.values() if job.state is not JobState.QUEUED]
        slots = sum(self._slots.values())
        for job in [job for job in self._jobs.values() if job.state is JobState.QUEUED]:
            if len(running) >= self.limits.jobs:
                break
            if job.rests_until > time:
                continue
            job.rests_until = 0.0
            line = sorted([*running, job], key=lambda each: each.number)
            shares = share_slots(slots, [each.claim for each in line], self.sharing)
            if not all(shares):
                break
            running = line
            self._move(job, Cause.STARTED)
            self._commands.append(StartJob(job.number))

    def _share(self) -> None:
        """Lower leases first; then raise them where slots are free."""
        running = [job for job in self._jobs.values() if job.state is JobState.RUNNING]
        running.sort(key=lambda job: job.number)
        shares = share_slots(sum(self._slots.values()), [job.claim for job in running], self.sharing)
        for job, share in zip(running, shares, strict=True):
            self._lower(job, sum(job.told.values()) - share)
        for host, surplus in self._overdrawn().items():
            for job in reversed(running):
                surplus -= self._lower(job, min(surplus, job.told.get(host, 0)), host)
        for job, share in zip(running, shares, strict=True):
            self._raise(job, share - sum(job.told.values()))

    def _overdrawn(self) -> dict[str, int]:
        """Hosts that lend fewer slots than jobs were told to use there, and by how many."""
        told = {host: sum(job.told.get(host, 0) for job in self._jobs.values()) for host in self._slots}
        return {host: told[host] - slots for host, slots in self._slots.items() if told[host] > slots}

    def _lower(self, job: _Job, count: int, host: str | None = None) -> int:
        """Ask the job to return so many slots; how many it was asked for."""
        if count <= 0:
            return 0
        places: Mapping[str, int] = job.told if host is None else {host: job.told[host]}
        for place, slots in choose_hosts(count, places).items():
            job.told[place] -= slots
            self._commands.append(Lease(job.number, place, job.told[place]))
        return count

    def _raise(self, job: _Job, count: int) -> None:
        """Let the job use so many slots more, as far as some are free: first those that it was asked to return and
        still holds."""
        if count <= 0:
            return
        told = {host: sum(each.told.get(host, 0) for each in self._jobs.values()) for host in self._slots}
        leaving = {host: min(held - job.told[host], self._slots[host] - told[host]) for host, held in job.held.items()}
        for host, slots in choose_hosts(count, leaving).items():
            job.told[host] += slots
            count -= slots
            self._commands.append(Lease(job.number, host, job.told[host]))
        used = {host: sum(each.held.get(host, 0) for each in self._jobs.values()) for host in self._slots}
        free = {host: slots - used[host] for host, slots in self._slots.items()}
        for host, slots in choose_hosts(count, free).items():
            job.told[host] = job.told.get(host, 0) + slots
            job.held[host] = job.held.get(host, 0) + slots
            self._commands.append(Lease(job.number, host, job.told[host]))

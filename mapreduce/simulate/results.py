"""How did a simulated job go, and what did simulating it cost?"""

from __future__ import annotations

import sys
from pathlib import Path

from mapreduce.dataclass import dataclass
from mapreduce.tracker.commands import OutcomeKind


@dataclass(frozen=True, slots=True)
class StageSpan:
    """A stage: how many tasks, and when its first attempt began and its last output was committed."""

    name: str
    tasks: int
    first_start: float
    last_commit: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What the simulation itself took, on this machine: `handle_seconds` of it in `Tracker.handle`. Where others use
    the processor too, `cpu_seconds` is less than `seconds`."""

    seconds: float
    cpu_seconds: float
    handle_seconds: float
    peak_memory_bytes: int


@dataclass(slots=True)
class Tally:
    """What is counted while a simulation runs."""

    events: int = 0
    commands: int = 0
    attempts: int = 0  # that began to run
    failed_attempts: int = 0
    backups: int = 0
    backups_won: int = 0
    workers_lost: int = 0
    crashes: int = 0
    cuts: int = 0
    stops: int = 0
    made_again: int = 0  # tasks whose output was lost and committed a second time
    work_seconds: float = 0.0
    bytes_here: float = 0.0  # of input, read where it lies; counted only where there is a network
    bytes_moved: float = 0.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """One run. All but `cost` is the same for the same scenario and seed."""

    outcome: OutcomeKind
    reason: str
    hosts: int
    slots: int
    makespan: float
    """Seconds from the start to the end of the job, on the virtual clock."""
    useful_seconds: float
    """Time of the attempts whose output counts in the end; the rest of `tally.work_seconds` was wasted."""
    stages: tuple[StageSpan, ...]
    tally: Tally
    cost: Cost

    @property
    def succeeded(self) -> bool:
        return self.outcome is OutcomeKind.SUCCEEDED

    @property
    def tasks(self) -> int:
        return sum(stage.tasks for stage in self.stages)

    @property
    def wasted_seconds(self) -> float:
        return max(0.0, self.tally.work_seconds - self.useful_seconds)

    @property
    def wasted_share(self) -> float:
        work = self.tally.work_seconds
        return self.wasted_seconds / work if work else 0.0

    @property
    def decisions_per_second(self) -> float:
        """Events that the tracker handled in a second of processor time of its own."""
        return self.tally.events / self.handle_cpu_seconds if self.handle_cpu_seconds else 0.0

    @property
    def handle_cpu_seconds(self) -> float:
        """Processor time in `Tracker.handle`: its share of the whole."""
        cost = self.cost
        return cost.cpu_seconds * cost.handle_seconds / cost.seconds if cost.seconds else 0.0


def peak_memory_bytes() -> int:
    """The most memory that this process ever held. (Where there is no /proc: including its parent's, at the fork.)"""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak

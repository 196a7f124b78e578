"""Which tasks has the simulated job, and what would each take on a host as it should be?

A task's seconds are drawn once, so they are the same for every attempt and in every run with the same seed, however
many hosts there are: a task that is slow because it is large is as slow the second time.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from random import Random
from typing import Protocol

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import UsageError
from mapreduce.tracker.plan import FAN_IN, NeedsKind, Plan, plan_fold, plan_keyed, plan_map_only

FETCH_SHARE = 0.3
"""Share of a reduce task in which it reads what maps wrote, unless a scenario knows better: as in the model of the
paper's sort (`presets`), 60 of 205 seconds. It decides how many reduces a lost output hits, and no more."""

DISK_SHARE = 0.4
"""Share of a task in which it waits for its own disk: an assumption. It counts only where disks are slow."""


class Times(Protocol):
    """Seconds of a stage's tasks."""

    def draw(self, random: Random, tasks: int) -> array[float]: ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Every task takes as long."""

    seconds: float

    def draw(self, random: Random, tasks: int) -> array[float]:
        return array("d", [self.seconds]) * tasks


@dataclass(frozen=True, slots=True)
class Uniform:
    """Anything between two bounds is as likely."""

    least: float
    most: float

    def draw(self, random: Random, tasks: int) -> array[float]:
        return array("d", (random.uniform(self.least, self.most) for _ in range(tasks)))


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Most tasks near the median, few of them much longer: how task times of real clusters look."""

    median: float
    sigma: float

    def draw(self, random: Random, tasks: int) -> array[float]:
        mu = math.log(self.median)
        return array("d", (random.lognormvariate(mu, self.sigma) for _ in range(tasks)))


@dataclass(frozen=True, slots=True)
class Exponential:
    """Short ones are common, and there is no longest."""

    mean: float

    def draw(self, random: Random, tasks: int) -> array[float]:
        return array("d", (random.expovariate(1 / self.mean) for _ in range(tasks)))


@dataclass(frozen=True, slots=True)
class Measured:
    """What the tasks of a real job took."""

    seconds: Sequence[float]

    def draw(self, random: Random, tasks: int) -> array[float]:
        return array("d", self.seconds)


_FORMS = "10, uniform:5:15, lognormal:MEDIAN:SIGMA (as lognormal:10:0.5) or exponential:MEAN"


def parse_times(text: str) -> Times:
    """'10', 'uniform:5:15', 'lognormal:10:0.5', 'exponential:10': seconds. Raises UsageError."""
    name, *figures = text.split(":") if ":" in text else ("constant", text)
    try:
        numbers = [float(figure) for figure in figures]
    except ValueError:
        numbers = []
    if numbers and all(0 < number < math.inf for number in numbers):
        match name, numbers:
            case "constant", [seconds]:
                return Constant(seconds)
            case "uniform", [least, most] if least <= most:
                return Uniform(least, most)
            case "lognormal", [median, sigma]:
                return Lognormal(median, sigma)
            case "exponential", [mean]:
                return Exponential(mean)
    raise UsageError(f"{text!r} is not a time; write seconds above 0: {_FORMS}")


@dataclass(frozen=True, slots=True)
class StageWork:
    """What a stage's tasks take on a host as it should be, and on what: `fetch` is the share in which a task reads
    others' outputs over the network (at its start), `disk` the share of its own disk; the rest is computing. Where the
    scenario has a network, that tells how long reading takes, from `bytes`, instead of `fetch`."""

    times: Times
    fetch: float = 0.0
    disk: float = 0.0
    bytes: float = 0.0  # that a task reads: a map of the input, others of what the stage before wrote


@dataclass(frozen=True, slots=True)
class Workload:
    """A job: its plan, and the work of each stage."""

    plan: Plan
    work: tuple[StageWork, ...]

    def reading(self, map_bytes: float, shuffle_bytes: float) -> Workload:
        """The same, with so many bytes of input for a map, and so many that it passes on."""
        maps, first = self.plan.stages[0].tasks, replace(self.work[0], bytes=map_bytes)
        later = []
        for stage, work in zip(self.plan.stages[1:], self.work[1:], strict=True):
            is_tree = stage.needs.kind is NeedsKind.GROUPS  # partials are all as large
            size = shuffle_bytes * (stage.needs.fan_in if is_tree else maps / max(1, stage.tasks))
            later.append(replace(work, bytes=size))
        return replace(self, work=(first, *later))

    def draw(self, seed: int) -> list[array[float]]:
        """The seconds of all tasks, by stage."""
        pairs = zip(self.plan.stages, self.work, strict=True)
        return [work.times.draw(Random(f"{seed}/tasks/{stage.name}"), stage.tasks) for stage, work in pairs]


def keyed_workload(maps: int, reduces: int, map_times: Times, reduce_times: Times) -> Workload:
    """Maps and reduces; without reduces, maps alone."""
    map_work = StageWork(map_times, disk=DISK_SHARE)
    if not reduces:
        return Workload(plan_map_only(maps), (map_work,))
    reduce_work = StageWork(reduce_times, fetch=FETCH_SHARE, disk=DISK_SHARE)
    return Workload(plan_keyed(maps, reduces), (map_work, reduce_work))


def fold_workload(maps: int, map_times: Times, reduce_times: Times) -> Workload:
    """Maps and a tree of reduces."""
    plan = plan_fold(maps, FAN_IN)
    levels = [StageWork(reduce_times, fetch=FETCH_SHARE)] * (len(plan.stages) - 1)
    return Workload(plan, (StageWork(map_times, disk=DISK_SHARE), *levels))


def measured_workload(plan: Plan, seconds: Sequence[Sequence[float]]) -> Workload:
    """A past job's tasks, with the seconds that each was measured to take."""
    work = [
        StageWork(Measured(stage_seconds), fetch=0.0 if stage.needs.kind is NeedsKind.NONE else FETCH_SHARE)
        for stage, stage_seconds in zip(plan.stages, seconds, strict=True)
    ]
    return Workload(plan, tuple(work))

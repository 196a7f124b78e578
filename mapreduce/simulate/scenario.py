"""What is simulated? A job, hosts, what goes wrong with them, and the network between them."""

from __future__ import annotations

from random import Random

from mapreduce.dataclass import dataclass, field
from mapreduce.simulate.faults import Faults
from mapreduce.simulate.network import Links
from mapreduce.simulate.workload import Workload
from mapreduce.tracker.placement import Placement
from mapreduce.tracker.policy import Policy


@dataclass(frozen=True, slots=True)
class Scenario:
    """A job on a cluster, and what goes wrong. `startup_seconds` pass before the hosts take work. Where there are
    `links`, each map's input lies on `replicas` hosts: on those of `inputs`, if that is given."""

    workload: Workload
    hosts: int
    slots: int = 1
    faults: Faults = field(default_factory=Faults)
    policy: Policy = field(default_factory=Policy)
    seed: int = 1
    startup_seconds: float = 0.0
    links: Links | None = None
    placement: Placement = Placement.HYBRID
    replicas: int = 1
    inputs: tuple[tuple[int, ...], ...] = ()

    def places(self) -> list[tuple[int, ...]]:
        """The hosts that have each map's input: as given, or evenly spread, in no order."""
        if self.inputs:
            return list(self.inputs)
        maps, random = self.workload.plan.stages[0].tasks, Random(f"{self.seed}/places")
        order = [number % self.hosts for number in range(maps)]
        random.shuffle(order)
        more = min(self.replicas, self.hosts) - 1
        if not more:
            return [(host,) for host in order]
        others = range(self.hosts - 1)
        return [(host, *((host + 1 + each) % self.hosts for each in random.sample(others, more))) for host in order]

    @property
    def task_seconds(self) -> float:
        """What one worker of a host as it should be would take."""
        return sum(map(sum, self.workload.draw(self.seed)))

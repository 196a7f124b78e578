"""On which host shall a task run, when its input lies on some of them?

  balance    On whichever is free: no host waits while another works. Right where the network is fast.
  locality   Where its input lies. Others take it only when none of those hosts has a worker.
  hybrid     Where its input lies, if a worker comes free there soon: a host that finds nothing of its own waits for
             `locality_seconds` and then takes from the host that has most left to do. (Delay scheduling; Zaharia and
             others, EuroSys 2010. There a job waits, here a host does: a job of which some tasks always find their
             place would let the other hosts wait for ever.)

`Queues` is for a million tasks on ten thousand hosts: a worker that comes free looks into its own host's queue, and
one that is to wait is set aside until its host's patience is over or something turns up for it, so nobody looks at it
meanwhile. The rule as one would say it, for one task, is in tests/tracker/test_placement.py.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from heapq import heapify, heappop, heappush, heapreplace

from mapreduce.dataclass import dataclass, field
from mapreduce.ids import TaskId, WorkerId
from mapreduce.tracker.policy import Policy

Sources = Mapping[int, Sequence[Sequence[str]]]
"""By stage, for each task the hosts that have its input; none where that is no matter, or it is seen by all."""

IsReady = Callable[[TaskId], bool]


class Placement(Enum):
    """Which host a task goes to."""

    BALANCE = "balance"
    LOCALITY = "locality"
    HYBRID = "hybrid"


def patience_seconds(placement: Placement, policy: Policy, *, is_there: bool) -> float:
    """How long a host waits before it takes a task whose input lies on others; `is_there`: one of those works.

    A host that is not there may still come, or come back: agents don't all join in the same instant."""
    if placement is Placement.BALANCE:
        return 0.0
    if placement is Placement.LOCALITY and is_there:
        return math.inf
    return policy.locality_seconds


class _Tasks:
    """The tasks of one stage whose input one host has."""

    __slots__ = ("again", "cursor", "indices")

    def __init__(self) -> None:
        self.indices: array[int] = array("I")
        self.cursor = 0
        self.again: list[int] = []  # a heap: those that became ready once more

    @property
    def left(self) -> int:
        """At most so many are ready: those that other hosts took are among them until it looks."""
        return len(self.indices) - self.cursor + len(self.again)

    def first(self, is_ready: Callable[[int], bool]) -> int | None:
        """The first that is ready. It stays in the queue, where nobody sees it once it runs."""
        again, indices, cursor = self.again, self.indices, self.cursor
        while again and not is_ready(again[0]):
            heappop(again)
        while cursor < len(indices) and not is_ready(indices[cursor]):
            cursor += 1
        self.cursor = cursor
        if cursor < len(indices) and (not again or indices[cursor] <= again[0]):
            return indices[cursor]
        return again[0] if again else None


class _Stage:
    """The tasks of one stage by host."""

    __slots__ = ("anywhere", "by_host", "longest", "rows")

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        self.rows = rows
        self.by_host: dict[str, _Tasks] = {}
        self.anywhere = _Tasks()  # their input is seen by all
        for index, hosts in enumerate(rows):
            for name in hosts:
                self.by_host.setdefault(name, _Tasks()).indices.append(index)
            if not hosts:
                self.anywhere.indices.append(index)
        self.longest = [(-tasks.left, name) for name, tasks in self.by_host.items()]
        """A heap of (-tasks left, host): a host has an entry with at least as many as it has left."""
        heapify(self.longest)

    def came_back(self, index: int) -> None:
        for name in self.rows[index]:
            tasks = self.by_host[name]
            heappush(tasks.again, index)
            heappush(self.longest, (-tasks.left, name))
        if not self.rows[index]:
            heappush(self.anywhere.again, index)


@dataclass(slots=True)
class _Host:
    """A host that has workers, or has had some. `dry_since`: since when it finds nothing of its own."""

    workers: set[WorkerId] = field(default_factory=set)
    dry_since: float = math.inf


class Queues:
    """The ready tasks of the stages that read input, by host."""

    def __init__(self, placement: Placement, policy: Policy, sources: Sources, is_ready: IsReady) -> None:
        self._placement = placement
        self._policy = policy
        self._is_ready = is_ready
        self._stages = {stage: _Stage(rows) for stage, rows in sources.items()}
        self._hosts: dict[str, _Host] = {}
        self._host_of: dict[WorkerId, str] = {}
        self._dues: list[tuple[float, str]] = []  # a heap: when a host's patience is over

    def knows(self, task: TaskId) -> bool:
        return task.stage in self._stages

    def joined(self, worker: WorkerId, host: str) -> None:
        self._host_of[worker] = host
        self._hosts.setdefault(host, _Host()).workers.add(worker)

    def gone(self, worker: WorkerId) -> None:
        name = self._host_of.pop(worker)
        self._hosts[name].workers.discard(worker)
        if not self._hosts[name].workers:
            for stage in self._stages.values():
                if name in stage.by_host:
                    heappush(stage.longest, (-stage.by_host[name].left, name))

    def came_back(self, task: TaskId) -> None:
        """A task that failed, or whose output was lost, is or will be ready once more."""
        stage = self._stages[task.stage]
        stage.came_back(task.index)
        for name in stage.rows[task.index]:
            if name in self._hosts:
                self._hosts[name].dry_since = math.inf

    def choose(self, worker: WorkerId, number: int, time: float) -> TaskId | None:
        """The task of a stage that is open for a free worker; None if it shall wait, until `impatient` names it."""
        name, stage = self._host_of[worker], self._stages[number]

        def is_ready(index: int) -> bool:
            return self._is_ready(TaskId(number, index))

        own = stage.by_host.get(name)
        index = own.first(is_ready) if own is not None else None
        if index is not None:
            self._hosts[name].dry_since = math.inf
            return TaskId(number, index)
        index = stage.anywhere.first(is_ready)
        if index is None and time >= self._dry_since(name, time) + self._policy.locality_seconds:
            index = self._far(stage, is_ready)
        return None if index is None else TaskId(number, index)

    def may_take(self, worker: WorkerId, task: TaskId, time: float) -> bool:
        """Whether an idle worker may take over what is queued behind another."""
        name = self._host_of[worker]
        hosts = self._stages[task.stage].rows[task.index] if self.knows(task) else ()
        if not hosts or name in hosts:
            return True
        patience = patience_seconds(self._placement, self._policy, is_there=self._any_there(hosts))
        return time >= self._dry_since(name, time) + patience

    def due(self) -> float | None:
        """When the next host's patience will be over; None if none is waiting."""
        dues = self._dues
        while dues and self._hosts[dues[0][1]].dry_since + self._policy.locality_seconds != dues[0][0]:
            heappop(dues)  # it found something since
        return dues[0][0] if dues else None

    def impatient(self, time: float) -> list[WorkerId]:
        """The workers of hosts whose patience is over by now, each named once."""
        woken: list[WorkerId] = []
        while (due := self.due()) is not None and due <= time:
            woken += sorted(self._hosts[heappop(self._dues)[1]].workers)
        return woken

    def _far(self, stage: _Stage, is_ready: Callable[[int], bool]) -> int | None:
        """A task of the host that has most left to do. By `locality`, only of hosts that are not there."""
        longest, found = stage.longest, None
        passed = []  # of hosts that are not there, and whose next task another one has, too
        while longest and found is None:
            left, name = longest[0]
            tasks = stage.by_host[name]
            index = tasks.first(is_ready)
            if index is None or (self._placement is Placement.LOCALITY and self._any_there((name,))):
                heappop(longest)
            elif -left != tasks.left:
                heapreplace(longest, (-tasks.left, name))
            elif self._placement is Placement.LOCALITY and self._any_there(stage.rows[index]):
                passed.append(heappop(longest))
            else:
                found = index
        for entry in passed:
            heappush(longest, entry)
        return found

    def _dry_since(self, name: str, time: float) -> float:
        host = self._hosts[name]
        if host.dry_since == math.inf:
            host.dry_since = time
            heappush(self._dues, (time + self._policy.locality_seconds, name))
        return host.dry_since

    def _any_there(self, names: Iterable[str]) -> bool:
        return any(name in self._hosts and self._hosts[name].workers for name in names)

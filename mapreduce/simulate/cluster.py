"""What is a simulated host, and what does it remember?"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from random import Random

from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.simulate.faults import Slow
from mapreduce.simulate.network import Flow


class Run:
    """An attempt on a worker. `alive` until it has ended, whichever way."""

    __slots__ = ("alive", "attempt", "ends", "fetched", "flow", "is_backup", "started", "took", "worker")

    def __init__(self, attempt: AttemptId, worker: Worker) -> None:
        self.attempt = attempt
        self.worker = worker
        self.alive = True
        self.is_backup = False
        self.started = -1.0  # it is queued
        self.fetched = 0.0  # when it has read what others wrote
        self.ends = 0.0
        self.flow: Flow | None = None  # of what it reads from other hosts
        self.took = 0.0  # known when it has ended


class Worker:
    """A slot of a host. What it was given runs one after the other; `holds[0]` runs."""

    __slots__ = ("holds", "host", "id")

    def __init__(self, number: WorkerId, host: Host) -> None:
        self.id = number
        self.host = host
        self.holds: list[Run] = []


class Host:
    """A machine: how slow it is, what its workers do, and which outputs lie on it."""

    __slots__ = (
        "computing", "cut", "disk", "late", "losses", "lost", "number", "outputs", "stopped", "told", "unheard", "up",
        "workers",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.computing = 1.0  # times slower than a host as it should be
        self.disk = 1.0
        self.up = False
        self.cut = False  # nobody hears of it
        self.stopped = -1.0  # since when it stands still
        self.told = True  # the tracker knows that its workers are lost
        self.losses = 0  # crashes, cuts and stops: what was entered for an earlier one makes no sense any more
        self.workers: list[Worker] = []
        self.outputs: array[int] = array("q")  # of committed attempts, see `output_number`
        self.lost: list[TaskId] = []  # outputs that nobody can read since it crashed or was cut off
        self.late: list[Run] = []  # finished while nobody could hear of it
        self.unheard: list[Run] = []  # to be cancelled, and it does not hear of it

    @property
    def runs_now(self) -> bool:
        """Whether attempts get on."""
        return self.up and self.stopped < 0


def make_hosts(count: int, slow: Iterable[Slow], random: Random) -> list[Host]:
    """The hosts, some of them slow: no host is chosen twice while there are others."""
    hosts = [Host(number) for number in range(count)]
    order = list(range(count))
    random.shuffle(order)
    for group in slow:
        chosen, order = order[: group.hosts], order[group.hosts :]
        for number in chosen:
            hosts[number].disk = group.factor
            if not group.disk_only:
                hosts[number].computing = group.factor
    return hosts

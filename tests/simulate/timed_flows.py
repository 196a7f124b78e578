"""When does each of some flows arrive, in the simulator's network?"""

from __future__ import annotations

import pytest

from mapreduce.simulate.network import Links, Network
from mapreduce.simulate.timetable import Timetable

Flows = list[tuple[float, int | None, int, float]]  # start, source, reader, bytes


def ends(links: Links, hosts: int, flows: Flows) -> list[float]:
    """When each flow of (start, source, reader, bytes) has arrived."""
    timetable = Timetable()
    network = Network(links, hosts, timetable)
    arrived = [0.0] * len(flows)

    def begin(number: int) -> None:
        _, source, reader, size = flows[number]

        def done() -> None:
            arrived[number] = timetable.now

        network.start(source, reader, size, done)

    for number, (start, *_) in enumerate(flows):
        timetable.at(start, begin, number)
    while timetable.next_time is not None:
        timetable.step()
    assert network.bytes_moved == pytest.approx(sum(size for *_, size in flows))
    return arrived

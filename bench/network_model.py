"""Do real links do what the simulator's network says? Measured between network namespaces, beside the model's answer.

`python -m bench.network_model` (as root, about a minute): streams that have a link alone, or share a sender's, a
receiver's, or a narrow core; requests to our data server over a link with a delay; a job whose splits lie on three
hosts, by placement, with maps that only count and maps that take a tenth of a second. Rates are tc tbf, the delay is a
relay's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench import placement
from mapreduce.simulate.network import Links
from mapreduce.tracker.placement import Placement
from tests.hosts import relay
from tests.hosts.flows import Stream, measure_ends
from tests.hosts.network import Network, network
from tests.simulate.timed_flows import Flows, ends

HOSTS = ("a", "b", "c", "d")
RATE_MBIT = 100.0
STREAM_BYTES = 12_500_000  # a second alone
DELAY_MS = 20.0
PIECES = (4096, 1_250_000)
BLOCK_SECONDS = 0.025  # four blocks a split
PORT, RELAY_PORT = 7300, 7301


class Row(NamedTuple):
    """What was measured, and what the model says."""

    what: str
    unit: str
    measured: float
    predicted: float


SHARED = {
    "alone, a to b": ("ab",),
    "the reader's link, a and b to c": ("ac", "bc"),
    "the sender's link, a to b and c": ("ab", "ac"),
    "three from a, one of them to d, where b sends too": ("ab", "ac", "ad", "bd"),
}
CROSSING = {
    "two switches, a and b to c and d, and both back": ("ac", "bd", "ca", "db"),
    "the same, and a to b, which does not cross": ("ac", "bd", "ca", "db", "ab"),
    "a to c and b to d alone: all cross one way": ("ac", "bd"),
}
CORE_SHORT_BY = 2.0  # two hosts at each switch, and between the two a link like theirs


def streams(
    net: Network, routes: tuple[str, ...], size: int, oversubscription: float = 1.0
) -> tuple[list[float], list[float]]:
    """When the streams from and to the hosts of these letters ended, measured and predicted."""
    measured = measure_ends(net, [Stream(route[0], route[1], size) for route in routes])
    links = Links(RATE_MBIT * 1e6 / 8, 0.0, oversubscription)
    flows: Flows = [(0.0, HOSTS.index(route[0]), HOSTS.index(route[1]), size) for route in routes]
    return measured, ends(links, len(HOSTS), flows)


def stream_rows(what: str, measured: list[float], predicted: list[float]) -> Iterator[Row]:
    yield Row(f"{what}: the last ends", "s", max(measured), max(predicted))
    if len(measured) > 1:
        yield Row("on average", "s", sum(measured) / len(measured), sum(predicted) / len(predicted))


def shares(net: Network) -> Iterator[Row]:
    for host in HOSTS:
        net[host].rate(RATE_MBIT)
    for what, routes in SHARED.items():
        yield from stream_rows(what, *streams(net, routes, STREAM_BYTES))
    net.part("cd", RATE_MBIT)
    for what, routes in CROSSING.items():
        yield from stream_rows(what, *streams(net, routes, STREAM_BYTES, CORE_SHORT_BY))


def requests(net: Network) -> Iterator[Row]:
    """Pieces of a file of another host, one after the other."""
    server, client = net["b"], net["a"]
    server.rate(RATE_MBIT)
    python = (sys.executable, "-m", "bench.link")
    (server.data / "pieces").write_bytes(bytes(PIECES[-1] * 9))
    serving: Any = server.start(*python, "serve", PORT, "-", server.data, stdout=subprocess.PIPE)
    assert serving.stdout.readline() == "ready\n"
    server.start(sys.executable, relay.__file__, RELAY_PORT, "127.0.0.1", PORT, DELAY_MS)
    for size in PIECES:
        done = client.run(*python, "ask", "b", RELAY_PORT, "-", "pieces", size)
        assert done.returncode == 0, done.stderr
        predicted = ends(Links(RATE_MBIT * 1e6 / 8, DELAY_MS / 1000), 2, [(0.0, 0, 1, float(size))])
        yield Row(
            f"a request of {size:,} bytes, {DELAY_MS:g} ms each way", "ms", float(done.stdout) * 1e3, predicted[0] * 1e3
        )
    net.end_processes()


def jobs(net: Network) -> Iterator[Row]:
    with placement.cluster(net) as folder:
        for block_seconds, maps in ((0.0, "maps that count"), (BLOCK_SECONDS, "maps of 0.1 s")):
            map_seconds = 0.0
            for way in (Placement.LOCALITY, Placement.BALANCE):
                real = placement.measure(net, folder, way, block_seconds)
                map_seconds = map_seconds or real.map_seconds
                model = placement.simulated(way, map_seconds)
                yield Row(f"a job, {maps}, `{way.value}`: makespan", "s", real.seconds, model.seconds)
                yield Row("moved", "MB", real.moved_bytes / 1e6, model.moved_bytes / 1e6)


def main() -> None:
    print("| what | | measured | predicted | ratio |\n|---|---|---:|---:|---:|")
    with network("tracker", *HOSTS) as net:
        for part in (requests, jobs, shares):
            for row in part(net):
                ratio = f"{row.measured / row.predicted:.2f}" if row.predicted and row.measured else ""
                figures = f"{row.measured:.2f} | {row.predicted:.2f}"
                print(f"| {row.what} | {row.unit} | {figures} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()

"""How fast are the messages and the data of a cluster, and how soon is an agent at work?

`python -m bench cluster_wire`: how much a shuffle between two hosts does of what one TCP stream between them does;
empty tasks a second on an agent; the time from the command of an agent to the first task that it runs.

The hosts are network namespaces (tests/hosts): nothing limits the link but the processors, which encrypt and decrypt
besides, so that there is no harder case for the ratio. A link of 10 Gbit/s carries 1,250 MB/s.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from statistics import median

from mapreduce.wire.keys import make_key, write_key
from tests.hosts import stream
from tests.hosts.network import Host, Network, network, why_not

SIZE_BYTES = 1 << 30
AIM = 0.7
TASKS = 5_000
JOINS = 0.5
LINK = (sys.executable, "-m", "bench.link")
STREAM = (sys.executable, stream.__file__)
Rate = Callable[[Network, str, int], float]


def table(rounds: int) -> str:
    return "\n".join((link_table(rounds), task_table(rounds)))


def task_table(rounds: int) -> str:
    """The figures of `bench.cluster_tasks`, each round a process of its own."""
    command = [sys.executable, "-m", "bench.cluster_tasks"]
    runs = [
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600).stdout)
        for _ in range(rounds)
    ]
    tasks, join = (median(run[name] for run in runs) for name in ("tasks_a_second", "seconds_to_first_task"))
    known = median(run["seconds_from_joined"] for run in runs)
    return f"""\
### Over the wire: empty tasks, and agents that join

| what | median | aim |
|---|---:|---:|
| empty tasks a second, an agent with two workers | {_bold(f"{tasks:,.0f}", tasks >= TASKS)} | ≥ {TASKS:,} |
| from `mapreduce agent` to its first task, seconds | {_bold(f"{join:.2f}", join <= JOINS)} | ≤ {JOINS} |
| of that, from its HELLO | {known:.3f} | |
"""


def link_table(rounds: int, size: int = SIZE_BYTES) -> str:
    """Rates of each way to send, in turns."""
    lines = ["### From host to host: our data service against one TCP stream", ""]
    if reason := why_not():
        return "\n".join([*lines, f"Not measured: {reason}.", ""])
    ways = available_ways()
    reference = next(iter(ways))  # iperf3 where it is installed, else what stands in for it
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with network("a", "b") as net:
        write_key(net.folder / "key", make_key())
        net["a"].data.joinpath("file").write_bytes(bytes(size))
        net["a"].run("cat", net["a"].data / "file")
        for _ in range(rounds):
            for name, (way, key) in ways.items():
                rates[name].append(way(net, key.replace("KEY", str(net.folder / "key")), size))
                net.end_processes()
    lines += [f"| way | MB/s (median) | of {reference} | aim |", "|---|---:|---:|---:|"]
    for name, all_rates in rates.items():
        share = median(mine / raw for mine, raw in zip(all_rates, rates[reference], strict=True))
        aim = f"≥ {AIM:.0%}" if name == OURS else ""
        told = _bold(f"{share:.0%}", name != OURS or share >= AIM)
        lines.append(f"| {name} | {median(all_rates):,.0f} | {told} | {aim} |")
    return "\n".join(lines) + "\n"


def available_ways() -> dict[str, tuple[Rate, str]]:
    """WAYS without iperf3 where that is not installed."""
    return {name: way for name, way in WAYS.items() if way[0] is not _iperf or shutil.which("iperf3")}


def _bold(text: str, is_met: bool) -> str:
    """What misses the aim is bold."""
    return text if is_met else f"**{text}**"


def _tcp(net: Network, _key: str, size: int) -> float:
    return _rate(net["b"], [*STREAM, "receive", 7100], net["a"], [*STREAM, "send", "b", 7100, size])


def _iperf(net: Network, buffer: str, size: int) -> float:
    receiving = net["b"].start("iperf3", "-s", "-1", "-p", 7104, "--forceflush", stdout=-1)
    assert receiving.stdout is not None
    while "listening" not in receiving.stdout.readline():
        assert receiving.poll() is None, "iperf3 does not listen"
    done = net["a"].run("iperf3", "-c", "b", "-p", 7104, "-n", size, "-J", "-l", buffer)
    assert done.returncode == 0, done.stdout
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]) / 8e6


def _zmq(net: Network, key: str, size: int) -> float:
    return _rate(net["b"], [*LINK, "zmq-receive", 7101, key], net["a"], [*LINK, "zmq-send", "b", 7101, key, size])


def _bare(net: Network, _key: str, _size: int) -> float:
    return _rate(
        net["b"], [*LINK, "bare-receive", 7103], net["a"], [*LINK, "bare-send", "b", 7103, net["a"].data / "file"]
    )


def _ours(net: Network, key: str, how: str) -> float:
    serving = net["a"].start(*LINK, "serve", 7102, key, net["a"].data, stdout=-1)
    assert serving.stdout is not None
    assert serving.stdout.readline() == "ready\n"
    done = net["b"].run(*LINK, how, "a", 7102, key, "file")
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def _read(net: Network, key: str, _size: int) -> float:
    return _ours(net, key, "read")


def _fetch(net: Network, key: str, _size: int) -> float:
    return _ours(net, key, "fetch")


def _rate(receiver: Host, receive: list[object], sender: Host, send: list[object]) -> float:
    receiving = receiver.start(*receive, stdout=-1)
    assert receiving.stdout is not None
    assert receiving.stdout.readline() == "ready\n"
    done = sender.run(*send)
    assert done.returncode == 0, done.stderr
    return float(receiving.stdout.readline())


IPERF = "one iperf3 stream"
OURS = "a shuffle's reading"
WAYS: dict[str, tuple[Rate, str]] = {
    IPERF: (_iperf, "128K"),  # its default
    "one iperf3 stream, buffers of 1 MiB": (_iperf, "1M"),
    "a TCP stream in Python": (_tcp, "-"),
    "zmq, plain": (_zmq, "-"),
    "zmq, CURVE": (_zmq, "KEY"),
    "reading, sealing, sending, opening in a bare loop": (_bare, "-"),
    "a shuffle's reading, without encryption": (_read, "-"),
    OURS: (_read, "KEY"),
    "a part that the tracker fetches": (_fetch, "KEY"),
}

"""Is a job on three hosts the same though any of its processes dies at any record of its journal?

Just before the n-th record is written, one of these ends: the tracker by its own hand, an agent with its workers, one
worker of an agent; or a host is cut off for good. Whoever was the tracker is begun again until the job is done.
`python -m tests.faults --hosts` tries every record and everybody.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.hosts.cluster import PORT, Cluster
from tests.hosts.network import Network, network

VICTIMS = ("tracker", "agent", "worker", "host")
NAMES = ("tracker", "a", "b", "c")
MOST_RECORDS = 60
AGAIN = 3


def command_against(victim: str, cluster: Cluster) -> str:
    """A shell command, run on the host of the tracker by a child of the tracker."""
    b = cluster.hosts["b"]
    match victim:
        case "tracker":
            return "kill -KILL $PPID"
        case "agent":
            return f"kill -KILL {cluster.agents['b'].pid}"
        case "worker":
            return f"kill -KILL $(cat /proc/{cluster.agents['b'].pid}/task/*/children | tr ' ' '\\n' | tail -n 1) || :"
        case "host":
            inside = f"nsenter --net=/run/netns/{b.network.switch}"
            return f"{inside} ip link set dev port-b down"
    raise AssertionError(victim)


def killed_at(cluster: Cluster, victim: str, record: int) -> bool:
    """Whether the job has so many records; AssertionError if its bytes are not the same, or it does not end."""
    for name in "abc":
        cluster.begin_agent(name)
    mark = cluster.folder / f"mark.{len(cluster.running)}"
    run = cluster.begin_run(
        "--listen", f"tracker:{PORT}", patches=("--at", record, f"touch {mark}; {command_against(victim, cluster)}")
    )
    try:
        code = run.end()
        tries = 0
        while code < 0 and tries < AGAIN:
            tries += 1
            run = cluster.begin_run(again=run)
            code = run.end()
        assert code == 0, run.told()
        cluster.expect_same(run)
    finally:
        cluster.hosts.end_processes()
    return mark.exists()


def each_record(net: Network, victim: str, step: int = 1) -> Iterator[int]:
    """The records at which it was killed."""
    for record in range(1, MOST_RECORDS, step):
        with tempfile.TemporaryDirectory(prefix="mapreduce-hosts-") as folder:
            if not killed_at(Cluster(net, Path(folder), has_input_apart=True), victim, record):
                return
            yield record


def run_all(step: int = 1) -> bool:
    """Everybody, at every record; prints a line each."""
    good = True
    with network(*NAMES) as net:
        for victim in VICTIMS:
            try:
                count = sum(1 for _ in each_record(net, victim, step))
                print(f"{victim} killed at each of {count} records: the same bytes", flush=True)
            except AssertionError as error:
                print(f"{victim}: {error}", flush=True)
                good = False
    return good

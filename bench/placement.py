"""What is it worth to run tasks where their input lies, on links of 200 Mbit/s? Measured between network namespaces.

`python -m bench.placement` (as root): three hosts offer a file each; a fold reads all of them, by each placement, and
moves next to nothing else. Beside it, what the simulator makes of the same job: the same split on the same host, maps
that take as long as those that read in place were measured to take. `python -m bench.network_model` has that, too.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mapreduce.simulate.network import Links
from mapreduce.simulate.scenario import Scenario
from mapreduce.simulate.simulation import simulate
from mapreduce.simulate.workload import Constant, fold_workload
from mapreduce.tracker.placement import Placement
from mapreduce.tracker.policy import Backups, Policy
from tests.hosts.network import Network, network

HOSTS = ("a", "b", "c")
PORT = 7078
WORKERS = 2
RATE_MBIT = 200.0
FILE_BYTES = 96 << 20
SPLIT_BYTES = 4 << 20
BLOCK_BYTES = 1 << 20  # a map is called for each
HEAD = '''
import time
import mapreduce as mr

class Records(mr.Fold):
    """How many records there are."""

    def reduce(self, a, b):
        return a + b

    def map(self, block):
        time.sleep({seconds})
        return len(block)
'''


@dataclass(frozen=True, slots=True)
class Run:
    """A job that ran, or was simulated. `map_seconds`: of a map that waited for no link."""

    seconds: float
    moved_bytes: float
    map_seconds: float = 0.0


@contextmanager
def cluster(net: Network) -> Iterator[Path]:
    """A folder with a job and a key, hosts whose files are offered, on slow links. Until the block ends."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {"MAPREDUCE_KEY": str(folder / "key")}
        done = net["tracker"].run(*net["tracker"].mapreduce("keys", folder / "key"))
        assert done.returncode == 0, done.stderr
        agents: list[subprocess.Popen[str]] = []
        for host in HOSTS:
            data = folder / f"data-{host}"
            data.mkdir()
            (data / f"{host}.bin").write_bytes(os.urandom(FILE_BYTES))
            net[host].rate(RATE_MBIT)
            words = ("agent", f"tracker:{PORT}", "--name", host, "--workers", WORKERS, "--data", data)
            with (folder / f"agent-{host}.log").open("w") as told:
                command = net[host].mapreduce(*words)
                agents.append(net[host].start(*command, env=env, stdout=told, stderr=told))
        try:
            yield folder
        finally:
            for agent in agents:
                agent.terminate()
                agent.wait(10)


def measure(net: Network, folder: Path, placement: Placement, block_seconds: float = 0.0) -> Run:
    """The job, with maps that stand still so long for each block."""
    job, log = folder / "job.py", folder / "log"
    output = Path(tempfile.mkdtemp(dir=folder)) / "output"
    job.write_text(HEAD.format(seconds=block_seconds) if block_seconds else HEAD.replace("time.sleep({seconds})", ""))
    words = [
        "run", f"{job}:Records", "data:", "--format", "fixed", "--read", "width=1024",
        "--split-size", SPLIT_BYTES, "--listen", f"tracker:{PORT}", "--placement", placement.value,
        "-o", output,
    ]  # fmt: skip
    env = {"MAPREDUCE_KEY": str(folder / "key")}
    with log.open("w") as told:
        run = net["tracker"].start(*net["tracker"].mapreduce(*words), env=env, stdout=told, stderr=told)
        assert run.wait(120) == 0, log.read_text()
    events = [json.loads(line) for line in (output / "_events.jsonl").read_text().splitlines()]
    maps = [event["seconds"] for event in events if event["e"] == "finished" and event["task"].startswith("map ")]
    moved = sum(row["bytes"] for row in events[-1]["passed"] if row["way"] == "read")
    return Run(float(events[-1]["t"]), moved, statistics.median(maps))


def simulated(placement: Placement, map_seconds: float) -> Run:
    """The same job in the simulator: the same splits, on the same hosts, in the same order."""
    splits = FILE_BYTES // SPLIT_BYTES
    workload = fold_workload(splits * len(HOSTS), Constant(map_seconds), Constant(0.001)).reading(SPLIT_BYTES, 20)
    done = simulate(
        Scenario(
            workload,
            len(HOSTS),
            WORKERS,
            policy=Policy(backups=Backups.OFF),
            links=Links(RATE_MBIT * 1e6 / 8, 1e-4),
            placement=placement,
            inputs=tuple((host,) for host in range(len(HOSTS)) for _ in range(splits)),
        )
    )
    return Run(done.makespan, done.tally.bytes_moved, map_seconds)


def main() -> None:
    print(f"{'placement':<10} {'measured':>22} {'simulated':>22}")
    with network("tracker", *HOSTS) as net, cluster(net) as folder:
        map_seconds = 0.0
        for placement in (Placement.LOCALITY, Placement.HYBRID, Placement.BALANCE):
            real = measure(net, folder, placement)
            map_seconds = map_seconds or real.map_seconds
            model = simulated(placement, map_seconds)
            told = (f"{run.seconds:6.2f} s {run.moved_bytes / 1e6:6.0f} MB moved" for run in (real, model))
            print(f"{placement.value:<10} {'  '.join(told)}", flush=True)


if __name__ == "__main__":
    main()

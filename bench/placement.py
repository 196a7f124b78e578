"""What is it worth to run tasks where their input lies, on links of 200 Mbit/s? Measured between network namespaces.

`python -m bench.placement` (as root): three hosts offer a file each; a fold reads all of them, by each placement, and
moves next to nothing else. How many bytes were moved, and what the simulator makes of the same job, is told beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.hosts.network import Network, network

HOSTS = ("a", "b", "c")
PORT = 7078
RATE_MBIT = 200.0
FILE_BYTES = 96 << 20
SPLIT_BYTES = 4 << 20
JOB = '''
import mapreduce as mr

class Records(mr.Fold):
    """How many records there are."""

    def map(self, block):
        return len(block)

    def reduce(self, a, b):
        return a + b
'''


def measure(net: Network, folder: Path, placement: str) -> tuple[float, str]:
    """Seconds of the job, and what was told of it."""
    words = [
        "run", folder / "job.py:Records", "data:", "--format", "fixed", "--read", "width=1024",
        "--split-size", SPLIT_BYTES, "--listen", f"tracker:{PORT}", "--placement", placement, "-v",
        "-o", folder / placement,
    ]  # fmt: skip
    env = {"MAPREDUCE_KEY": str(folder / "key")}
    with (folder / f"{placement}.log").open("w") as told:
        run = net["tracker"].start(*net["tracker"].mapreduce(*words), env=env, stdout=told, stderr=told)
        assert run.wait(120) == 0, (folder / f"{placement}.log").read_text()
    events = [json.loads(line) for line in (folder / placement / "_events.jsonl").read_text().splitlines()]
    return float(events[-1]["t"]), (folder / f"{placement}.log").read_text()


def simulated(placement: str) -> str:
    """What the simulator makes of the same job, where splits lie on hosts by chance."""
    words = [
        "simulate", "--maps", FILE_BYTES * len(HOSTS) // SPLIT_BYTES, "--map-bytes", SPLIT_BYTES, "--reduces", 0,
        "--map-seconds", 0.005, "--hosts", len(HOSTS), "--slots", 2, "--backups", "off", "--bandwidth",
        f"{RATE_MBIT:.0f}Mbit", "--latency", "0.1ms", "--placement", placement, "--json",
    ]  # fmt: skip
    command = [sys.executable, "-m", "mapreduce", *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    run = json.loads(done.stdout)["runs"][0]
    return f"{run['makespan_seconds']:.2f} s, {run['bytes_moved'] / 1e6:,.0f} MB moved"


def main() -> None:
    with tempfile.TemporaryDirectory() as name, network("tracker", *HOSTS) as net:
        folder = Path(name)
        (folder / "job.py").write_text(JOB)
        env = {"MAPREDUCE_KEY": str(folder / "key")}
        done = net["tracker"].run(*net["tracker"].mapreduce("keys", folder / "key"))
        assert done.returncode == 0, done.stderr
        agents: list[subprocess.Popen[str]] = []
        for host in HOSTS:
            data = folder / f"data-{host}"
            data.mkdir()
            (data / f"{host}.bin").write_bytes(os.urandom(FILE_BYTES))
            net[host].rate(RATE_MBIT)
            words = ("agent", f"tracker:{PORT}", "--name", host, "--workers", 2, "--data", data)
            with (folder / f"agent-{host}.log").open("w") as told:
                command = net[host].mapreduce(*words)
                agents.append(net[host].start(*command, env=env, stdout=told, stderr=told))
        for placement in ("hybrid", "locality", "balance"):
            seconds, said = measure(net, folder, placement)
            moved = "; ".join(line.strip() for line in said.splitlines() if "moved" in line or "in place" in line)
            print(f"{placement:<9} {seconds:6.2f} s   {moved}", flush=True)
            print(f"          simulated: {simulated(placement)}", flush=True)
        for agent in agents:
            agent.terminate()
            agent.wait(10)


if __name__ == "__main__":
    main()

"""One round on agents of this machine: empty tasks a second, and the seconds until an agent that comes has a task.

Prints JSON. The second agent comes in the middle of a job whose tasks take 5 ms each; its tasks say when they began.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socket import create_server

import mapreduce as mr
from bench.empty_tasks import Nothing
from mapreduce.wire.keys import make_key, write_key

EMPTY_TASKS = 10_000
SLOW_TASKS = 400
NEW = "BENCH_NEW_AGENT"


class Naps(mr.Job):
    """When each agent's first task began, and when the agent did: (agent, kind) -> seconds since 1970."""

    reduce = mr.Min()

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        yield os.environ.get(NEW, "old"), time.time()
        time.sleep(0.005)


def begin_agent(address: str, key: Path, workers: int, **more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mapreduce", "agent", address, "--workers", str(workers), "--key", str(key), "-v"]
    return subprocess.Popen(command, env={**os.environ, **more}, stderr=subprocess.PIPE)


def main() -> None:
    with create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        key, lines = Path(folder, "key"), Path(folder, "lines")
        write_key(key, make_key())
        agents = [begin_agent(address, key, 2)]
        try:
            with mr.Engine("cluster", listen=address, key=key) as engine:
                tasks = tasks_a_second(engine, lines)
                agents[0].terminate()
                agents[0].communicate()
                agents[0] = begin_agent(address, key, 1)
                seconds, from_joined = seconds_to_first_task(engine, lines, agents, address, key)
        finally:
            for agent in agents:
                agent.terminate()
                agent.communicate()
    figures = {"tasks_a_second": tasks, "seconds_to_first_task": seconds, "seconds_from_joined": from_joined}
    print(json.dumps(figures))


def tasks_a_second(engine: mr.Engine, lines: Path) -> float:
    lines.write_text("x\n" * EMPTY_TASKS)
    engine.run(Nothing(), mr.read_text(lines), split_size=1000)
    started = time.perf_counter()
    engine.run(Nothing(), mr.read_text(lines), split_size=2)
    return EMPTY_TASKS / (time.perf_counter() - started)


def seconds_to_first_task(
    engine: mr.Engine, lines: Path, agents: list[subprocess.Popen[bytes]], address: str, key: Path
) -> tuple[float, float]:
    """From the command of a second agent to its first task; and from the moment at which it joined."""
    lines.write_text("x\n" * SLOW_TASKS)
    begun: list[float] = []
    joined: list[float] = []

    def begin_another() -> None:
        begun.append(time.time())
        agent = begin_agent(address, key, 1, **{NEW: "new"})
        agents.append(agent)
        assert agent.stderr is not None
        for line in agent.stderr:
            if b"joined" in line:
                joined.append(time.time())
                return

    later = threading.Timer(0.7, begin_another)
    later.start()
    try:
        first = dict(engine.run(Naps(), mr.read_text(lines), split_size=2).records())
    finally:
        later.cancel()
        later.join()
    return first["new"] - begun[0], first["new"] - joined[0]


if __name__ == "__main__":
    main()

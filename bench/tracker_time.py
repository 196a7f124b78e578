"""Does an event cost the tracker the same however large the job is? And what does a million tasks cost to simulate?

`python -m bench tracker_time`: jobs from a thousand to a million maps, a hundred a host, each simulated in a process of
its own, with slow and crashing hosts. Times are the processor's, for a simulation waits for nothing; that of
`Tracker.handle` includes the ticks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
MAPS_A_HOST = 100
WEATHER = "--map-seconds lognormal:10:0.4 --reduce-seconds lognormal:60:0.2 --crash 0.005 --stragglers 0.005:5".split()
TITLES = ("map tasks", "hosts", "events", "`handle`, µs an event", "all, µs an event", "CPU seconds", "peak memory")


def table(rounds: int) -> str:
    """The curve, the best of so many rounds, and the preset of a million tasks."""
    rows = [_row(_best(_arguments(size), rounds)) for size in SIZES]
    rows.append(_row(_best(["--preset", "million"], 1), "`--preset million`"))
    lines = [
        "### Time of the tracker for an event, by size of the job",
        "",
        _cells(TITLES),
        "|" + "---:|" * len(TITLES),
    ]
    return "\n".join(lines + rows) + "\n"


def simulated(arguments: Sequence[str]) -> dict[str, Any]:
    """What `mapreduce simulate --json` tells of its one run. Raises CalledProcessError."""
    command = [sys.executable, "-m", "mapreduce", "simulate", "--json", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=1800)
    run: dict[str, Any] = json.loads(done.stdout)["runs"][0]
    return run


def _arguments(maps: int) -> list[str]:
    hosts = max(4, maps // MAPS_A_HOST)
    return ["--maps", str(maps), "--reduces", str(max(1, hosts // 2)), "--hosts", str(hosts), *WEATHER]


def _best(arguments: Sequence[str], rounds: int) -> dict[str, Any]:
    return min((simulated(arguments) for _ in range(rounds)), key=lambda run: run["cost"]["cpu_seconds"])


def _row(run: dict[str, Any], name: str = "") -> str:
    cost, events = run["cost"], run["events"]
    return _cells((
        name or f"{run['stages'][0]['tasks']:,}",
        f"{run['hosts']:,}",
        f"{events:,}",
        f"{cost['handle_cpu_seconds'] / events * 1e6:.1f}",
        f"{cost['cpu_seconds'] / events * 1e6:.1f}",
        f"{cost['cpu_seconds']:.2f}",
        f"{cost['peak_memory_bytes'] >> 20} MiB",
    ))  # fmt: skip


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

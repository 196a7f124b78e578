"""What does it cost to give all workers a large array, and to bring large partials together?

`python -m bench broadcast`: each contestant in a process of its own, with two workers that are there before the clock
starts. Broadcast: an array of 200 MB, which each worker sums once. Partials: eight of 100 MB each, summed to one.
Memory is what the workers have of their own, with their share of what they have in common (Pss), while they use it.

"Pickled" is ours with the mapping switched off: the array travels in the message to each worker.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import mapreduce as mr

BROADCAST_NUMBERS, PARTIAL_NUMBERS, PARTIALS = 25_000_000, 12_500_000, 8
OURS, PICKLED, POOL, JOBLIB = "mapreduce", "mapreduce, pickled", "multiprocessing.Pool", "joblib (memmap)"
CONTESTANTS = {OURS: "mapreduce", PICKLED: "mapreduce", POOL: "multiprocessing", JOBLIB: "joblib"}
TASKS = {"broadcast": (OURS, PICKLED, POOL, JOBLIB), "partials": (OURS, POOL, JOBLIB)}


def table(rounds: int) -> str:
    """A row each, the median of so many rounds, in turns."""
    found: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for _ in range(rounds):
        for task, names in TASKS.items():
            for name in names:
                if importlib.util.find_spec(CONTESTANTS[name]) is not None:
                    found.setdefault((task, name), []).append(measured(task, name))
    lines = [
        "### Large data of a job, and large partials: two workers of one host",
        "",
        "| task | who | seconds | over ours | workers' memory |",
        "|---|---|---:|---:|---:|",
    ]
    for (task, name), runs in found.items():
        seconds = statistics.median(run[0] for run in runs)
        ours = statistics.median(run[0] for run in found[task, OURS])
        memory = f"{max(run[1] for run in runs) >> 20} MiB" if task == "broadcast" else ""
        lines.append(f"| {task} | {name} | {seconds:.3f} | {seconds / ours:.1f} | {memory} |")
    return "\n".join(lines) + "\n"


def measured(task: str, name: str) -> tuple[float, int]:
    """Seconds, and bytes of the workers. Raises CalledProcessError."""
    command = [sys.executable, "-m", "bench.broadcast", task, name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
    seconds, memory = json.loads(done.stdout)
    return float(seconds), int(memory)


def own_memory() -> int:
    """Of this process, with its share of what it has in common with others."""
    return int(Path("/proc/self/smaps_rollup").read_text().partition("\nPss:")[2].split()[0]) << 10


def use(array: Any) -> tuple[float, dict[int, int]]:
    """What a worker does with the array."""
    return float(array.sum()), {os.getpid(): own_memory()}


def partial_of(number: int) -> Any:
    return np.full(PARTIAL_NUMBERS, float(number))


class Use(mr.Fold):
    """Broadcast."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def map(self, block: Any) -> Any:
        return use(self.array)

    def reduce(self, a: Any, b: Any) -> Any:
        return a[0], {**a[1], **b[1]}


class Add(mr.Fold):
    """Partials."""

    def map(self, block: Any) -> Any:
        return sum((partial_of(int(line)) for line in block.records()), start=0.0)

    def reduce(self, a: Any, b: Any) -> Any:
        return a + b  # as the algorithms here do

    def finish(self, total: Any) -> float:
        return float(total.sum())


@contextmanager
def lines(count: int) -> Iterator[tuple[mr.Dataset, int]]:
    """Numbers from 0, one a split, and the size of a split."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "numbers")
        path.write_text("".join(f"{number:099}\n" for number in range(count)))
        yield mr.read_text(path), 100


def ours(task: str, *, pickled: bool) -> tuple[float, int]:
    if pickled:
        from mapreduce.dataflow import buffers, package

        for module in (buffers, package):
            vars(module)["LARGE_BYTES"] = 1 << 62
    with mr.Engine(workers=2) as engine, lines(PARTIALS if task == "partials" else 2) as (data, split_size):
        engine.run(Use(np.ones(1)), data, split_size=split_size)
        job = Add() if task == "partials" else Use(np.ones(BROADCAST_NUMBERS))
        started = time.perf_counter()
        value = engine.run(job, data, split_size=split_size).value
        seconds = time.perf_counter() - started
    return checked(task, seconds, value)


def pool(task: str) -> tuple[float, int]:
    with multiprocessing.get_context("fork").Pool(2) as workers:
        return run_on(task, lambda function, items: workers.imap(function, items, chunksize=1))


def with_joblib(task: str) -> tuple[float, int]:
    import joblib

    with joblib.Parallel(n_jobs=2, return_as="generator") as parallel:
        return run_on(task, lambda function, items: parallel(joblib.delayed(function)(item) for item in items))


def run_on(task: str, mapped: Callable[[Any, list[Any]], Any]) -> tuple[float, int]:
    """Workers that map a function over items and hand back what it returns."""
    list(mapped(use, [np.ones(1)] * 2))
    array = np.ones(BROADCAST_NUMBERS if task == "broadcast" else 1)
    started = time.perf_counter()
    value: Any
    if task == "broadcast":
        found = list(mapped(use, [array] * 2))
        value = found[0][0], {pid: memory for _, each in found for pid, memory in each.items()}
    else:
        total: Any = 0.0
        for partial in mapped(partial_of, list(range(PARTIALS))):
            total = total + partial if isinstance(total, float) else np.add(total, partial, out=total)
        value = float(total.sum())
    return checked(task, time.perf_counter() - started, value)


def checked(task: str, seconds: float, value: Any) -> tuple[float, int]:
    """Seconds and memory of a run whose answer is right."""
    if task == "partials":
        assert value == PARTIAL_NUMBERS * sum(range(PARTIALS))
        return seconds, 0
    assert value[0] == BROADCAST_NUMBERS
    return seconds, sum(value[1].values())


def main() -> None:
    task, name = sys.argv[1:]
    if name in (OURS, PICKLED):
        print(json.dumps(ours(task, pickled=name == PICKLED)))
    else:
        print(json.dumps(pool(task) if name == POOL else with_joblib(task)))


if __name__ == "__main__":
    main()

"""Does a real job give the same bytes under chaos, and though its tracker is killed? Run by run, as a table."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mapreduce as mr
from mapreduce.engines.chaos import inflicted_by
from mapreduce.engines.injuries import FaultKind
from mapreduce.storage.leftovers import remove_dead_folders
from mapreduce.wire.keys import make_key, write_key
from tests.engines.lived import HandAgents, hand_agents

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "data"
WORKERS = 3
RATES = "kill=0.15,stop=0.02,slow=0.05,corrupt=0.1"
"""Far above the defaults: a run of 18 attempts meets six faults."""

CLUSTER_RATES = f"{RATES},kill-host=0.06,stop-host=0.02"
AGENTS = {"a": 2, "b": 1}

RUN_SECONDS = 60
MOST_TRACKER_KILLS = 3
TRACKER_KILL = "tracker kill"
KINDS = (*(kind.value for kind in FaultKind), TRACKER_KILL)


@dataclass(frozen=True, slots=True)
class Case:
    """A real job on real data, cut small so that it has many tasks."""

    job: Callable[[], Any]
    dataset: Callable[[], mr.Dataset]
    settings: dict[str, Any]


def _words() -> Any:
    from algorithms.wordcount import WordCount

    return WordCount()


def _regression() -> Any:
    from algorithms.linear_regression import LeastSquares

    return LeastSquares()


def _sorted_lines() -> Any:
    from algorithms.sort import SortLines

    return SortLines()


def _means() -> Any:
    from algorithms.mean_by_key import MeanByKey

    return MeanByKey("tailnum", "dep_delay")


CASES: dict[str, Case] = {
    "word count": Case(_words, lambda: mr.read_text(DATA / "kjv.txt"), {"split_size": "300K", "reducers": 3}),
    # its partials, of 65 x 65 numbers, are files; those of the houses travel in messages
    "least squares": Case(
        _regression, lambda: mr.read_libsvm(DATA / "digits.libsvm"), {"split_size": "8K", "block_size": "2K"}
    ),
    "least squares, few columns": Case(
        _regression,
        lambda: mr.read_csv(DATA / "houses.csv", target="price"),
        {"split_size": "20K", "block_size": "4K"},
    ),
    "sorted lines": Case(
        _sorted_lines, lambda: mr.read_text(DATA / "paradise_lost.txt"), {"split_size": "40K", "reducers": 3}
    ),
    "mean by key": Case(_means, lambda: mr.read_csv(DATA / "flights.csv"), {"split_size": "40K", "reducers": 2}),
}


@dataclass(slots=True)
class Row:
    """What came of all runs of a case."""

    runs: int = 0
    inflicted: Counter[str] = field(default_factory=Counter)
    different: list[int] = field(default_factory=list)  # seeds
    failed: dict[int, str] = field(default_factory=dict)  # seed -> error
    seconds: float = 0.0


class Hosts:
    """Agents of this machine, each as if it were a host; those that were killed are begun again before the next run."""

    def __init__(self, agents: HandAgents) -> None:
        self.agents = agents
        self.address = agents.address

    def complete(self) -> None:
        for name, workers in AGENTS.items():
            agent = self.agents.running.get(name)
            if agent is not None and agent.poll() is not None:
                self.agents.end(name)
            if name not in self.agents.running:
                self.agents.begin(name, workers=workers)


@contextmanager
def hosts(folder: Path) -> Iterator[Hosts]:
    """Two of them, at a free port, with a key of their own in the folder."""
    key = folder / "cluster.key"
    write_key(key, make_key())
    before = os.environ.get("MAPREDUCE_KEY")
    os.environ["MAPREDUCE_KEY"] = str(key)
    try:
        yield from _hosts()
    finally:
        remove_dead_folders()  # of those that were killed
        del os.environ["MAPREDUCE_KEY"]
        if before is not None:
            os.environ["MAPREDUCE_KEY"] = before


def _hosts() -> Iterator[Hosts]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with hand_agents(port) as agents:
        yield Hosts(agents)


def run_case(name: str, output: Path, chaos: str | None, address: str = "", **settings: Any) -> mr.Result:
    """Run a case once, to a folder; with `address` on the agents that join there."""
    case = CASES[name]
    with mr.Engine("cluster", listen=address) if address else mr.Engine(workers=WORKERS) as engine:
        if address:
            wait_for_all(engine)
        return engine.run(case.job(), case.dataset(), output=output, chaos=chaos, **{**case.settings, **settings})


def wait_for_all(engine: mr.Engine) -> None:
    """A host that is not there yet can't suffer, and one alone is spared."""
    engine.run(_words(), mr.from_records([]))
    assert engine._cluster is not None
    assert engine._cluster.hub.wait_for_workers(sum(AGENTS.values()), RUN_SECONDS) == sum(AGENTS.values())


def digest(output: Path) -> str:
    """SHA-256 of an output: names and bytes of its parts."""
    total = hashlib.sha256()
    for path in sorted(output.rglob("part-*")):
        total.update(str(path.relative_to(output)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def reference(name: str, folder: Path) -> str:
    """The digest of a case that nothing happens to."""
    output = folder / "undisturbed"
    run_case(name, output, None)
    expected = digest(output)
    shutil.rmtree(output)
    return expected


def chaos_run(
    name: str, seed: int, folder: Path, expected: str, row: Row, on: Hosts | None = None, rates: str = ""
) -> None:
    """One run under chaos, entered in the row."""
    address = "" if on is None else on.address
    if on is not None:
        on.complete()
    output = folder / f"chaos-{seed}"
    row.runs += 1
    started = time.monotonic()
    try:
        result = run_case(name, output, f"{seed}:{rates or (CLUSTER_RATES if on else RATES)}", address)
        row.inflicted.update(inflicted(result))
        if digest(output) != expected:
            row.different.append(seed)
    except mr.MapReduceError as error:
        row.failed[seed] = str(error)
    row.seconds += time.monotonic() - started
    shutil.rmtree(output, ignore_errors=True)


def inflicted(result: mr.Result) -> dict[str, int]:
    """Faults by name, as the summary tells them."""
    return {kind.value: count for note in result.notes for kind, count in inflicted_by(note).items()}


def killed_run(name: str, seed: int, folder: Path, expected: str, row: Row, on: Hosts | None = None) -> None:
    """One run whose tracker is killed with SIGKILL at moments that the seed chooses, and run again until it is done;
    entered in the row. Its workers must end by themselves; agents wait for the next tracker."""
    where = [] if on is None else [on.address]
    if on is not None:
        on.complete()
    output = folder / f"killed-{seed}"
    row.runs += 1
    started = time.monotonic()
    for kill in range(MOST_TRACKER_KILLS + 1):
        tracker = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.chaos_runs", name, str(output), f"{seed}:{RATES}", *where],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        patience = kill_moment(seed, kill) if kill < MOST_TRACKER_KILLS else RUN_SECONDS
        try:
            _, errors = tracker.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.kill(tracker.pid, signal.SIGKILL)
            tracker.communicate()
            row.inflicted[TRACKER_KILL] += 1
            continue
        if tracker.returncode:
            row.failed[seed] = errors.strip()[-500:]
        elif digest(output) != expected:
            row.different.append(seed)
        break
    else:
        row.failed[seed] = f"not done after {RUN_SECONDS} s"
    row.seconds += time.monotonic() - started
    shutil.rmtree(output, ignore_errors=True)


def kill_moment(seed: int, kill: int) -> float:
    """Seconds after its start at which a tracker is killed: from importing to the middle of the job."""
    digest = hashlib.sha256(f"{seed} {kill}".encode()).digest()
    return 0.1 + 1.4 * int.from_bytes(digest[:4], "big") / 2**32


def table(rows: dict[str, Row]) -> str:
    """What came of it, as text."""
    lines = [
        f"{'job':<28}{'runs':>5}" + "".join(f"{kind:>13}" for kind in KINDS) + f"{'different':>11}{'failed':>8}{'s':>8}"
    ]
    for name, row in rows.items():
        counts = "".join(f"{row.inflicted[kind]:>13}" for kind in KINDS)
        lines.append(f"{name:<28}{row.runs:>5}{counts}{len(row.different):>11}{len(row.failed):>8}{row.seconds:>8.1f}")
    for name, row in rows.items():
        lines += [f"{name}: seed {seed} gave another result" for seed in row.different]
        lines += [f"{name}: seed {seed} failed: {error}" for seed, error in row.failed.items()]
    return "\n".join(lines)


def main() -> None:
    """One case in a process of its own: NAME OUTPUT CHAOS [ADDRESS]."""
    name, output, chaos, *where = sys.argv[1:]
    try:
        run_case(name, Path(output), chaos, *where)
    except mr.MapReduceError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()

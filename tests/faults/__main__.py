"""All that is too long for every run of the tests, by one command.

python -m tests.faults --runs 200            so many runs under chaos, over all jobs, and some with a killed tracker
python -m tests.faults --runs 40 --cluster   the same on two agents, which are killed and stopped, too
python -m tests.faults --matrix              every cell of the crash matrix
python -m tests.faults --hosts               who can die on three hosts, at each record of the journal
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import chaos_runs


def main() -> int:
    """0 if every result was the same as undisturbed, 1 if one was not."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Runs jobs under faults.")
    parser.add_argument("--runs", type=int, default=0, help="runs under chaos, shared out among the jobs")
    parser.add_argument("--cluster", action="store_true", help="on agents, as if they were hosts")
    parser.add_argument("--kills", type=int, help="runs whose tracker is killed; default: a tenth of --runs")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; counts up from there")
    parser.add_argument("--matrix", action="store_true", help="every cell of the crash matrix")
    parser.add_argument("--hosts", action="store_true", help="every process of a job on three hosts, at every record")
    asked = parser.parse_args()
    if not asked.runs and not asked.kills and not asked.matrix and not asked.hosts:
        parser.error("say what to run: --runs 200, --matrix, --hosts")
    good = True
    if asked.runs or asked.kills:
        kills = asked.runs // 10 if asked.kills is None else asked.kills
        if asked.cluster:
            with tempfile.TemporaryDirectory(prefix="mapreduce-key-") as folder, chaos_runs.hosts(Path(folder)) as on:
                good = run_chaos(asked.runs, kills, asked.seed, on)
        else:
            good = run_chaos(asked.runs, kills, asked.seed)
    if asked.matrix:
        from tests.faults.crash_matrix import run_matrix

        good = run_matrix() and good
    if asked.hosts:
        from tests.faults.killed_hosts import run_all

        good = run_all() and good
    return 0 if good else 1


def run_chaos(runs: int, kills: int, seed: int, on: chaos_runs.Hosts | None = None) -> bool:
    """Print the table; whether every run ended with the undisturbed result."""
    names = list(chaos_runs.CASES)
    rows = {name: chaos_runs.Row() for name in names}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mapreduce-chaos-") as folder:
        expected = {name: chaos_runs.reference(name, Path(folder)) for name in names}
        for number in range(runs):
            name = names[number % len(names)]
            chaos_runs.chaos_run(name, seed + number, Path(folder), expected[name], rows[name], on)
            _tell(f"run {number + 1} of {runs}")
        for number in range(kills):
            name = names[number % len(names)]
            chaos_runs.killed_run(name, seed + number, Path(folder), expected[name], rows[name], on)
            _tell(f"killed tracker {number + 1} of {kills}")
    _tell("")
    print(chaos_runs.table(rows))
    print(f"{sum(row.runs for row in rows.values())} runs in {time.monotonic() - started:.0f} s")
    return not any(row.different or row.failed for row in rows.values())


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<40}", end="\r" if not text else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

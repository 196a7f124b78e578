"""How much memory does each process of a word count hold, against the bound it was given? In both lanes.

python -m bench.memory --size 2GB --memory 512MB --check

Prints a row a process: the most anonymous memory (what the bound counts: a process's own, not pages of files) and the
most resident memory that it ever had. `--check` compares the output with DuckDB's. Exits with 1 where a worker came
above 80 % of its bound, was lost, or the answers differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bench.answers import line_set
from bench.measure import SAMPLE_SECONDS, Measurement, pin_to_two_cpus
from bench.question import Contestant, ours, peer
from bench.runner import cache, input_file, run_once
from mapreduce.settings import MiB, parse_size

LANES = ("wordcount", "wordcount_columns")
AIM = 0.8  # of the bound: workers are ended at 0.95


@dataclass(slots=True)
class Peaks:
    """The most that a process held, in bytes."""

    anonymous: int = 0
    resident: int = 0


class Watch:
    """Looks at the processes below this one, twenty times a second, while it is entered."""

    def __init__(self) -> None:
        self.peaks: dict[int, Peaks] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            waiting = children("self")
            while waiting:
                pid = waiting.pop()
                try:
                    self._note(int(pid))
                    waiting += children(pid)
                except (OSError, KeyError):  # it ended while we looked
                    continue

    def _note(self, pid: int) -> None:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        peaks = self.peaks.setdefault(pid, Peaks())
        peaks.anonymous = max(peaks.anonymous, 1024 * int(status["RssAnon"].split()[0]))
        peaks.resident = max(peaks.resident, 1024 * int(status["VmHWM"].split()[0]))


def children(pid: str) -> list[str]:
    found: list[str] = []
    for thread in Path("/proc", pid, "task").iterdir():
        found += (thread / "children").read_text().split()
    return found


def watched(contestant: Contestant, source: Path, output: Path) -> tuple[Measurement, list[Peaks]]:
    """Run it; the peaks of its processes, the first one's first."""
    with Watch() as watch:
        run = run_once(contestant, source, output)
    return run, [watch.peaks[pid] for pid in sorted(watch.peaks)]


def show(name: str, run: Measurement, peaks: list[Peaks], bound: int) -> bool:
    """Print a row a process; True if all went well."""
    print(f"\n{name}: {run.seconds:.1f} s, exit code {run.exit_code}")
    for number, peak in enumerate(peaks):
        share = f"{peak.anonymous / bound:4.0%} of the bound" if number else ""
        role = "worker " if number else "tracker"
        print(f"  {role}  {peak.anonymous / MiB:6.0f} MiB own  {peak.resident / MiB:6.0f} MiB resident  {share}")
    if run.exit_code:
        print(run.errors[-2000:], file=sys.stderr)
    lost = "was lost" in run.errors or "was ended for its memory" in run.errors
    return run.exit_code == 0 and not lost and all(peak.anonymous <= AIM * bound for peak in peaks[1:])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description="Peak memory of every process.")
    parser.add_argument("--size", default="2GB", help="bytes of text; ten million distinct words")
    parser.add_argument("--memory", default="512MB", help="the bound on each worker")
    parser.add_argument("--check", action="store_true", help="compare the output with DuckDB's")
    arguments = parser.parse_args()
    pin_to_two_cpus()
    cache().mkdir(parents=True, exist_ok=True)
    source = input_file("wide", parse_size(arguments.size))
    print(f"{source.name}, {arguments.memory} a worker, 2 workers, {time.strftime('%Y-%m-%d %H:%M')}")
    well = True
    with tempfile.TemporaryDirectory(prefix="memory-", dir=cache()) as scratch:
        output, answers = Path(scratch, "output"), []
        for lane in LANES:
            options = ("--memory", arguments.memory, "--workers", "2", "-q")
            run, peaks = watched(ours("run", lane, "{input}", "-o", "{output}", *options), source, output)
            well &= show(lane, run, peaks, parse_size(arguments.memory))
            answers.append(line_set(output, run) if run.exit_code == 0 else None)
        if arguments.check:
            run, peaks = watched(peer("DuckDB", "wordcount_duckdb", None, "duckdb"), source, output)
            most = max(peak.resident for peak in peaks) / MiB
            print(f"\nDuckDB, without a bound: {run.seconds:.1f} s, {most:.0f} MiB resident")
            answers.append(line_set(output, run))
    same = len(set(answers)) == 1
    print(f"\n{'the answers agree' if same else f'the answers differ: {answers}'}")
    return 0 if well and same else 1


if __name__ == "__main__":
    sys.exit(main())

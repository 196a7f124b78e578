"""How is a result shown? As a Markdown table with medians, ratios, peak memory, versions, machine and command."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.measure import Measurement
from bench.question import OURS, Contestant, Question

MiB = 1 << 20
DISTRIBUTIONS = ("numpy", "pyarrow", "numba", "pandas", "scikit-learn", "duckdb", "polars", "dask", "distributed",
                 "pyspark", "ray", "loky", "mrjob")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """What a contestant did in all rounds; `problem` says why there is nothing to show."""

    contestant: Contestant
    seconds: tuple[float, ...] = ()
    runs: tuple[Measurement, ...] = ()
    agrees: bool = True
    problem: str = ""

    @property
    def median(self) -> float:
        return median(self.seconds)


def ratio(row: Row, ours: Row) -> float:
    """Its time over ours: the median over the rounds in which both ran, one after the other."""
    return median(theirs / mine for theirs, mine in zip(row.seconds, ours.seconds, strict=False))


def render(question: Question, input_bytes: int, rows: Sequence[Row]) -> str:
    """One question's table. The first row is ours."""
    titles = ["tool", "seconds (median)", "rounds", question.rate or "rate", "peak memory, all processes",
              "largest process", "its time / ours", "aim", "answer"]  # fmt: skip
    lines = [
        f"### {question.title}",
        "",
        f"Input {input_bytes / 1e6:,.{0 if input_bytes >= 10**7 else 1}f} MB. {question.note}".rstrip(),
        "",
        "| " + " | ".join(titles) + " |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    lines += ["| " + " | ".join(_cells(row, rows[0], question, input_bytes)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: Row, ours: Row, question: Question, input_bytes: int) -> list[str]:
    contestant = row.contestant
    aim = f"≥ {contestant.target:g}" if contestant.target else ""
    if row.problem:
        return [contestant.name, row.problem, *[""] * 5, aim, ""]
    return [
        contestant.name,
        _seconds(row.median),
        str(len(row.seconds)),
        f"{question.work(input_bytes) / row.median:,.0f}" if question.rate else "",
        f"{median(run.tree_bytes for run in row.runs) / MiB:,.0f} MiB",
        f"{median(run.process_bytes for run in row.runs) / MiB:,.0f} MiB",
        _ratio_cell(row, ours),
        aim,
        _answer_cell(row),
    ]


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds >= 1 else f"{seconds:.3f}" if seconds >= 0.01 else f"{seconds:.2g}"


def _ratio_cell(row: Row, ours: Row) -> str:
    if row.contestant.name == OURS or not ours.seconds:
        return ""
    value, target = ratio(row, ours), row.contestant.target
    return f"{value:.2f}" if target is None or value >= target else f"**{value:.2f}**"


def _answer_cell(row: Row) -> str:
    if row.contestant.name == OURS:
        return "reference"
    return "same" if row.agrees else f"own: {row.contestant.note}"


def header(command: str, date: str) -> str:
    """What was measured where, and with which versions."""
    return f"""# Bench of {date}

- command: `{command}`
- machine: {_processor()}, {os.cpu_count()} CPUs of which 2 used, {_memory_bytes() / 2**30:.0f} GiB, \
{platform.system()} {platform.release()}; load average {os.getloadavg()[0]:.1f} when it began
- Python {platform.python_version()}; {_versions()}
- every run is a process of its own, start-up included, page cache warm (a small run of the same tool comes before \
it); tools take turns, and a ratio is the median over rounds of its time over ours in the same round; **bold** misses \
the aim
"""


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2] for line in lines if "model name" in line]
    return names[0].strip() if names else platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _versions() -> str:
    found = []
    for name in DISTRIBUTIONS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    if shutil.which("sort"):
        told = subprocess.run(["sort", "--version"], capture_output=True, text=True, check=False).stdout
        found.append(told.partition("\n")[0])
    return ", ".join(found)

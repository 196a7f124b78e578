"""Has the sort of section 5 of the MapReduce paper the same shape on the simulated cluster?

`python -m bench simulate_osdi`. What the model takes from the paper and what was chosen to fit stands in
`mapreduce/simulate/presets.py`.
"""

from __future__ import annotations

from statistics import mean

from bench.tracker_time import simulated
from mapreduce.simulate.presets import PAPER_SECONDS

SEEDS = range(1, 11)


def table(_rounds: int) -> str:
    """Ratios to the undisturbed run of the same seed."""
    spans = {name: [_makespan(name, seed) for seed in SEEDS] for name in PAPER_SECONDS}
    normal, paper_normal = spans["osdi-sort"], PAPER_SECONDS["osdi-sort"]
    lines = [
        "### The sort of OSDI'04, section 5, simulated",
        "",
        f"1,746 hosts, seeds {SEEDS.start} to {SEEDS.stop - 1}; ratios to the undisturbed run of the same seed.",
        "",
        "| scenario | paper, s | paper, ratio | simulated, s (mean) | ratio (mean) | ratio (range) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, seconds in PAPER_SECONDS.items():
        ratios = [run / base for run, base in zip(spans[name], normal, strict=True)]
        figures = f"{seconds:.0f} | {seconds / paper_normal:.2f} | {mean(spans[name]):.0f} | {mean(ratios):.2f}"
        lines.append(f"| `{name}` | {figures} | {min(ratios):.2f} to {max(ratios):.2f} |")
    return "\n".join(lines) + "\n"


def _makespan(name: str, seed: int) -> float:
    return float(simulated(["--preset", name, "--seed", str(seed)])["makespan_seconds"])

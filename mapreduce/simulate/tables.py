"""What does a person read of a simulation? A few lines on one run, a table on several, and one sentence of advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mapreduce.report.units import format_bytes, format_count, format_plural, format_seconds
from mapreduce.simulate.replay import PastJob
from mapreduce.simulate.results import Simulated
from mapreduce.simulate.speedup import Prediction, last_that_pays


def describe(run: Simulated) -> str:
    """One run, a line for each thing that somebody would ask."""
    tally, cost = run.tally, run.cost
    stages = " and ".join(f"{stage.tasks:,} {stage.name}" for stage in run.stages)
    slots = f", {run.slots} slots each" if run.slots > 1 else ""
    useful, wasted = format_seconds(run.useful_seconds), format_seconds(run.wasted_seconds)
    made_again = format_plural(tally.made_again, "task")
    faults = [_times(tally.crashes, "crash", "crashes"), _times(tally.cuts, "cut", "cuts")]
    faults += [_times(tally.stops, "stop", "stops"), f"{format_plural(tally.workers_lost, 'worker')} lost"]
    decisions = format_count(run.decisions_per_second)
    lines = [
        ("job", f"{stages} tasks on {format_plural(run.hosts, 'host')}{slots}"),
        ("outcome", run.outcome.value + (f": {run.reason}" if run.reason else "")),
        ("makespan", format_seconds(run.makespan)),
        ("stages", ", ".join(_span(stage.name, stage.first_start, stage.last_commit) for stage in run.stages)),
        ("work", f"{useful} useful, {wasted} wasted ({run.wasted_share:.1%})"),
        ("attempts", f"{tally.attempts:,} ran, {tally.failed_attempts:,} failed; {made_again} made again"),
        ("backups", f"{tally.backups:,} started, {tally.backups_won:,} won"),
        ("faults", ", ".join(faults)),
        ("network", _moved(tally.bytes_moved, tally.bytes_here)),
        ("tracker", f"{format_count(tally.events)} events, {decisions} a second"),
        ("simulated", f"in {format_seconds(cost.seconds)}, with {format_bytes(cost.peak_memory_bytes)} of memory"),
    ]
    return "\n".join(f"{name:<10} {text}" for name, text in lines if text)


def _moved(moved: float, here: float) -> str:
    if not moved and not here:
        return ""
    return f"{format_bytes(int(moved))} moved between hosts, {format_bytes(int(here))} of input read where it lies"


def _span(name: str, first: float, last: float) -> str:
    return f"{name} {format_seconds(first) if first else '0 s'} to {format_seconds(last)}"


def _times(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


COLUMNS = ("workers", "makespan", "speed-up", "efficiency", "Amdahl", "wasted")


def speedup_table(table: Sequence[Prediction]) -> str:
    """A row for each number of workers."""
    rows = [COLUMNS, *map(_row, table)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _row(line: Prediction) -> tuple[str, ...]:
    return (
        f"{line.workers:,}",
        format_seconds(line.seconds),
        f"{line.speedup:.2f}",
        f"{line.efficiency:.0%}",
        f"{line.amdahl:.2f}",
        f"{line.wasted_share:.1%}",
    )


def advice(table: Sequence[Prediction]) -> str:
    """Where more workers stop paying, in a sentence."""
    last = last_that_pays(table)
    if last is None:
        if len(table) < 2:
            return ""
        most = table[-1]
        return f"Up to {most.workers:,} workers each row pays; try more."
    more = next(line for line in table if line.workers > last.workers)
    gain = last.seconds / more.seconds - 1
    told = f"would be {gain:.0%} faster" if gain >= 0.005 else "would be no faster"
    if last.workers == 1:
        return f"1 worker is enough: {_workers(more.workers)} {told}."
    return f"{_workers(last.workers)} pay: {last.speedup:.1f} times as fast as one. {_workers(more.workers)} {told}."


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count:,} workers"


def as_json_object(
    runs: Sequence[Simulated], table: Sequence[Prediction], job: PastJob | None, serial_seconds: float
) -> dict[str, Any]:
    """All that a command has to tell. `from` and `speedups` are null and empty where there are none."""
    past = None
    if job is not None:
        past = {
            "job": job.name,
            "workers": job.workers,
            "seconds": job.wall_seconds,
            "task_seconds": job.task_seconds,
            "serial_seconds": serial_seconds,
        }
    return {
        "from": past,
        "runs": [_run_as_json(run) for run in runs],
        "speedups": [asdict(line) for line in table],
        "advice": advice(table),
    }


def _run_as_json(run: Simulated) -> dict[str, Any]:
    """A run as plain values; what only measures the simulation stands under `cost`."""
    tally, cost = run.tally, run.cost
    return {
        "outcome": run.outcome.value,
        "reason": run.reason,
        "hosts": run.hosts,
        "slots": run.slots,
        "makespan_seconds": run.makespan,
        "useful_seconds": run.useful_seconds,
        "wasted_seconds": run.wasted_seconds,
        "stages": [
            {"name": each.name, "tasks": each.tasks, "start": each.first_start, "end": each.last_commit}
            for each in run.stages
        ],
        "attempts": tally.attempts,
        "failed_attempts": tally.failed_attempts,
        "made_again": tally.made_again,
        "backups": tally.backups,
        "backups_won": tally.backups_won,
        "crashes": tally.crashes,
        "cuts": tally.cuts,
        "stops": tally.stops,
        "bytes_moved": int(tally.bytes_moved),
        "bytes_read_in_place": int(tally.bytes_here),
        "workers_lost": tally.workers_lost,
        "events": tally.events,
        "cost": {
            "seconds": cost.seconds,
            "cpu_seconds": cost.cpu_seconds,
            "handle_cpu_seconds": run.handle_cpu_seconds,
            "handle_seconds": cost.handle_seconds,
            "decisions_per_second": run.decisions_per_second,
            "peak_memory_bytes": cost.peak_memory_bytes,
        },
    }

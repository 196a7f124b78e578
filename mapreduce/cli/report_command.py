"""What does `mapreduce report` do? Turns the event log of a job into a page to look at."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mapreduce.errors import InputError, ResourceError

if TYPE_CHECKING:
    from mapreduce.report.job_log import RunLog

MOST_SIMULATED = 100_000
"""Tasks of a job whose scaling is simulated for the page: some seconds."""


@click.command("report", short_help="Draw what happened in a job, as one HTML page.")
@click.argument("folder", metavar="DIR")
@click.option("-o", "--output", metavar="FILE", help="The page. Default: DIR/_report.html; - for standard output.")
@click.option("--trace", metavar="FILE", help="Write Chrome trace events as well, for ui.perfetto.dev.")
def report_command(folder: str, output: str | None, trace: str | None) -> None:
    """Write a page about the job whose output folder is DIR: outcome, timeline, throughput, task times, skew, failures.

    The page is one file that needs no network. DIR may also be an event log (`_events.jsonl`).

    \b
    mapreduce report counts/
    mapreduce report counts/ -o counts.html --trace counts.json
    """
    from mapreduce.report.events import read_events
    from mapreduce.report.page import render_page
    from mapreduce.storage.paths import REPORT

    log = read_events(folder)
    page = render_page(log, _simulated(log.last))
    if output == "-":
        sys.stdout.write(page)
    else:
        path = Path(output) if output is not None else log.path.parent / REPORT
        _write(path, page)
        click.echo(f"wrote {path}", err=True)
    if trace is not None:
        from mapreduce.report.trace import write_trace

        with _explained(trace):
            write_trace(log, Path(trace))
        click.echo(f"wrote {trace}", err=True)


def _simulated(run: RunLog) -> list[tuple[int, float]]:
    """The speed-up of the run's tasks by number of workers; none where it had too few, or not all were measured."""
    from mapreduce.report.page import CURVE
    from mapreduce.simulate.replay import past_job
    from mapreduce.simulate.speedup import predict_speedup, serial_seconds_of

    tasks = sum(stage.tasks for stage in run.head.stages)
    try:
        job = past_job(run)
    except InputError:
        return []
    if job.wall_seconds is None or tasks > MOST_SIMULATED:
        return []
    table = predict_speedup(job.plan, job.seconds, CURVE, serial_seconds_of(job))
    return [(row.workers, row.speedup) for row in table]


def _write(path: Path, page: str) -> None:
    with _explained(path):
        path.write_text(page, encoding="utf-8")


@contextmanager
def _explained(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResourceError(f"can't write {path}: {error.strerror}; choose another place") from error

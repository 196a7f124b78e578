"""What does `mapreduce report` do? Turns the event log of a job into a page to look at."""

from __future__ import annotations

from pathlib import Path

import click

from mapreduce.errors import ResourceError


@click.command("report", short_help="Draw what happened in a job, as one HTML page.")
@click.argument("folder", metavar="DIR")
@click.option("-o", "--output", metavar="FILE", help="The page. Default: DIR/_report.html; - for standard output.")
def report_command(folder: str, output: str | None) -> None:
    """Write a page about the job whose output folder is DIR: outcome, timeline, throughput, task times, skew, failures.

    The page is one file that needs no network. DIR may also be an event log (`_events.jsonl`).

    \b
    mapreduce report counts/
    mapreduce report counts/ -o counts.html
    """
    from mapreduce.report.events import read_events
    from mapreduce.report.page import render_page
    from mapreduce.storage.paths import REPORT

    log = read_events(folder)
    page = render_page(log)
    if output == "-":
        click.get_text_stream("stdout", encoding="utf-8").write(page)
    else:
        path = Path(output) if output is not None else log.path.parent / REPORT
        _write(path, page)
        click.echo(f"wrote {path}", err=True)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"can't write the page {path}: {error.strerror}; choose another place with -o") from error

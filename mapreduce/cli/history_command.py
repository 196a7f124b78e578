"""What does `mapreduce history` print? The jobs of this user, the newest last, how they ended, and how to go on."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from mapreduce.cli.engine_options import POSITIVE
from mapreduce.errors import ResourceError, UsageError, near
from mapreduce.report.units import format_bytes, format_plural, format_seconds

if TYPE_CHECKING:
    from mapreduce.storage.history import PastJob

SHOWN = 20
HINTS = 3
COLUMNS = ("when", "job", "outcome", "time", "read", "failures", "output")
_COLOURS = {"succeeded": "green", "failed": "red", "killed": "red", "stopped": "yellow", "running": "cyan"}


@click.command("history", short_help="List past jobs.")
@click.argument("job", metavar="[JOB]", required=False)
@click.option("-n", "--number", type=POSITIVE, default=SHOWN, metavar="N", help=f"How many jobs. Default: {SHOWN}.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
def history_command(job: str | None, number: int, as_json: bool) -> None:
    """List past jobs, the newest last: when, how they ended, where their output is, and how to go on.

    \b
    mapreduce history
    mapreduce history -n 5 WordCount
    """
    from mapreduce.storage.history import SWITCH, history_path, read_history

    path = history_path()
    if path is None:
        raise UsageError(f"there is no history: {SWITCH} is off")
    try:
        jobs = read_history(path)
    except OSError as error:
        raise ResourceError(f"can't read the history {path}: {error.strerror or error}") from error
    shown = _named(jobs, job)[-number:]
    if as_json:
        click.echo(json.dumps([_page(past) for past in shown], indent=2))
        return
    if not shown:
        click.echo("no job has run yet; jobs are listed here once they have begun", err=True)
        return
    if sys.stdout.isatty():
        _print_table(shown)
    else:
        for past in shown:
            click.echo("  ".join(_cells(past)))
    for hint in _hints(shown):
        click.echo(hint, err=True)


def _named(jobs: Sequence[PastJob], name: str | None) -> Sequence[PastJob]:
    """Jobs of that name, however it is written: 'word_count' is WordCount. Raises UsageError if there is none."""
    if name is None:
        return jobs
    named = [past for past in jobs if _plain(past.began.job) == _plain(name)]
    if not named:
        raise UsageError(f"no past job {name!r}; {near(name, sorted({past.began.job for past in jobs}))}")
    return named


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _cells(past: PastJob) -> tuple[str, ...]:
    ended, began = past.ended, past.began
    name = began.job if ended is None or ended.jobs <= 1 else f"{began.job} and {ended.jobs - 1} more"
    failures = "" if ended is None else format_plural(ended.failed_attempts, "failure")
    return (
        time.strftime("%Y-%m-%d %H:%M", time.localtime(began.at)),
        name,
        past.state.value,
        format_seconds(ended.seconds) if ended is not None else "-",
        format_bytes(ended.bytes_in) if ended is not None else "-",
        failures or "-",
        began.output or "(printed)",
    )


def _page(past: PastJob) -> dict[str, Any]:
    """A job as JSON; what is known only at the end is null before."""
    ended = {} if past.ended is None else past.ended._asdict()
    names = ("seconds", "reason", "bytes_in", "failed_attempts", "jobs")
    page = {**past.began._asdict(), **{name: ended.get(name) for name in names}}
    return {**page, "outcome": past.state.value, "can_go_on": past.can_go_on}


def _print_table(jobs: Sequence[PastJob]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        right = column in ("time", "read", "failures")
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "output", overflow="fold")
    for past in jobs:
        cells = [Text(cell) for cell in _cells(past)]
        cells[2].stylize(_COLOURS.get(past.state.value, ""))
        table.add_row(*cells)
    Console().print(table)


def _hints(jobs: Sequence[PastJob]) -> list[str]:
    """How to go on with what was left; each folder once, by its newest job."""
    newest = {past.began.output: past for past in jobs}
    left = [past for past in newest.values() if past.can_go_on][-HINTS:]
    return [
        f"{past.began.output} is unfinished; the same command goes on: cd {shlex.quote(past.began.cwd)} && "
        f"{shlex.join(past.began.command)}"
        for past in left
    ]

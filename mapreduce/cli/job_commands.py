"""What do `ps`, `logs`, `wait` and `kill` do? They look after the jobs of a tracker that stays."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from mapreduce.cli.messages import say
from mapreduce.report.units import format_plural, format_seconds

COLUMNS = ("job", "name", "state", "workers", "time", "user", "output")
_COLOURS = {"succeeded": "green", "failed": "red", "killed": "red", "stopping": "yellow", "running": "cyan"}

_TRACKER = click.option("--tracker", metavar="ADDRESS", help="The tracker, HOST:PORT. Default: $MAPREDUCE_TRACKER.")
_KEY = click.option("--key", metavar="FILE", help="The cluster's key. Default: where `mapreduce keys` puts it.")


def _of_a_tracker(command: Callable[..., Any]) -> Callable[..., Any]:
    return _TRACKER(_KEY(command))


@click.command("ps", short_help="List the jobs of a tracker.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: jobs, slots and hosts.")
@_of_a_tracker
def ps_command(as_json: bool, tracker: str | None, key: str | None) -> None:
    """List the jobs of a tracker, the newest last: how they stand, on how many workers, and where their output is.

    \b
    mapreduce ps --tracker 192.168.0.7:7077
    """
    from mapreduce.engines.remote import TrackerClient

    with TrackerClient(tracker, key) as client:
        page = client.query("jobs").words
    if as_json:
        click.echo(json.dumps(page, indent=2))
        return
    if not page["jobs"]:
        say(f"no jobs at {client.address}; {_slots(page)}")
        return
    now = time.time()
    if sys.stdout.isatty():
        _print_table(page["jobs"], now)
    else:
        for job in page["jobs"]:
            click.echo("  ".join(_cells(job, now)))
    waiting = [job for job in page["jobs"] if job["state"] == "queued"]
    if waiting and not page["slots"]:
        say(f"{format_plural(len(waiting), 'job')} wait: no host lends workers")


@click.command("logs", short_help="Print what a job of a tracker said.")
@click.argument("job", metavar="JOB")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends.")
@_of_a_tracker
def logs_command(job: str, follow: bool, tracker: str | None, key: str | None) -> None:
    """Print the progress, prints, errors and summary of a job; JOB is its number in `mapreduce ps`.

    \b
    mapreduce logs 12 -f
    """
    from mapreduce.engines.remote import TrackerClient

    with TrackerClient(tracker, key) as client:
        if follow:
            client.follow(job, click.echo)
            return
        offset = 0
        while True:
            page = client.query("log", job=job, offset=offset)
            if not page.blob:
                break
            offset += len(page.blob)
            sys.stdout.buffer.write(page.blob)
        sys.stdout.buffer.flush()


@click.command("wait", short_help="Wait for jobs of a tracker.")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@_of_a_tracker
def wait_command(jobs: tuple[str, ...], tracker: str | None, key: str | None) -> None:
    """Wait until the jobs have ended; the exit code is that of the first that did not succeed, else 0.

    0 done, 1 the job's own code failed, 2 wrong usage, input or resources, 143 killed.

    \b
    mapreduce wait 12 13
    """
    from mapreduce.engines.remote import TrackerClient

    codes = []
    with TrackerClient(tracker, key) as client:
        for job in jobs:  # an unknown one is told before we wait
            client.query("job", job=job)
        for job in jobs:
            ended = client.follow(job, lambda line: None, offset=1 << 62)
            say(
                f"job {ended['job']} ({ended['name']}) {ended['state']}"
                + (f": {ended['reason']}" if ended["reason"] else "")
            )
            codes.append(int(ended["exit_code"] or 0))
    if code := next((code for code in codes if code), 0):
        raise click.exceptions.Exit(code)


@click.command("kill", short_help="End jobs of a tracker.")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@_of_a_tracker
def kill_command(jobs: tuple[str, ...], tracker: str | None, key: str | None) -> None:
    """End jobs that wait or run; harmless for those that have ended. What they finished stays in their output folders.

    \b
    mapreduce kill 12
    """
    from mapreduce.engines.remote import TrackerClient

    with TrackerClient(tracker, key) as client:
        for job in jobs:
            client.query("job", job=job)
        for job in jobs:
            told = client.kill(job)
            say(f"job {told['job']} ({told['name']}) is {told['state']}")


def _slots(page: dict[str, Any]) -> str:
    return f"{format_plural(page['slots'], 'worker')} on {format_plural(page['hosts'], 'host')}"


def _cells(job: dict[str, Any], now: float) -> tuple[str, ...]:
    began, ended = job["started_at"], job["ended_at"] or now
    return (
        str(job["job"]),
        job["name"],
        job["state"],
        str(job["slots"]) if job["slots"] else "-",
        format_seconds(max(0.0, ended - began)) if began else "-",
        job["user"] or "-",
        job["output"],
    )


def _print_table(jobs: list[dict[str, Any]], now: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        right = column in ("job", "workers", "time")
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "output", overflow="fold")
    for job in jobs:
        cells = [Text(cell) for cell in _cells(job, now)]
        cells[2].stylize(_COLOURS.get(job["state"], ""))
        table.add_row(*cells)
    Console().print(table)

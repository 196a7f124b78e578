"""What does `mapreduce agent` do? It lends this host's workers to a tracker until it is told to stop."""

from __future__ import annotations

import click

from mapreduce.cli.engine_options import POSITIVE, SIZE


@click.command("agent", short_help="Lend this host's workers to a tracker.")
@click.argument("tracker", metavar="TRACKER")
@click.option("--workers", type=POSITIVE, metavar="N", help="Worker processes. Default: the CPUs available.")
@click.option("--memory", type=SIZE, metavar="SIZE", help="The most that a worker may use, whatever a job says.")
@click.option("--data", "offers", multiple=True, metavar="DIR", help="Inputs that lie here, for other hosts to read.")
@click.option("--scratch", metavar="DIR", help="Folder for the files of jobs. Default: a temporary one.")
@click.option("--name", metavar="HOST", help="What to call this host. Default: its own name.")
@click.option("--key", metavar="FILE", help="The cluster's key. Default: where `mapreduce keys` puts it.")
@click.option("--key-from-stdin", is_flag=True, help="Read the key (and TRACKER -) from standard input; end with it.")
@click.option("--keep", type=float, default=600.0, metavar="S", help="Seconds for which files outlast a tracker: 600.")
@click.option(
    "--expect", type=click.Choice(["keyed", "folds"]), default="keyed", help="Jobs for which workers load code ahead."
)
@click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors.")
@click.option("-v", "--verbose", "verbosity", count=True, help="Show the log; -vv everything, and tracebacks.")
def agent_command(
    tracker: str,
    workers: int | None,
    memory: int | None,
    offers: tuple[str, ...],
    scratch: str | None,
    name: str | None,
    key: str | None,
    key_from_stdin: bool,
    keep: float,
    expect: str,
    quiet: bool,
    verbosity: int,
) -> None:
    """Join the tracker at TRACKER (HOST:PORT), and run what it says as this user until Ctrl-C.

    The tracker says where it listens: `mapreduce run ... --listen ADDRESS`, or `mapreduce tracker`.
    Both need the same key; `mapreduce keys` makes one.

    \b
    mapreduce agent 192.168.0.7:7077
    mapreduce agent 192.168.0.7:7077 --workers 4 --data /srv/logs --scratch /var/tmp/mapreduce
    """
    from mapreduce.cli.messages import set_verbosity
    from mapreduce.engines.agent_process import AgentOptions, serve
    from mapreduce.logs import configure, tell_of
    from mapreduce.wire.keys import open_key

    set_verbosity(verbosity)
    configure(verbosity, quiet=quiet)
    secret = None
    if not key_from_stdin:
        from pathlib import Path

        secret = open_key(Path(key) if key else None)
        if not quiet:
            _say_who_may_run_code()
            tell_of("mapreduce.engines.agent")  # who began it by hand wants to see whether it has joined
    options = AgentOptions(
        tracker=tracker,
        workers=workers,
        memory_bytes=memory or 0,
        offers=offers,
        scratch=scratch,
        name=name or "",
        keep_seconds=keep,
        with_stdin=key_from_stdin,
        expect=expect,
    )
    serve(options, secret)


def _say_who_may_run_code() -> None:
    import os
    import pwd

    from mapreduce.cli.messages import say

    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # in a container, say
        user = f"user {os.geteuid()}"
    advice = "" if os.geteuid() else "; an ordinary user would be better"
    say(f"who holds the cluster's key may run code here as {user}{advice}")

"""What does `mapreduce tracker` do? It takes jobs from clients, keeps them in order, and runs them."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mapreduce.cli.engine_options import POSITIVE
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapreduce.service.server import ClusterPlace

LOOPBACK = "127.0.0.1"


@click.command("tracker", short_help="Run a tracker that stays, with a queue of jobs.")
@click.option("--listen", metavar="ADDRESS", default=LOOPBACK, help="Where to listen. Default: 127.0.0.1:7077.")
@click.option("--key", metavar="FILE", help="The cluster's key. Default: where `mapreduce keys` puts it.")
@click.option("--state", metavar="DIR", help="Where jobs are kept. Default: ~/.local/state/mapreduce/tracker.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    metavar="N",
    help="Workers on this host; 0: those of agents that join. Default: the CPUs available.",
)
@click.option(
    "--policy", type=click.Choice(("fifo", "fair")), default="fifo", help="How jobs share the workers. Default: fifo."
)
@click.option("--max-jobs", type=POSITIVE, default=4, metavar="N", help="Jobs that run at once. Default: 4.")
@click.option("--max-queued", type=POSITIVE, default=1000, metavar="N", help="Jobs that wait at most. Default: 1000.")
@click.option("--max-workers", type=POSITIVE, metavar="N", help="Workers of one job at the most. Default: all.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors.")
@click.option("-v", "--verbose", "verbosity", count=True, help="Show the log; -vv everything, and tracebacks.")
def tracker_command(
    listen: str,
    key: str | None,
    state: str | None,
    workers: int | None,
    policy: str,
    max_jobs: int,
    max_queued: int,
    max_workers: int | None,
    quiet: bool,
    verbosity: int,
) -> None:
    """Take jobs from `mapreduce run ... --tracker ADDRESS` and run them, until Ctrl-C or SIGTERM.

    Jobs go on when their client goes. Those that wait or run when the tracker ends, whichever way, go on when it is
    started again. `mapreduce ps`, `logs`, `wait` and `kill` look after them.

    \b
    mapreduce tracker
    mapreduce tracker --listen 192.168.0.7:7077 --policy fair --max-jobs 8
    """
    from mapreduce.cli.messages import say, set_verbosity
    from mapreduce.engines.remote import DEFAULT_PORT
    from mapreduce.logs import configure
    from mapreduce.report.units import format_plural
    from mapreduce.service.desk import Desk
    from mapreduce.service.queue import JobQueue, Limits
    from mapreduce.service.server import Service
    from mapreduce.service.shares import Sharing
    from mapreduce.service.state import StateFolder
    from mapreduce.settings import available_cpus
    from mapreduce.wire.keys import check_address, default_key_path, parse_address
    from mapreduce.wire.transport import Listener

    set_verbosity(verbosity)
    configure(verbosity, quiet=quiet)
    address = parse_address(listen, default_port=DEFAULT_PORT)
    secret = check_address(str(address), Path(key) if key else None)
    folder = StateFolder(Path(state).absolute() if state else default_state_folder())
    service = Service(
        folder,
        JobQueue(Sharing(policy), Limits(max_jobs, max_queued, max_workers)),
        available_cpus() if workers is None else workers,
        cluster=_place_in(address.host, key or str(default_key_path())) if workers == 0 else None,
    )
    with closing(service), closing(Listener(str(address), secret)) as listener:
        service.restore()
        if not quiet:
            where = listener.address.removeprefix("tcp://")
            agents = f"workers of `mapreduce agent {where}`"
            have = format_plural(service.workers, "worker") if service.workers else agents
            say(f"tracker at {where}, {have}, state in {folder.root}")
        service.run(listener, Desk(service, listener, os.uname().nodename))


def _place_in(host: str, key: str) -> Callable[[int], ClusterPlace]:
    """Chooses where the process of a job listens: at the port of an earlier one, if that is still free."""
    from mapreduce.service.server import ClusterPlace

    def place(port: int) -> ClusterPlace:
        import socket

        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                probe.bind((host, 0))
            found = int(probe.getsockname()[1])
        return ClusterPlace(f"[{host}]:{found}" if ":" in host else f"{host}:{found}", found, key)

    return place


def default_state_folder() -> Path:
    """`tracker` beside the user's history."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    if not os.path.isabs(state):
        raise UsageError(f"$XDG_STATE_HOME is {state!r}; it must be an absolute path")
    return Path(state, "mapreduce", "tracker")

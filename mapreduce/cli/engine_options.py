"""Which options have all commands that run a job in common, and what are they called?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import UsageError
from mapreduce.settings import PLACEMENTS, parse_size

if TYPE_CHECKING:
    from pathlib import Path

    from mapreduce.engines.hosts import HostAgents

OUTPUT_FORMATS = ("tsv", "csv", "jsonl", "parquet", "text", "raw")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run, and how much to say. None and False stand for: not asked."""

    workers: int | None
    memory: int | None
    split_size: int | None
    inline: bool
    fresh: bool
    json: bool
    quiet: bool
    verbosity: int
    reducers: int | None = None
    sort: bool = False
    output: Path | None = None
    output_format: str | None = None
    max_attempts: int | None = None
    task_timeout: float | None = None
    skip_bad_records: float | None = None
    incremental: bool = False
    placement: str | None = None
    replicas: int | None = None
    files: tuple[str, ...] = ()
    chaos: str | None = None
    trace: Path | None = None
    hosts: str | None = None
    listen: str | None = None
    ssh: str | None = None
    key: str | None = None
    tracker: str | None = None
    share: float | None = None
    agents: HostAgents | None = None  # begun already, for the engine

    @property
    def cluster(self) -> dict[str, Any]:
        """What an engine is told of hosts; empty if the job is to run on this one. Raises UsageError."""
        if self.tracker:
            return self._tracker()
        if self.share is not None:
            raise UsageError("--share is one of a tracker's workers; name that with --tracker")
        if not self.hosts and not self.listen:
            if self.ssh or self.key:
                raise UsageError("--ssh and --key are for other hosts; name these with --hosts, or use --listen")
            return {}
        if self.inline:
            raise UsageError("--inline runs in this process, and --hosts and --listen on others; leave one out")
        return {"hosts": self.hosts or (), "listen": self.listen or "", "ssh": self.ssh, "key": self.key}

    def _tracker(self) -> dict[str, Any]:
        asked = {
            "--hosts": self.hosts,
            "--listen": self.listen,
            "--inline": self.inline,
            "--chaos": self.chaos,
            "--trace": self.trace,
        }
        if wrong := [name for name, value in asked.items() if value]:
            raise UsageError(f"{' and '.join(wrong)} can't be had of a tracker; leave out either that or --tracker")
        return {"tracker": self.tracker, "key": self.key, "share": self.share}

    def settings(self) -> dict[str, Any]:
        """What the engine is asked for, by the engine's names."""
        asked = {
            "split_size": self.split_size,
            "reducers": self.reducers,
            "sort": self.sort or None,
            "fresh": self.fresh or None,
            "output_format": self.output_format,
            "max_attempts": self.max_attempts,
            "task_timeout_seconds": self.task_timeout,
            "skip_bad_records": self.skip_bad_records,
            "incremental": self.incremental or None,
            "placement": self.placement,
            "replicas": self.replicas,
            "files": self.files or None,
            "chaos": self.chaos,
        }
        return {name: value for name, value in asked.items() if value is not None}


class SizeType(click.ParamType[int]):
    """Bytes, written 64MB, 512MiB or 2G."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_size(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class CountType(click.ParamType[int]):
    """A whole number from 1 on."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            count = int(value)
        except ValueError:
            count = 0
        if count < 1:
            self.fail(f"{value!r} is not a whole number from 1 on", param, ctx)
        return count


POSITIVE = CountType()
SIZE = SizeType()

_COMMON = (
    click.option("--workers", type=POSITIVE, metavar="N", help="Worker processes. Default: the CPUs available."),
    click.option("--memory", type=SIZE, metavar="SIZE", help="Bound on each worker's memory. Default: 1G."),
    click.option(
        "--split-size", type=SIZE, metavar="SIZE", help="Input of a map task. Default: from the input's size."
    ),
    click.option("--inline", is_flag=True, help="Run in this process, one task at a time: for pdb."),
    click.option("--fresh", is_flag=True, help="Replace an output that exists."),
    click.option("--max-attempts", type=POSITIVE, metavar="N", help="Failures of a task that end the job. Default: 4."),
    click.option(
        "--task-timeout", type=float, metavar="S", help="Seconds without progress after which a task has failed: 600."
    ),
    click.option(
        "--skip-bad-records", type=float, metavar="RATIO", help="Skip records that map fails on, up to this share."
    ),
    click.option("--incremental", is_flag=True, help="Reuse the map outputs of earlier runs where input is unchanged."),
    click.option("--files", multiple=True, metavar="FILE", help="A file that the job opens; is sent along. Repeat it."),
    click.option(
        "--placement", type=click.Choice(PLACEMENTS), metavar="P", help="Of tasks on hosts: balance, locality, hybrid."
    ),
    click.option("--replicas", type=POSITIVE, metavar="K", help="Keep map outputs on K hosts. Default: 1, no copies."),
    click.option("--chaos", metavar="SEED[:FAULTS]", help="Injure the engine on purpose: 7:kill=0.05,stop=0.02."),
    click.option("--hosts", metavar="A,B:4,...", help="Run on these hosts, begun over ssh; @FILE has one a line."),
    click.option("--listen", metavar="ADDRESS", help="Let agents that were begun by hand join: HOST:PORT."),
    click.option("--tracker", metavar="ADDRESS", help="Give the job to the tracker that stays at HOST:PORT."),
    click.option("--share", type=float, metavar="W", help="Count as W jobs where the tracker shares fairly: 1."),
    click.option("--ssh", metavar="COMMAND", help="What reaches the hosts. Default: ssh."),
    click.option("--key", metavar="FILE", help="The cluster's key. Default: where `mapreduce keys` puts it."),
    click.option("--trace", metavar="FILE", help="Write Chrome trace events, for ui.perfetto.dev."),
    click.option("--json", is_flag=True, help="The summary as one JSON object: on stdout with -o, else on stderr."),
    click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors."),
    click.option("-v", "--verbose", "verbosity", count=True, help="Show the log; -vv everything, and tracebacks."),
)

_KEYED = (
    click.option("--reducers", type=POSITIVE, metavar="N", help="Parts of the output. Default: from the input's size."),
    click.option("--sort", is_flag=True, help="Sort the output by key, over all parts."),
)

_OUTPUT = (
    click.option("-o", "--output", metavar="DIR", help="Folder for the results."),
    click.option(
        "--output-format",
        type=click.Choice(OUTPUT_FORMATS),
        metavar="F",
        help="tsv, csv, jsonl or parquet; or, without tabs and escapes, text (lines) or raw (bytes).",
    ),
)


def with_engine_options(
    *, keyed: bool = False, output: bool = False, sort: bool = True, expect: str = "keyed"
) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a command: its function gets one argument `options: EngineOptions` for all of these.

    `keyed`: with --reducers, and with --sort unless that is False; `output`: with -o and --output-format; `expect`: the
    jobs that it runs, keyed ones or folds.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        keyed_options = _KEYED[: 2 if sort else 1] if keyed else ()
        chosen = (*(_OUTPUT if output else ()), *keyed_options, *_COMMON)

        @wraps(function)
        def called(**given: Any) -> Any:
            names = EngineOptions.__match_args__
            mine = {name: given.pop(name) for name in list(given) if name in names}
            for name in ("output", "trace"):
                if mine.get(name) is not None:
                    from pathlib import Path

                    mine[name] = Path(mine[name])
            options = EngineOptions(**mine)
            _set_up(options)
            with _agents_begun(options, expect) as options:
                return function(options=options, **given)

        wrapped: Any = called
        for option in reversed(chosen):
            wrapped = option(wrapped)
        return wrapped

    return decorate


@contextmanager
def _agents_begun(options: EngineOptions, expect: str) -> Iterator[EngineOptions]:
    """Begin agents on the hosts that are named before the engine is even loaded: an agent needs as long as that."""
    if not options.hosts or options.tracker or options.inline:
        yield options
        return
    from mapreduce.engines.hosts import ClusterOptions

    agents = ClusterOptions(**options.cluster, workers=options.workers, expect=expect).begin_agents()
    try:
        yield replace(options, agents=agents)
    finally:
        agents.close()


def _set_up(options: EngineOptions) -> None:
    from mapreduce.cli.messages import set_verbosity

    set_verbosity(options.verbosity)
    if options.verbosity or options.quiet:
        from mapreduce.logs import configure

        configure(options.verbosity, quiet=options.quiet)

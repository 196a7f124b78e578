"""What does `mapreduce simulate` do? Runs the real tracker against hosts that there are not, and says how it went."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mapreduce.cli.engine_options import POSITIVE, SIZE
from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import UsageError
from mapreduce.settings import PLACEMENTS

if TYPE_CHECKING:
    from mapreduce.simulate.faults import Faults
    from mapreduce.simulate.replay import PastJob
    from mapreduce.simulate.simulation import Scenario
    from mapreduce.simulate.workload import Workload

PRESETS = ("osdi-sort", "osdi-sort-no-backups", "osdi-sort-killed", "million")
BACKUPS = ("off", "stalled", "slow")
MAPS, REDUCES, MAP_SECONDS, REDUCE_SECONDS, HOSTS = 1000, 50, "lognormal:10:0.4", "lognormal:30:0.2", (100,)
HOSTS_OF_PAST_JOB = (1, 2, 4, 8, 16)
MAP_BYTES = 64 * 10**6
NETWORK_OPTIONS = ("bandwidth", "latency", "oversubscription", "map_bytes", "shuffle_bytes", "placement", "replicas")
WORKLOAD_OPTIONS = ("maps", "reduces", "fold", "map_seconds", "reduce_seconds")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """The options, as they were given; None and () stand for: not asked."""

    maps: int | None
    reduces: int | None
    fold: bool
    map_seconds: str | None
    reduce_seconds: str | None
    hosts: str | None
    slots: int | None
    seed: int
    crash: tuple[str, ...]
    stragglers: tuple[str, ...]
    slow_disks: tuple[str, ...]
    partition: tuple[str, ...]
    stop: tuple[str, ...]
    lost_outputs: str | None
    repair: str | None
    notice: float | None
    backups: str | None
    bandwidth: str | None
    latency: str | None
    oversubscription: float | None
    map_bytes: int | None
    shuffle_bytes: int | None
    placement: str | None
    replicas: int | None

    def given(self, *names: str) -> list[str]:
        """Those of the options that were given, as they are written."""
        return ["--" + name.replace("_", "-") for name in names if getattr(self, name) not in (None, (), False)]


@click.command("simulate", short_help="Try a job on hosts that you don't have.")
@click.option("--from", "past", metavar="DIR", help="Replay the measured tasks of the job that wrote this output.")
@click.option("--preset", type=click.Choice(PRESETS), metavar="NAME", help=f"A known scenario: {', '.join(PRESETS)}.")
@click.option("--hosts", metavar="N[,N...]", help="Hosts; several numbers give a table. Default: 100.")
@click.option("--slots", type=POSITIVE, metavar="K", help="Workers a host. Default: 1.")
@click.option("--maps", type=POSITIVE, metavar="N", help=f"Map tasks. Default: {MAPS}.")
@click.option("--reduces", type=click.IntRange(0), metavar="N", help=f"Reduce tasks, 0: none. Default: {REDUCES}.")
@click.option("--fold", is_flag=True, help="Reduce in a tree, as folds do.")
@click.option("--map-seconds", metavar="TIME", help="10, uniform:5:15, lognormal:10:0.5 (median, sigma) ...")
@click.option("--reduce-seconds", metavar="TIME", help="The same, of a reduce task.")
@click.option("--stragglers", multiple=True, metavar="SHARE:FACTOR", help="Slow hosts: 0.02:10, or 5:10 for five.")
@click.option("--slow-disks", multiple=True, metavar="SHARE:FACTOR", help="Hosts whose disk is slow.")
@click.option("--crash", multiple=True, metavar="RATE|COUNT@S", help="Crashes a host and hour, or 200@300: at 300 s.")
@click.option("--partition", multiple=True, metavar="COUNT@S+S", help="Cut the network to hosts: 50@100+30.")
@click.option("--stop", multiple=True, metavar="COUNT@S+S", help="Hosts stand still and go on.")
@click.option("--lost-outputs", metavar="RATIO", help="Share of the outputs between stages that can't be read.")
@click.option("--repair", metavar="S", help="Seconds until a crashed host is back, or never. Default: 60.")
@click.option("--notice", type=click.FloatRange(0), metavar="S", help="Seconds until a loss is noticed. Default: 10.")
@click.option("--backups", type=click.Choice(BACKUPS), help="Which attempts get a second one. Default: slow.")
@click.option("--bandwidth", metavar="RATE", help="Of each host's link: 1Gbit, 200Mbit. Default: as much as it takes.")
@click.option("--latency", metavar="TIME", help="From host to host: 0.5ms. Default: 0.")
@click.option(
    "--oversubscription", type=click.FloatRange(1), metavar="N", help="All links together carry N times the core."
)
@click.option("--map-bytes", type=SIZE, metavar="SIZE", help="Input of a map task. Default: 64MB.")
@click.option("--shuffle-bytes", type=SIZE, metavar="SIZE", help="What a map passes on. Default: as much as it reads.")
@click.option("--placement", type=click.Choice(PLACEMENTS), metavar="P", help="balance, locality or hybrid (default).")
@click.option("--replicas", type=POSITIVE, metavar="K", help="Hosts that have each map's input. Default: 1.")
@click.option("--seed", type=int, default=1, metavar="N", help="Same seed, same run. Default: 1.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def simulate_command(past: str | None, preset: str | None, as_json: bool, **options: Any) -> None:
    """Run the real tracker against simulated hosts on a virtual clock: how long, what was wasted, what did backups do?

    \b
    mapreduce simulate --from counts/ --hosts 1,2,4,8,16
    mapreduce simulate --maps 20000 --hosts 500 --crash 0.1 --stragglers 0.02:10
    mapreduce simulate --preset osdi-sort-killed
    mapreduce simulate --hosts 20 --bandwidth 200Mbit --latency 0.5ms --placement locality
    """
    asked = Asked(**options)
    if past is not None and preset is not None:
        raise UsageError("--from replays a job, --preset has one of its own; give one of them")
    job = _past_job(past) if past is not None else None
    numbers = _numbers(asked.hosts) if asked.hosts is not None else HOSTS if job is None else HOSTS_OF_PAST_JOB
    if preset is not None:
        scenarios = _preset_scenarios(preset, asked, numbers)
    else:
        scenarios = [_scenario(asked, job, hosts) for hosts in numbers]
    _tell(scenarios, job, as_json=as_json)


def _past_job(folder: str) -> PastJob:
    from mapreduce.report.events import read_events
    from mapreduce.simulate.replay import past_job

    log = read_events(Path(folder))
    if log.last.head.number < len(log.runs):  # a resumed job counts its runs, a command of several jobs doesn't
        click.echo(f"{folder} holds {len(log.runs)} runs; this is about the last one", err=True)
    return past_job(log.last)


def _preset_scenarios(name: str, asked: Asked, numbers: Iterable[int]) -> list[Scenario]:
    from mapreduce.simulate.presets import preset

    others = [field for field in Asked.__match_args__ if field not in ("hosts", "seed", *NETWORK_OPTIONS)]
    if unfit := asked.given(*others):
        raise UsageError(f"{unfit[0]} does not go with --preset, which takes --hosts, --seed and those of the network")
    chosen: tuple[int | None, ...] = (None,) if asked.hosts is None else tuple(numbers)
    return [_with_network(asked, preset(name, hosts=hosts, seed=asked.seed)) for hosts in chosen]


def _with_network(asked: Asked, scenario: Scenario) -> Scenario:
    """The scenario on the network that was asked for, if one was."""
    from mapreduce.simulate.network import Links, parse_latency, parse_rate
    from mapreduce.tracker.placement import Placement

    if asked.bandwidth is None:
        if unfit := asked.given(*NETWORK_OPTIONS):
            raise UsageError(f"{unfit[0]} needs a network; give it one with --bandwidth 1Gbit")
        return scenario
    rate = _parsed("--bandwidth", parse_rate, asked.bandwidth)
    latency = _parsed("--latency", parse_latency, asked.latency or "0s")
    workload = scenario.workload
    if asked.map_bytes or asked.shuffle_bytes or not workload.work[0].bytes:
        map_bytes = asked.map_bytes or MAP_BYTES
        workload = workload.reading(map_bytes, asked.shuffle_bytes or map_bytes)
    return replace(
        scenario,
        workload=workload,
        links=Links(rate, latency, asked.oversubscription or 1.0),
        placement=Placement(asked.placement or "hybrid"),
        replicas=asked.replicas or 1,
    )


def _scenario(asked: Asked, job: PastJob | None, hosts: int) -> Scenario:
    from mapreduce.simulate.simulation import Scenario
    from mapreduce.tracker.policy import Backups, Policy

    if job is not None and (unfit := asked.given(*WORKLOAD_OPTIONS)):
        raise UsageError(f"{unfit[0]} does not go with --from: the tasks are those of the past job")
    backups = Backups(asked.backups or ("slow" if job is None else "stalled"))
    scenario = Scenario(
        _workload(asked) if job is None else job.workload,
        hosts,
        asked.slots or 1,
        _faults(asked, hosts),
        Policy(backups=backups),
        asked.seed,
    )
    return _with_network(asked, scenario)


def _workload(asked: Asked) -> Workload:
    from mapreduce.simulate.workload import fold_workload, keyed_workload, parse_times

    map_times = _parsed("--map-seconds", parse_times, asked.map_seconds or MAP_SECONDS)
    reduce_times = _parsed("--reduce-seconds", parse_times, asked.reduce_seconds or REDUCE_SECONDS)
    maps = asked.maps or MAPS
    if asked.fold:
        if asked.reduces is not None:
            raise UsageError("--reduces does not go with --fold: a fold's tree follows from its maps")
        return fold_workload(maps, map_times, reduce_times)
    return keyed_workload(maps, REDUCES if asked.reduces is None else asked.reduces, map_times, reduce_times)


def _faults(asked: Asked, hosts: int) -> Faults:
    from mapreduce.simulate import faults

    crashes = [_parsed("--crash", faults.parse_crash, text) for text in asked.crash]
    slow = [_parsed("--stragglers", faults.parse_slow, text) for text in asked.stragglers]
    slow += [replace(_parsed("--slow-disks", faults.parse_slow, text), disk_only=True) for text in asked.slow_disks]
    default = faults.Faults()
    return faults.Faults(
        slow=tuple(each.on(hosts) for each in slow),
        crash_rate=sum(each for each in crashes if isinstance(each, float)),
        crashes=tuple(each for each in crashes if isinstance(each, faults.Blow)),
        partitions=tuple(_parsed("--partition", faults.parse_blow, text) for text in asked.partition),
        stops=tuple(_parsed("--stop", faults.parse_blow, text) for text in asked.stop),
        lost_outputs=_parsed("--lost-outputs", faults.parse_ratio, asked.lost_outputs or "0"),
        repair_seconds=default.repair_seconds if asked.repair is None else _repair(asked.repair),
        notice_seconds=default.notice_seconds if asked.notice is None else asked.notice,
    )


def _repair(text: str) -> float:
    if text == "never":
        return math.inf
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds < math.inf:
        return seconds
    raise UsageError(f"--repair: {text!r} is no time; write seconds from 0 on, or never")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if numbers and min(numbers) > 0 and list(numbers) == sorted(set(numbers)):
        return numbers
    raise UsageError(f"--hosts: {text!r} is no number of hosts; write 100, or several in order: 1,2,4,8")


def _parsed(option: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None


def _tell(scenarios: list[Scenario], job: PastJob | None, *, as_json: bool) -> None:
    from mapreduce.simulate.simulation import simulate
    from mapreduce.simulate.speedup import predictions, serial_seconds_of
    from mapreduce.simulate.tables import advice, as_json_object, describe, speedup_table

    runs = [simulate(scenario) for scenario in scenarios]
    serial = serial_seconds_of(job) if job is not None else 0.0
    table = []
    if job is not None or len(runs) > 1:
        work = job.task_seconds if job is not None else scenarios[0].task_seconds
        table = predictions(runs, work, serial)
    if as_json:
        click.echo(json.dumps(as_json_object(runs, table, job, serial), indent=2))
        return
    if job is not None:
        click.echo(_heading(job, serial))
    if not table:
        click.echo(describe(runs[0]))
        return
    click.echo(speedup_table(table))
    for line in (*_endings(runs), advice(table), _caveat(job, table[-1].workers)):
        if line:
            click.echo(line)


def _heading(job: PastJob, serial: float) -> str:
    from mapreduce.report.units import format_plural, format_seconds

    stages = ", ".join(format_plural(stage.tasks, f"{stage.name} task") for stage in job.plan.stages)
    text = f"{job.name}: {stages}; {format_seconds(job.task_seconds)} within tasks"
    if job.wall_seconds is None:
        return f"{text}; parts of it ran earlier, so what it took beyond its tasks is not known"
    took = f"{format_seconds(job.wall_seconds)} on {format_plural(job.workers, 'worker')}"
    return f"{text}; it took {took}, {format_seconds(serial)} of that beyond its tasks"


def _endings(runs: Iterable[Any]) -> Iterable[str]:
    """Of jobs that did not succeed."""
    return (f"On {run.hosts:,} hosts the job {run.outcome.value}: {run.reason}" for run in runs if not run.succeeded)


def _caveat(job: PastJob | None, workers: int) -> str:
    if job is None or not job.cpus or workers <= job.cpus:
        return ""
    return f"The job was measured on {job.cpus} CPUs: rows with more workers than that hold for a larger machine."

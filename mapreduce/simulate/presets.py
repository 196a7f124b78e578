"""Which scenarios have a name? The sort of the MapReduce paper, and a million tasks.

The sort of section 5 of the paper (Dean and Ghemawat, OSDI 2004): 1 TB, 15,000 maps of 64 MB, 4,000 reduces of 250 MB,
1,746 workers. It took 891 s; without backups 1,283 s; with 200 workers killed after some minutes 933 s. What the model
takes from the paper, and what it does not:

    hosts, maps, reduces      the paper's
    a map, 17 s               the input is read at 13 GB/s over all hosts at the peak, 7.4 MB/s a host, and maps spend
                              half of their time writing (5.3): 64 MB / 7.4 MB/s x 2
    a map's own disk, 4.3 s   64 MB read and 64 MB written at 30 MB/s, a good disk's rate (3.6)
    a reduce, 205 s           CHOSEN so that the undisturbed run takes about the paper's 891 s
    of that fetching, 60 s    the first reduces end their shuffle some 100 s after the last map and write from then on;
                              here none begins before the last map is done
    a reduce's own disk       650 MB at 30 MB/s, 22 s. At least 500 (its result, and the copy of another's), with an
                              external sort a thousand. CHOSEN within these bounds, and it alone decides about the 1.44:
                              500 MB give 1.25, 750 give 1.54
    slow hosts                five with a bad disk, that reads and writes at 1 MB/s instead of 30 (3.6): in 5.4 all but
                              five reduces are done after 960 s, and these take 300 s more
    tasks differ              lognormal with sigma 0.1: an assumption; equal tasks would end in three waves
    killed                    200 workers after 300 s ("several minutes"); what maps had left there is lost, and new
                              processes start on the same hosts at once (5.5). Killed at another time between 240
                              and 420 s it is 1.06 to 1.13: here a reduce whose input is lost starts again, there it
                              waits for the map's second run
    start-up, 41 s            writes end at 850 s (5.3), the whole takes 891 s
"""

from __future__ import annotations

from collections.abc import Callable

from mapreduce.dataclass import replace
from mapreduce.errors import UsageError, near
from mapreduce.simulate.faults import Blow, Faults, Slow
from mapreduce.simulate.simulation import Scenario
from mapreduce.simulate.workload import Lognormal, StageWork, Workload, keyed_workload
from mapreduce.tracker.plan import plan_keyed
from mapreduce.tracker.policy import Backups, Policy

OSDI_HOSTS = 1746
MAP_MB, GOOD_DISK, BAD_DISK = 64.0, 30.0, 1.0  # the disks in MB/s
MAP_SECONDS = 2 * MAP_MB / 7.4
MAP_DISK_SECONDS = 2 * MAP_MB / GOOD_DISK
REDUCE_SECONDS, FETCH_SECONDS = 205.0, 60.0
REDUCE_DISK_SECONDS = 650.0 / GOOD_DISK
SIGMA = 0.1
BAD_HOSTS = 5
STARTUP_SECONDS = 41.0
KILLED, KILLED_AT = 200, 300.0

PAPER_SECONDS = {"osdi-sort": 891.0, "osdi-sort-no-backups": 1283.0, "osdi-sort-killed": 933.0}
"""What the paper measured."""


def osdi_sort(hosts: int = OSDI_HOSTS, backups: Backups = Backups.SLOW, seed: int = 1) -> Scenario:
    """The sort of 1 TB; with fewer hosts as many fewer tasks and bad hosts."""
    share = hosts / OSDI_HOSTS
    work = (
        StageWork(Lognormal(MAP_SECONDS, SIGMA), disk=MAP_DISK_SECONDS / MAP_SECONDS, bytes=MAP_MB * 1e6),
        StageWork(
            Lognormal(REDUCE_SECONDS, SIGMA),
            fetch=FETCH_SECONDS / REDUCE_SECONDS,
            disk=REDUCE_DISK_SECONDS / REDUCE_SECONDS,
            bytes=MAP_MB * 1e6 * 15_000 / 4_000,
        ),
    )
    slow = Slow(max(1, round(BAD_HOSTS * share)), GOOD_DISK / BAD_DISK, disk_only=True)
    return Scenario(
        Workload(plan_keyed(round(15_000 * share), round(4_000 * share)), work),
        hosts,
        faults=Faults(slow=(slow,), repair_seconds=0.0, notice_seconds=0.0),
        policy=Policy(backups=backups),
        seed=seed,
        startup_seconds=STARTUP_SECONDS,
    )


def osdi_sort_no_backups(hosts: int = OSDI_HOSTS, seed: int = 1) -> Scenario:
    """The same, and slow attempts are waited for."""
    return osdi_sort(hosts, Backups.OFF, seed)


def osdi_sort_killed(hosts: int = OSDI_HOSTS, seed: int = 1) -> Scenario:
    """The same with backups, and more than a tenth of the workers killed on the way."""
    scenario = osdi_sort(hosts, seed=seed)
    blow = Blow(round(KILLED * hosts / OSDI_HOSTS), KILLED_AT)
    return replace(scenario, faults=replace(scenario.faults, crashes=(blow,)))


def million(hosts: int = 10_000, seed: int = 1) -> Scenario:
    """A million maps of about ten seconds and half as many reduces as hosts; a host crashes every eight days, one in
    two hundred is five times slower, and one output in a hundred thousand cannot be read."""
    faults = Faults(slow=(Slow(hosts // 200, 5.0),), crash_rate=0.005, lost_outputs=1e-5)
    work = keyed_workload(100 * hosts, hosts // 2, Lognormal(10, 0.4), Lognormal(60, 0.2))
    return Scenario(work, hosts, faults=faults, policy=Policy(backups=Backups.SLOW), seed=seed)


PRESETS: dict[str, Callable[..., Scenario]] = {
    "osdi-sort": osdi_sort,
    "osdi-sort-no-backups": osdi_sort_no_backups,
    "osdi-sort-killed": osdi_sort_killed,
    "million": million,
}


def preset(name: str, *, hosts: int | None = None, seed: int = 1) -> Scenario:
    """The scenario of that name. Raises UsageError."""
    if name not in PRESETS:
        raise UsageError(f"no preset {name!r}; {near(name, list(PRESETS))}")
    make = PRESETS[name]
    return make(seed=seed) if hosts is None else make(hosts=hosts, seed=seed)

"""How many workers should a job have? Its tasks, as they were measured, on other numbers of workers.

Amdahl's curve knows one figure, the share of the work that is parallel. The simulation knows the tasks: that there are
so many and no more, that one is longer than the others, that reduces wait for the last map. What it adds to Amdahl is
what a table of workers usually hides.

Seconds that no task accounts for (planning, dispatch, commits) are serial: they are the same for any number of workers.
Each worker is taken to be as fast as those that were measured, with a core of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mapreduce.dataclass import dataclass, replace
from mapreduce.report.scaling import amdahl, measured_fraction
from mapreduce.simulate.replay import PastJob
from mapreduce.simulate.results import Simulated
from mapreduce.simulate.simulation import Scenario, simulate
from mapreduce.simulate.workload import measured_workload
from mapreduce.tracker.plan import Plan

WORTH_A_WORKER = 0.25
"""Another worker pays while it still does a quarter of what the first one does: an opinion, but one figure."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A job on `workers` workers. `speedup` is against one worker, `efficiency` that by worker; `amdahl` is the
    speed-up that the share of parallel work alone would allow."""

    workers: int
    seconds: float
    speedup: float
    efficiency: float
    amdahl: float
    wasted_share: float = 0.0


def predict_speedup(
    plan: Plan, seconds: Sequence[Sequence[float]], workers: Sequence[int], serial_seconds: float = 0.0
) -> list[Prediction]:
    """What a job whose tasks took so many `seconds`, by stage, takes on each number of workers, when nothing fails."""
    scenario = Scenario(measured_workload(plan, seconds), hosts=1)
    runs = [simulate(replace(scenario, hosts=count)) for count in workers]
    return predictions(runs, sum(map(sum, seconds)), serial_seconds)


def predictions(runs: Sequence[Simulated], task_seconds: float, serial_seconds: float) -> list[Prediction]:
    """Runs of one workload on clusters of several sizes, as a table of speed-ups."""
    alone = task_seconds + serial_seconds
    p = measured_fraction(task_seconds, serial_seconds) or 0.0
    table = []
    for run in runs:
        workers, seconds = run.hosts * run.slots, run.makespan + serial_seconds
        speedup = alone / seconds if seconds else 1.0
        table.append(Prediction(workers, seconds, speedup, speedup / workers, amdahl(p, workers), run.wasted_share))
    return table


def serial_seconds_of(job: PastJob) -> float:
    """What the job took beyond its tasks: measured, less the replay on as many workers. 0 where it is not known."""
    if job.wall_seconds is None:
        return 0.0
    return max(0.0, job.wall_seconds - simulate(Scenario(job.workload, hosts=job.workers)).makespan)


def last_that_pays(table: Sequence[Prediction]) -> Prediction | None:
    """The row after which more workers don't pay; None if all rows do. Needs rows in order of workers."""
    for few, many in pairwise(table):
        if many.workers > few.workers and many.speedup - few.speedup < WORTH_A_WORKER * (many.workers - few.workers):
            return few
    return None

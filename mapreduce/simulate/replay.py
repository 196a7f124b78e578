"""What did the tasks of a past job take? Its event log, as a workload to simulate on another number of workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapreduce.dataclass import dataclass
from mapreduce.errors import InputError
from mapreduce.simulate.workload import Workload, measured_workload
from mapreduce.tracker.plan import Needs, NeedsKind, Plan, Stage

if TYPE_CHECKING:
    from mapreduce.report.job_log import RunLog


@dataclass(frozen=True, slots=True)
class PastJob:
    """A job that was measured. `seconds` by stage and task; `wall_seconds` is what the job took on `workers` workers,
    None where earlier runs had done a part of it."""

    name: str
    plan: Plan
    seconds: tuple[tuple[float, ...], ...]
    workers: int
    cpus: int
    wall_seconds: float | None

    @property
    def workload(self) -> Workload:
        return measured_workload(self.plan, self.seconds)

    @property
    def task_seconds(self) -> float:
        return sum(map(sum, self.seconds))


def past_job(run: RunLog) -> PastJob:
    """The tasks of a run as they were measured. Raises InputError if some never finished."""
    from mapreduce.report.job_log import AttemptState

    head = run.head
    stages = tuple(Stage(stage.name, stage.tasks, _needs(stage.needs, stage.fan_in)) for stage in head.stages)
    seconds = [[-1.0] * stage.tasks for stage in stages]
    all_here = True
    for attempt in run.attempts:
        if attempt.state in (AttemptState.FINISHED, AttemptState.PAST):
            all_here = all_here and attempt.state is AttemptState.FINISHED
            seconds[attempt.stage][attempt.index] = attempt.figures.seconds
    missing = [f"{stage.name} {each.index(-1.0)}" for stage, each in zip(stages, seconds, strict=True) if -1.0 in each]
    if missing:
        raise InputError(
            f"the log of {head.job} has no time of {missing[0]}: the run {run.outcome}; run the job to its end"
        )
    if not any(map(any, seconds)):
        raise InputError(f"the log of {head.job} holds no task that took time; there is nothing to simulate")
    wall_seconds = run.seconds if all_here and run.outcome == "succeeded" else None
    return PastJob(head.job, Plan(stages), tuple(map(tuple, seconds)), max(1, head.workers), head.cpus, wall_seconds)


def _needs(kind: str, fan_in: int) -> Needs:
    return Needs(NeedsKind(kind), fan_in)

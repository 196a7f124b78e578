"""Which of the outputs that a journal tells of will do for a run that goes on?

A pure decision over the journal's events and what lies on disk. An output stands if it was committed, not lost since,
and is still there; or if it is gone, and all who needed it are done: then its counters still count. Stages are looked
at from the last to the first, because that says who is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mapreduce.dataclass import replace
from mapreduce.ids import TaskId
from mapreduce.tracker.events import AttemptFailed, AttemptFinished, Event, OutputLost, OutputMoved
from mapreduce.tracker.plan import NeedsKind, Plan

ATTEMPTS_A_RUN = 100
"""A run that goes on numbers its attempts from the next hundred. So they never write where an attempt of the run before
did, even if one of its workers was stopped and awakes only now."""


def standing(plan: Plan, events: Iterable[Event], is_there: Callable[[AttemptFinished], bool]) -> list[AttemptFinished]:
    """Of each task at most one event, in the journal's order. `is_there` looks for the output itself."""
    latest: dict[TaskId, AttemptFinished] = {}
    for event in events:
        if isinstance(event, AttemptFinished):
            if _is_planned(plan, event.attempt.task):
                latest.pop(event.attempt.task, None)  # the order is that of the last commits
                latest[event.attempt.task] = event
        elif isinstance(event, OutputLost):
            latest.pop(event.task, None)
        elif isinstance(event, OutputMoved):
            known = latest.get(event.attempt.task)
            if known is not None and known.attempt == event.attempt:
                latest[event.attempt.task] = at_path(known, event.path)
        elif isinstance(event, AttemptFailed):
            for task in event.failure.lost:
                latest.pop(task, None)
    done: list[set[int]] = [set() for _ in plan.stages]
    for task in sorted(latest, reverse=True):
        if is_there(latest[task]) or not _is_needed(plan, task, done):
            done[task.stage].add(task.index)
    return [event for task, event in latest.items() if task.index in done[task.stage]]


def at_path(event: AttemptFinished, path: str) -> AttemptFinished:
    """The same output, at another place."""
    return replace(event, result=replace(event.result, output=replace(event.result.output, path=path)))


def _is_planned(plan: Plan, task: TaskId) -> bool:
    return 0 <= task.stage < len(plan.stages) and 0 <= task.index < plan.stages[task.stage].tasks


def _is_needed(plan: Plan, task: TaskId, done: list[set[int]]) -> bool:
    """Whether a task of the next stage will read the output. `done` is right for the later stages."""
    after = task.stage + 1
    if after == len(plan.stages):
        return True
    stage = plan.stages[after]
    if stage.needs.kind is NeedsKind.GROUPS:
        return task.index // stage.needs.fan_in not in done[after]
    return stage.needs.kind is NeedsKind.ALL and len(done[after]) < stage.tasks

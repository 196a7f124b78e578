"""Which tasks has a job, and which must be done before which?

A plan is a short list of stages; a task is a number within its stage, and needs tasks of the stage before and of no
other. Three patterns cover all jobs, so a plan of a million tasks is a few words:

    keyed    map (none) -> reduce (all)                     every reduce reads a segment of every map
    sorted   sample (none) -> map (all) -> reduce (all)     the sample finds the ranges of the partitions
    fold     map (none) -> reduce-1 (groups of 32) -> ... -> reduce (one group: the one last task)

The tree of a fold depends on the number of maps alone, never on workers or time: that keeps the bits the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from mapreduce.dataclass import dataclass
from mapreduce.errors import InternalError
from mapreduce.ids import TaskId

FAN_IN = 32
"""Partials that one reduce task of a fold takes. 32 partials fit in memory even when each is some megabytes, and a
million maps still make only four levels."""


class NeedsKind(Enum):
    """Which tasks of the stage before a task waits for."""

    NONE = "none"
    ALL = "all"
    GROUPS = "groups"


@dataclass(frozen=True, slots=True)
class Needs:
    """`fan_in` counts only for GROUPS: task i waits for the tasks from i * fan_in up to (i + 1) * fan_in."""

    kind: NeedsKind
    fan_in: int = 0


NONE = Needs(NeedsKind.NONE)
ALL = Needs(NeedsKind.ALL)


def groups(fan_in: int) -> Needs:
    """Task i needs the tasks [i * fan_in, (i + 1) * fan_in) of the stage before. `fan_in` is at least 2."""
    if fan_in < 2:
        raise InternalError(f"a group of {fan_in} never shrinks to one task; fan_in must be at least 2")
    return Needs(NeedsKind.GROUPS, fan_in)


@dataclass(frozen=True, slots=True)
class Stage:
    """`tasks` tasks of one kind, numbered from 0."""

    name: str
    tasks: int
    needs: Needs = NONE


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages in order. The job is done when every task of the last stage is done."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not self.stages or self.stages[0].needs.kind is not NeedsKind.NONE:
            raise InternalError("a plan starts with a stage that needs nothing")
        for before, stage in zip(self.stages, self.stages[1:], strict=False):
            fan_in = stage.needs.fan_in
            if stage.needs.kind is NeedsKind.GROUPS and stage.tasks != max(1, -(-before.tasks // fan_in)):
                raise InternalError(
                    f"{stage.name} has {stage.tasks} tasks; {before.tasks} in groups of {fan_in} make another number"
                )

    @property
    def tasks(self) -> int:
        """Number of tasks over all stages."""
        return sum(stage.tasks for stage in self.stages)

    @property
    def last_stage(self) -> int:
        """Number of the stage whose outputs are the job's."""
        return len(self.stages) - 1

    def needed_indices(self, task: TaskId) -> range:
        """Indices, within the stage before, of the tasks that `task` waits for. Empty if it waits for none."""
        needs = self.stages[task.stage].needs
        if needs.kind is NeedsKind.NONE:
            return range(0)
        before = self.stages[task.stage - 1].tasks
        if needs.kind is NeedsKind.ALL:
            return range(before)
        return range(min(before, task.index * needs.fan_in), min(before, (task.index + 1) * needs.fan_in))

    def needs_of(self, task: TaskId) -> Iterator[TaskId]:
        """The tasks that must be done before `task` starts, in order."""
        return (TaskId(task.stage - 1, index) for index in self.needed_indices(task))

    def task_name(self, task: TaskId) -> str:
        """What people call the task: 'map 7', 'reduce 2'."""
        return f"{self.stages[task.stage].name} {task.index}"

    def describe(self) -> str:
        """The plan as text: a line for each task, or for a whole stage whose tasks all need the same."""
        lines: list[str] = []
        for number, stage in enumerate(self.stages):
            if stage.needs.kind is NeedsKind.GROUPS:
                tasks = [TaskId(number, index) for index in range(stage.tasks)]
                lines += [f"{self.task_name(task)}{self._arrow(task)}" for task in tasks]
            else:
                lines.append(f"{_span(stage.name, range(stage.tasks))}{self._arrow(TaskId(number, 0))}")
        return "\n".join(lines)

    def _arrow(self, task: TaskId) -> str:
        if self.stages[task.stage].needs.kind is NeedsKind.NONE:
            return ""
        return " -> " + _span(self.stages[task.stage - 1].name, self.needed_indices(task))


def _span(name: str, indices: range) -> str:
    if not indices:
        return f"{name} (no tasks)"
    return f"{name} {indices[0]}" if len(indices) == 1 else f"{name} {indices[0]}..{indices[-1]}"


def plan_keyed(maps: int, reduces: int, sample: int = 0) -> Plan:
    """Maps, then reduces that each need all maps; with `sample` > 0, as many sampling tasks first."""
    tail = (Stage("map", maps, ALL if sample else NONE), Stage("reduce", reduces, ALL))
    return Plan((Stage("sample", sample), *tail) if sample else tail)


def plan_map_only(maps: int) -> Plan:
    """Maps whose outputs are the job's."""
    return Plan((Stage("map", maps),))


def plan_fold(maps: int, fan_in: int = FAN_IN) -> Plan:
    """Maps, then levels of reduces of `fan_in` each, down to exactly one last reduce task, which also finishes.

    There is a last reduce task even for one map (it finishes) and for none (it makes the empty result).
    """
    stages = [Stage("map", maps)]
    while len(stages) == 1 or stages[-1].tasks > 1:
        tasks = max(1, -(-stages[-1].tasks // fan_in))
        name = "reduce" if tasks == 1 else f"reduce-{len(stages)}"
        stages.append(Stage(name, tasks, groups(fan_in)))
    return Plan(tuple(stages))

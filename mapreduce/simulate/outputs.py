"""Where does the output of each simulated task lie, and can it be read?

Of the last stage nothing is noted: the job's output lies in a file system that no host takes with it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from mapreduce.ids import TaskId
from mapreduce.simulate.cluster import Host
from mapreduce.tracker.plan import NeedsKind, Plan

MOST_NAMED = 1000
"""Lost outputs that one failed attempt names: enough for every loss but the largest, which takes a few attempts."""

_SHIFT = 40  # a task as one number: a million of these are 8 MB, as many tuples a hundred


class Outputs:
    """Outputs that others need."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._last = plan.last_stage
        self._hosts = [array("i", [-1]) * stage.tasks for stage in plan.stages[:-1]]
        self._missing: list[dict[int, None]] = [{} for _ in plan.stages]

    def commit(self, task: TaskId, host: Host) -> None:
        """The output lies on the host, and can be read."""
        stage, index = task
        if stage == self._last:
            return
        self._hosts[stage][index] = host.number
        host.outputs.append(stage << _SHIFT | index)
        if self._missing[stage]:
            self._missing[stage].pop(index, None)

    def lose(self, task: TaskId) -> None:
        """It cannot be read any more. Nobody knows until somebody tries."""
        if task.stage != self._last:
            self._missing[task.stage][task.index] = None

    def lose_all(self, host: Host) -> list[TaskId]:
        """None that lies on the host can be read; those that could until now."""
        lost = []
        for number in host.outputs:
            task = TaskId(number >> _SHIFT, number & ((1 << _SHIFT) - 1))
            if self._hosts[task.stage][task.index] == host.number and not self.is_missing(task):
                self.lose(task)
                lost.append(task)
        return lost

    def find_again(self, tasks: Iterable[TaskId]) -> None:
        """The host that they lie on is back with all that it had."""
        for task in tasks:
            self._missing[task.stage].pop(task.index, None)

    def is_missing(self, task: TaskId) -> bool:
        return task.index in self._missing[task.stage]

    def missing_for(self, task: TaskId) -> tuple[TaskId, ...]:
        """Which of the outputs that the task needs cannot be read; at most `MOST_NAMED`."""
        before = task.stage - 1
        missing = self._missing[before] if before >= 0 else {}
        if not missing:
            return ()
        if self._plan.stages[task.stage].needs.kind is NeedsKind.ALL:
            found = [index for index, _ in zip(missing, range(MOST_NAMED), strict=False)]
        else:
            found = [index for index in self._plan.needed_indices(task) if index in missing]
        return tuple(TaskId(before, index) for index in found)

"""What is a thing called? Names of tasks, attempts and workers, as values that sort, hash and print."""

from __future__ import annotations

from typing import NamedTuple, NewType

WorkerId = NewType("WorkerId", int)
"""A worker process of this engine. Numbers are never used again, so a replaced worker has a new one."""


class TaskId(NamedTuple):
    """A unit of the plan: `index` within `stage`. It exists once, however many attempts run."""

    stage: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs of a name

    def __str__(self) -> str:
        return f"{self.stage}:{self.index}"


class AttemptId(NamedTuple):
    """One execution of a task; `number` counts from 0."""

    task: TaskId
    number: int

    def __str__(self) -> str:
        return f"{self.task}#{self.number}"

"""What does the driver need of a job, beyond its plan? What its tasks are, and which events are kept, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from mapreduce.dataflow.results import Output
from mapreduce.ids import AttemptId, TaskId
from mapreduce.tracker.commands import Command, Commit, Relocate
from mapreduce.tracker.events import AttemptFailed, AttemptFinished, Event, OutputLost, OutputMoved


class JobWork(Protocol):
    """What the tasks of a job are, and what it means to commit one."""

    def spec(self, attempt: AttemptId, outputs: Mapping[TaskId, Output]) -> Any:
        """Describe the attempt to its worker. `outputs` are those of the tasks that it needs; read only, and now."""
        ...

    def commit(self, attempt: AttemptId, output: Output) -> None:
        """Make the output final. Twice is harmless."""
        ...

    def discard(self, attempt: AttemptId, output: Output) -> None:
        """Remove what an attempt left that nobody needs. Twice is harmless."""
        ...


class Journal(Protocol):
    """Takes the events that must survive this process, see `is_kept`; those synced, a loss of power too."""

    def append(self, event: Event) -> None: ...

    def sync(self) -> None: ...


def is_kept(event: Event, commands: Iterable[Command]) -> bool:
    """Whether an event belongs in the journal, given what the tracker answered."""
    if isinstance(event, AttemptFinished):
        return any(isinstance(command, Commit) for command in commands)
    if isinstance(event, OutputMoved):
        return any(isinstance(command, Relocate) for command in commands)
    return isinstance(event, OutputLost) or (isinstance(event, AttemptFailed) and bool(event.failure.lost))

"""What does the driver need of a job, beyond its plan? What its tasks are, and where events are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from mapreduce.dataflow.results import Output
from mapreduce.ids import AttemptId, TaskId
from mapreduce.tracker.events import Event


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
    """Takes the events that must survive this process, see `journal.is_kept`; those synced, a loss of power too."""

    def append(self, event: Event) -> None: ...

    def sync(self) -> None: ...

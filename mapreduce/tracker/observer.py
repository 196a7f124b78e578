"""Who may watch a job? Anyone who is an Observer: progress, history, logs. Watching never changes what happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mapreduce.tracker.executor import WorkerSample as WorkerSample  # part of this interface

if TYPE_CHECKING:
    from mapreduce.ids import AttemptId, WorkerId
    from mapreduce.tracker.commands import Command
    from mapreduce.tracker.events import Event
    from mapreduce.tracker.outcome import JobOutcome
    from mapreduce.tracker.plan import Plan


class Observer:
    """Override what you want to see. All calls come from the driver's thread, between its waits: be quick.

    `time` is of the driver's clock, the same as in the events.
    """

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        """First call. `workers` is how many the engine means to use."""

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        """The tracker was told this and wanted that."""

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        """Newest samples of the busy workers, a few times a second."""

    def logged(self, worker: WorkerId, attempt: AttemptId | None, text: str) -> None:
        """Whole lines that a worker printed or logged."""

    def finished(self, outcome: JobOutcome) -> None:
        """Last call, however the job ended."""


class Observers(Observer):
    """Several as one, called in order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        for observer in self._observers:
            observer.started(plan, input_bytes, workers, time)

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        for observer in self._observers:
            observer.handled(event, commands)

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        for observer in self._observers:
            observer.sampled(samples)

    def logged(self, worker: WorkerId, attempt: AttemptId | None, text: str) -> None:
        for observer in self._observers:
            observer.logged(worker, attempt, text)

    def finished(self, outcome: JobOutcome) -> None:
        for observer in self._observers:
            observer.finished(outcome)

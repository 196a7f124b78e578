"""Who may watch a job? Anyone who is an Observer: progress, history, logs. Watching never changes what happens."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mapreduce.tracker.executor import WorkerSample as WorkerSample  # part of this interface

if TYPE_CHECKING:
    from mapreduce.ids import AttemptId, WorkerId
    from mapreduce.tracker.commands import Command
    from mapreduce.tracker.events import Event
    from mapreduce.tracker.outcome import JobOutcome
    from mapreduce.tracker.plan import Plan

_log = logging.getLogger(__name__)


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
    """Several as one, called in order. One that raises is told no more, and the log says why; the others are."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        for observer in self._observers:
            try:
                observer.started(plan, input_bytes, workers, time)
            except Exception as error:
                self._drop(observer, error)

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        for observer in self._observers:
            try:
                observer.handled(event, commands)
            except Exception as error:
                self._drop(observer, error)

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        for observer in self._observers:
            try:
                observer.sampled(samples)
            except Exception as error:
                self._drop(observer, error)

    def logged(self, worker: WorkerId, attempt: AttemptId | None, text: str) -> None:
        for observer in self._observers:
            try:
                observer.logged(worker, attempt, text)
            except Exception as error:
                self._drop(observer, error)

    def finished(self, outcome: JobOutcome) -> None:
        for observer in self._observers:
            try:
                observer.finished(outcome)
            except Exception as error:
                self._drop(observer, error)

    def _drop(self, observer: Observer, error: Exception) -> None:
        self._observers = tuple(other for other in self._observers if other is not observer)
        _log.warning("%s of this job failed and is off: %r", type(observer).__name__, error, exc_info=error)

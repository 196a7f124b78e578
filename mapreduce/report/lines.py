"""What does a person read of a running job where there is no terminal? A plain line at times, and at stage ends.

No dependency beyond the standard library: a small job in a pipe must not wait for rich.
"""

from __future__ import annotations

import time as clocks
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from mapreduce.report.progress import Figures, Progress, StageFigures, headline
from mapreduce.report.units import format_bytes, format_count, format_plural, format_seconds
from mapreduce.settings import Settings
from mapreduce.tracker.commands import NoteFailure, StartAttempt
from mapreduce.tracker.events import WorkerLost
from mapreduce.tracker.observer import Observer, WorkerSample

if TYPE_CHECKING:
    from mapreduce.ids import AttemptId, WorkerId
    from mapreduce.tracker.commands import Command
    from mapreduce.tracker.events import Event
    from mapreduce.tracker.outcome import JobOutcome
    from mapreduce.tracker.plan import Plan

LINE_SECONDS = 5.0
"""Between two lines while a stage runs: a log of an hour's job stays readable."""


FAILURES_REMEMBERED = 1_000


class LineReporter(Observer):
    """Writes progress to `stream`. Stages that end within `quiet_seconds` of the start get no line of their own."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = clocks.monotonic,
        line_seconds: float = LINE_SECONDS,
        quiet_seconds: float = 1.0,
        max_attempts: int = Settings().max_attempts,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._line_seconds = line_seconds
        self._quiet_seconds = quiet_seconds
        self._max_attempts = max_attempts
        self._progress: Progress | None = None
        self._offset = 0.0
        self._last_line = 0.0
        self._stages_told = 0
        self._failures_told: set[str] = set()

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        self._progress = Progress(plan, input_bytes, workers, time)
        self._offset = time - self._clock()
        self._last_line = time
        self._stages_told = 0

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        progress = self._progress
        if progress is None:
            return
        progress.handle(event, commands)
        if isinstance(event, WorkerLost) and not event.withdrawn and progress.last_failure is not None:
            self._tell_failure(progress.last_failure, 0)
        else:
            self._tell_failures(progress, commands)
        self._tell_ended_stages(progress, event.time)
        self._tell_progress(progress, event.time)

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        if self._progress is not None:
            self._progress.sample(samples)
            self._tell_progress(self._progress, self._clock() + self._offset)

    def logged(self, worker: WorkerId, attempt: AttemptId | None, text: str) -> None:
        name = self._progress.task_name(attempt.task) if self._progress and attempt else f"worker {worker}"
        for line in text.splitlines():
            self._write(f"[{name}] {line}")

    def finished(self, outcome: JobOutcome) -> None:
        self._progress = None

    def _tell_ended_stages(self, progress: Progress, time: float) -> None:
        while self._stages_told < len(progress.stages) and progress.stages[self._stages_told].ended is not None:
            stage = progress.figures(time).stages[self._stages_told]
            self._stages_told += 1
            if time - progress.started >= self._quiet_seconds:
                self._write(
                    f"{stage.name}: {format_plural(stage.tasks, 'task')} done in {format_seconds(stage.seconds)}"
                )
                self._last_line = time

    def _tell_failures(self, progress: Progress, commands: Sequence[Command]) -> None:
        for command in commands:
            # what is not tried again ends the job, which says it anyway
            if isinstance(command, NoteFailure) and command.failure.kind.retryable:
                task = command.attempt.task
                what = f"{progress.task_name(task)}: {headline(command.failure)}"
                self._tell_failure(what, progress.failures[task])
            elif isinstance(command, StartAttempt) and command.backup:
                name = progress.task_name(command.attempt.task)
                self._write(f"{name} stands still: another attempt runs on worker {command.worker}")

    def _tell_failure(self, failure: str, times: int) -> None:
        """The same failure once more (a task that is tried again) is told in a word, and how often it may be."""
        what, _, why = failure.partition(": ")
        if what.startswith("worker "):
            self._write(failure)
            return
        again = f"{what} failed again ({times} of {self._max_attempts} times)"
        self._write(again if failure in self._failures_told else f"{what} failed: {why}")
        if len(self._failures_told) < FAILURES_REMEMBERED:
            self._failures_told.add(failure)

    def _tell_progress(self, progress: Progress, time: float) -> None:
        if time - self._last_line >= self._line_seconds and progress.current_stage >= self._stages_told:
            self._last_line = time
            self._write(progress_line(progress.figures(time), progress.current_stage))

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def progress_line(figures: Figures, number: int) -> str:
    """'map 45 %: 14 of 32 tasks, 320 MB, 120 MB/s, 1.2 M records/s, 8.1 s left, 1 failed attempt'."""
    stage = figures.stages[number]
    parts = [f"{stage.done:,} of {format_plural(stage.tasks, 'task')}"]
    if figures.bytes_in:
        parts.append(format_bytes(figures.bytes_in))
    parts += rate_parts(figures)
    parts += left_part(stage)
    parts += failure_parts(figures)
    return f"{stage.name} {stage.fraction * 100:.0f} %: " + ", ".join(parts)


def rate_parts(figures: Figures) -> list[str]:
    parts = []
    if figures.bytes_per_second:
        parts.append(f"{format_bytes(figures.bytes_per_second)}/s")
    if figures.records_per_second:
        parts.append(f"{format_count(figures.records_per_second)} records/s")
    return parts


def left_part(stage: StageFigures) -> list[str]:
    return [] if not stage.seconds_left else [f"{format_seconds(stage.seconds_left)} left"]


def failure_parts(figures: Figures) -> list[str]:
    parts = []
    if figures.failed_attempts:
        parts.append(format_plural(figures.failed_attempts, "failed attempt"))
    if figures.lost_workers:
        parts.append(format_plural(figures.lost_workers, "lost worker"))
    return parts

"""What does a person see of a running job on a terminal? One view that is drawn anew at most five times a second.

rich is loaded only once a job has lasted a moment: one that ends before needs no view. There is no drawing thread,
because workers may be forked at any time: the view is drawn when the driver calls.
"""

from __future__ import annotations

import time as clocks
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mapreduce.report.lines import failure_parts, left_part, rate_parts
from mapreduce.report.progress import Figures, Progress
from mapreduce.report.units import format_bytes, format_count, format_seconds
from mapreduce.tracker.observer import Observer, WorkerSample

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from mapreduce.ids import AttemptId, WorkerId
    from mapreduce.tracker.commands import Command
    from mapreduce.tracker.events import Event
    from mapreduce.tracker.outcome import JobOutcome
    from mapreduce.tracker.plan import Plan

FIRST_DRAW_SECONDS = 0.4
DRAW_SECONDS = 0.2
BAR_WIDTH = 32
WORKERS_SHOWN = 8


class LiveView(Observer):
    """Draws on `make_console()`, by default the terminal of stderr. `close` leaves the terminal as it was."""

    def __init__(
        self, clock: Callable[[], float] = clocks.monotonic, make_console: Callable[[], Console] | None = None
    ) -> None:
        self._clock = clock
        self._make_console = make_console or _stderr_console
        self._progress: Progress | None = None
        self._live: Live | None = None
        self._offset = 0.0
        self._next_draw = 0.0

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        self._progress = Progress(plan, input_bytes, workers, time)
        now = self._clock()
        self._offset = time - now
        self._next_draw = max(self._next_draw, now + (DRAW_SECONDS if self._live else FIRST_DRAW_SECONDS))

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        if self._progress is not None:
            self._progress.handle(event, commands)
            self._draw_if_due()

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        if self._progress is not None:
            self._progress.sample(samples)
            self._draw_if_due()

    def logged(self, worker: WorkerId, attempt: AttemptId | None, text: str) -> None:
        name = self._progress.task_name(attempt.task) if self._progress and attempt else f"worker {worker}"
        lines = "\n".join(f"[{name}] {line}" for line in text.splitlines())
        if self._live is None:
            self._start()
        assert self._live is not None
        self._live.console.print(lines, markup=False, highlight=False)

    def finished(self, outcome: JobOutcome) -> None:
        self._progress = None  # the view stays until `close`: a fit runs many jobs

    def close(self) -> None:
        """Remove the view. A second call is harmless."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._progress = None

    def _draw_if_due(self) -> None:
        now = self._clock()
        if self._progress is None or now < self._next_draw:
            return
        self._next_draw = now + DRAW_SECONDS
        if self._live is None:
            self._start()
        assert self._live is not None
        self._live.update(draw(self._progress.figures(now + self._offset)), refresh=True)

    def _start(self) -> None:
        from rich.live import Live

        self._live = Live(console=self._make_console(), auto_refresh=False, transient=True, redirect_stdout=False)
        self._live.start()


def draw(figures: Figures) -> RenderableType:
    """The view of one moment."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [_stages_table(figures), Text(_totals_line(figures), no_wrap=True, overflow="ellipsis")]
    if figures.workers:
        parts.append(_workers_table(figures))
    if figures.last_failure is not None:
        words = ", ".join(failure_parts(figures))
        parts.append(Text(f"{words}; last: {figures.last_failure}", style="red", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _stages_table(figures: Figures) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for stage in figures.stages:
        table.add_row(
            stage.name,
            ProgressBar(1.0, stage.fraction, BAR_WIDTH, complete_style="cyan", finished_style="green"),
            f"{stage.fraction * 100:3.0f} %",
            f"{stage.done:,}/{stage.tasks:,}",
            f"{stage.running} running" if stage.running else "",
            format_seconds(stage.seconds) if stage.seconds else "",
            *(left_part(stage) or [""]),
        )
    return table


def _totals_line(figures: Figures) -> str:
    amount = f"{format_bytes(figures.bytes_in)}, " if figures.bytes_in else ""
    read = f"read {amount}{format_count(figures.records_in)} records"
    return "  ".join([format_seconds(figures.seconds), read, *rate_parts(figures)])


def _workers_table(figures: Figures) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for sample in figures.workers[:WORKERS_SHOWN]:
        table.add_row(
            f"worker {sample.worker}",
            f"{sample.cpu_percent:3.0f} % CPU",
            format_bytes(sample.memory_bytes),
            sample.task or "waits",
            style="dim",
        )
    hidden = figures.workers[WORKERS_SHOWN:]
    if hidden:
        cpu = sum(sample.cpu_percent for sample in hidden)
        memory = format_bytes(sum(sample.memory_bytes for sample in hidden))
        table.add_row(f"{len(hidden)} more", f"{cpu:3.0f} % CPU", memory, "", style="dim")
    return table


def _stderr_console() -> Console:
    from rich.console import Console

    return Console(stderr=True)

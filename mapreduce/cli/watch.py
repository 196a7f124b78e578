"""Who shows a job while it runs, and what it came to? One observer for the view, one for the summary."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from mapreduce.cli.messages import say
from mapreduce.cli.trace_file import TraceFile
from mapreduce.engine import Engine, EngineKind
from mapreduce.engines.watching import HistoryEntry
from mapreduce.settings import Settings
from mapreduce.storage.paths import EVENTS
from mapreduce.tracker.observer import Observer, Observers

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from mapreduce.cli.engine_options import EngineOptions
    from mapreduce.dataset import Dataset
    from mapreduce.engines.hosts import HostAgents
    from mapreduce.engines.prepared import Prepared
    from mapreduce.engines.runs import Runs
    from mapreduce.job import Chain, Fold, Job
    from mapreduce.report.summary import JobSummary
    from mapreduce.result import Result
    from mapreduce.tracker.outcome import JobOutcome


class WatchedEngine(Engine):
    """An engine whose jobs are shown and summed up, with the command line's settings."""

    def __init__(self, options: EngineOptions, view: Observer) -> None:
        cluster = options.cluster
        kind: EngineKind = "cluster" if cluster else "inline" if options.inline else "local"
        kind = "local" if options.tracker else kind
        self._begun = options.agents
        super().__init__(kind, workers=options.workers, memory=options.memory, **cluster)
        self._settings = options.settings()
        self._quiet = options.quiet
        self._output = options.output
        self._history: HistoryEntry | None = None
        self._trace = None if options.trace is None else TraceFile(options.trace)
        self._outcomes = _Outcomes()
        self._watchers = Observers([view, self._outcomes])

    def run(
        self,
        job: Job | Fold | Chain,
        dataset: Dataset,
        *,
        output: str | Path | None = None,
        observer: Observer | None = None,
        **settings: Any,
    ) -> Result:
        watchers = self._watchers if observer is None else Observers([self._watchers, observer])
        return super().run(job, dataset, output=output, observer=watchers, **{**self._settings, **settings})

    def _begin_agents(self) -> HostAgents:
        return self._begun or super()._begin_agents()

    def _tell_log(self, line: str) -> None:
        if not self._quiet:
            say(line)

    def _make_runs(self) -> Runs:
        from mapreduce.cli.watched_runs import WatchedRuns

        return WatchedRuns(self.kind, trace=self._trace, enter=self._enter)

    def _enter(self, prepared: Prepared) -> Observer:
        """All that a command runs is one entry of the history."""
        if self._history is None:
            name = type(prepared.made_from.job).__name__
            self._history = HistoryEntry(name, ["mapreduce", *sys.argv[1:]], self._output, several=True)
        return self._history

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._history is not None and error is not None:
            self._history.end_by(error)
        super().__exit__(kind, error, trace)

    def close(self) -> None:
        super().close()
        if self._history is not None:
            self._history.close()
        if self._trace is not None:
            self._trace.close()

    @property
    def summary(self) -> JobSummary | None:
        """Of all jobs so far together; None before the first has ended."""
        from mapreduce.report.summary import merge_summaries, summarise  # not needed before the first map

        return merge_summaries([summarise(outcome, self.workers) for outcome in self._outcomes.all])


class _Outcomes(Observer):
    """Keeps how the jobs ended, in order."""

    def __init__(self) -> None:
        self.all: list[JobOutcome] = []

    def finished(self, outcome: JobOutcome) -> None:
        self.all.append(outcome)


@contextmanager
def watched_engine(options: EngineOptions) -> Iterator[WatchedEngine]:
    """An engine to run jobs on; the view is gone and the workers have ended afterwards, whatever happens."""
    view = _make_view(options)
    # what an inline job prints is no result either
    stdout: AbstractContextManager[Any] = redirect_stdout(sys.stderr) if options.inline else nullcontext()
    engine: WatchedEngine | None = None
    try:
        with stdout, WatchedEngine(options, view) as engine:
            yield engine
    except BaseException:
        _close(view)
        if engine is not None:
            _tell_end(engine.summary, view, options)
        raise
    finally:
        _close(view)


def _close(view: Observer) -> None:
    close = getattr(view, "close", None)
    if close is not None:
        close()


def _tell_end(summary: JobSummary | None, view: Observer, options: EngineOptions) -> None:
    """Of jobs that did not succeed: to programs all figures, to people what failed, where the view that showed it is
    gone. Why it ended they are told by the error."""
    if summary is None or summary.outcome == "succeeded":
        return
    if options.json:
        tell_summary(summary, options, {"output": options.output})
    elif isinstance(view, _live_views()) and summary.failures:
        say(summary.failures_text(_events_of(options)))


def _live_views() -> tuple[type[Observer], ...]:
    """Views that leave nothing on the terminal."""
    live = sys.modules.get("mapreduce.report.live")
    return () if live is None else (live.LiveView,)


def _events_of(options: EngineOptions) -> str | None:
    """Where all that happened can be read, if it can."""
    events = None if options.output is None else options.output / EVENTS
    return str(events) if events is not None and events.exists() else None


def tell_summary(summary: JobSummary | None, options: EngineOptions, extra: dict[str, Any] | None = None) -> None:
    """Print the summary: as JSON on stdout where results went to files, else on stderr; as text unless quiet."""
    if options.json:
        page = {**(extra or {}), **(summary.to_json() if summary else {})}
        text = json.dumps(page, default=str)
        if options.output is not None:
            sys.stdout.write(text + "\n")
        else:
            say(text)
    elif summary is not None and not options.quiet:
        from mapreduce.report.summary import SCALING_FROM_SECONDS

        since = 0.0 if options.verbosity else SCALING_FROM_SECONDS
        say(summary.to_text(scaling_from_seconds=since, events=_events_of(options)))


def _make_view(options: EngineOptions) -> Observer:
    if options.quiet:
        return Observer()
    if sys.stderr.isatty() and not options.inline:  # inline is for pdb, which a view would overwrite
        from mapreduce.report.live import LiveView

        return LiveView()
    from mapreduce.report.lines import LineReporter

    return LineReporter(sys.stderr, max_attempts=options.max_attempts or Settings().max_attempts)

"""How are a command's jobs seen through? As any, but traced where asked for, and one entry in the history."""

from __future__ import annotations

from collections.abc import Callable

from mapreduce.cli.trace_file import TraceFile
from mapreduce.dataclass import dataclass
from mapreduce.engines.prepared import Prepared
from mapreduce.engines.runs import Runs
from mapreduce.tracker.observer import Observer, Observers


@dataclass(slots=True)
class WatchedRuns(Runs):
    """The jobs of one command. `enter` says who enters a job in the history."""

    trace: TraceFile | None = None
    enter: Callable[[Prepared], Observer] | None = None

    def watched(self, prepared: Prepared, observer: Observer) -> Observer:
        watched = Runs.watched(self, prepared, observer)
        return watched if self.trace is None else Observers([watched, self.trace.log_of(prepared)])

    def entry_of(self, prepared: Prepared) -> Observer | None:
        return self.enter(prepared) if self.enter is not None else Runs.entry_of(self, prepared)

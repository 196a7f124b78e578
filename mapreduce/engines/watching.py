"""Who watches a job apart from whom the caller names? Its event log, the log of its prints, and the user's history."""

from __future__ import annotations

import os
import time as clocks
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.job_work import JobWork
from mapreduce.ids import TaskId
from mapreduce.storage.history import JobEnded, job_began, job_ended
from mapreduce.storage.paths import EVENTS, LOG
from mapreduce.tracker.commands import OutcomeKind
from mapreduce.tracker.event_log import EventLog, InputPiece, JobDescription
from mapreduce.tracker.observer import Observer, Observers
from mapreduce.tracker.print_log import PrintLog

if TYPE_CHECKING:
    from mapreduce.engines.prepared import Prepared
    from mapreduce.tracker.outcome import JobOutcome
    from mapreduce.tracker.plan import Plan

OPTION_CHARS = 200


def with_logs(prepared: Prepared, observer: Observer, folder: Path | None, entry: Observer | None) -> Observer:
    """The caller's observer; with a `folder`, the logs in it, of what happens and of what workers print; and who enters
    the job in the history, if anybody does."""
    watching = [observer]
    if folder is not None:
        watching += [EventLog(folder / EVENTS, describe_job(prepared)), PrintLog(folder / LOG)]
    if entry is not None:
        watching.append(entry)
    return Observers(watching) if len(watching) > 1 else observer


class HistoryEntry(Observer):
    """Enters a job in the history, or `several` as one: from the beginning of the first to `close`."""

    def __init__(
        self,
        job: str,
        command: Sequence[str],
        output: Path | None,
        *,
        several: bool = False,
        wall_clock: Callable[[], float] = clocks.time,
    ) -> None:
        self._job = job
        self._command = command
        self._output = output
        self._several = several
        self._wall_clock = wall_clock
        self._id: str | None = None
        self._began = 0.0
        self._outcomes: list[JobOutcome] = []

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        if self._id is None:
            self._began = self._wall_clock()
            self._id = job_began(self._began, self._job, self._command, self._output, workers)

    def finished(self, outcome: JobOutcome) -> None:
        self._outcomes.append(outcome)
        if not self._several:
            self.close()

    def end_by(self, error: BaseException) -> None:
        """It ends by an exception, whatever became of the jobs before."""
        kind = OutcomeKind.FAILED if isinstance(error, Exception) else OutcomeKind.STOPPED
        self.close(kind.value, str(error))

    def close(self, outcome: str = "", reason: str = "") -> None:
        """All have ended, as the last one did unless an outcome is told. A second call is harmless, and so is one
        without a beginning."""
        if self._id is None:
            return
        ended, self._id = self._id, None
        last = self._outcomes[-1] if self._outcomes else None
        job_ended(
            JobEnded(
                id=ended,
                seconds=max(0.0, self._wall_clock() - self._began),
                outcome=outcome or (last.kind.value if last is not None else "stopped"),
                reason=reason or (last.reason if last is not None else ""),
                bytes_in=sum(each.stats.bytes_in for each in self._outcomes),
                failed_attempts=sum(each.failed_attempts for each in self._outcomes),
                jobs=len(self._outcomes),
            )
        )


def describe_job(prepared: Prepared) -> JobDescription:
    """What an event log tells of the job at its head."""
    job, work = prepared.made_from.job, prepared.work
    cls = type(job)
    asked = prepared.context.settings
    given: list[tuple[str, Any]] = [(name, getattr(asked, name)) for name in asked.__match_args__]
    return JobDescription(
        name=cls.__name__,
        module=cls.__module__,
        options=_options_of(job),
        settings={
            **{name: value for name, value in given if value is not None},
            "partitions": prepared.context.partitions,
            "output_format": prepared.context.output_format,
            "output": os.path.abspath(prepared.context.root) if not prepared.temporary else None,
        },
        input_files=len(prepared.made_from.planned.files),
        input_of=lambda task: _piece_of(work, task),
    )


def _options_of(job: Any) -> dict[str, Any]:
    """The job's own settings; what is not plain as Python shows it, in short."""
    options: dict[str, Any] = {}
    for name, value in vars(job).items():
        if name[0] != "_":
            plain = value is None or isinstance(value, bool | int | float)
            options[name] = value if plain else _shown(value)
    return options


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value[:OPTION_CHARS]
    try:
        return repr(value)[:OPTION_CHARS]
    except Exception as error:  # the job's own class: whatever it does is no reason not to run
        return f"(a {type(value).__name__}, whose repr raises {type(error).__name__})"


def _piece_of(work: JobWork, task: TaskId) -> InputPiece | None:
    if task.stage > work.map_stage:
        return None
    split = work.splits[task.index if task.stage == work.map_stage else work.sampled[task.index]]
    return InputPiece(split.place, split.extent.bytes)

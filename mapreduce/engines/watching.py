"""Who watches a job apart from whom the caller names? What it does is logged beside its output."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapreduce.dataflow.job_work import JobWork
from mapreduce.ids import TaskId
from mapreduce.storage.paths import EVENTS, LOG
from mapreduce.tracker.event_log import EventLog, InputPiece, JobDescription
from mapreduce.tracker.observer import Observer, Observers
from mapreduce.tracker.print_log import PrintLog

if TYPE_CHECKING:
    from mapreduce.engines.prepare import Prepared

OPTION_CHARS = 200


def with_logs(prepared: Prepared, observer: Observer) -> Observer:
    """The caller's observer, and of a job with an output folder its event log and what its workers print."""
    if prepared.temporary:
        return observer
    root = Path(prepared.context.root)
    return Observers([observer, EventLog(root / EVENTS, describe_job(prepared)), PrintLog(root / LOG)])


def describe_job(prepared: Prepared) -> JobDescription:
    """What an event log tells of the job at its head."""
    job, work = prepared.made_from.job, prepared.work
    cls = type(job)
    settings = {name: value for name, value in asdict(prepared.context.settings).items() if value is not None}
    return JobDescription(
        name=cls.__name__,
        module=cls.__module__,
        options=_options_of(job),
        settings={
            **settings,
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

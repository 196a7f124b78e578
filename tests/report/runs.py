"""Runs as an event log tells of them, made up by hand."""

from __future__ import annotations

from collections.abc import Sequence

from mapreduce.report.job_log import (
    AttemptFigures,
    AttemptRecord,
    AttemptState,
    FailureRecord,
    LostOutput,
    RunEnd,
    RunHead,
    RunLog,
    StageRecord,
    WorkerRecord,
)

STAGES = ("map", "reduce")


def attempt(
    task: str,
    start: float,
    end: float,
    state: AttemptState = AttemptState.FINISHED,
    *,
    worker: int = 0,
    number: int = 0,
    backup: bool = False,
    bytes_in: int = 0,
    records_in: int = 0,
    failure: FailureRecord | None = None,
) -> AttemptRecord:
    stage, _, index = task.rpartition(" ")
    figures = AttemptFigures(end - start, end - start, bytes_in, records_in)
    return AttemptRecord(
        task,
        STAGES.index(stage),
        int(index),
        number,
        worker,
        start,
        start,
        end,
        state,
        backup,
        figures=figures,
        failure=failure,
    )


def run(
    *attempts: AttemptRecord,
    seconds: float | None = None,
    outcome: str | None = "succeeded",
    workers: Sequence[WorkerRecord] = (),
    lost: Sequence[LostOutput] = (),
    job: str = "WordCount",
    number: int = 1,
    notes: Sequence[str] = (),
    reason: str = "",
) -> RunLog:
    """A run of these attempts; `outcome` None is one that was killed."""
    lasted = max((each.end for each in attempts), default=0.0) if seconds is None else seconds
    counts = [len({each.task for each in attempts if each.stage == stage}) for stage in range(len(STAGES))]
    head = RunHead(
        number=number,
        at=1.8e9,
        version="0.1.0",
        job=job,
        module="algorithms.wordcount",
        options={"lower": True},
        settings={"sort": False, "memory_bytes": 1 << 30},
        stages=tuple(StageRecord(name, tasks) for name, tasks in zip(STAGES, counts, strict=True)),
        workers=2,
        cpus=2,
        host="somewhere",
        pid=1,
        input_bytes=4000,
        input_files=2,
    )
    end = None
    if outcome is not None:
        failed = sum(each.state is AttemptState.FAILED for each in attempts)
        totals = AttemptFigures(bytes_in=4000, records_in=40, memory_bytes=50 << 20)
        end = RunEnd(lasted, outcome, reason, failed, 0, 0, 0, 0, {"bad lines": 3}, totals, tuple(notes))
    return RunLog(head, attempts, tuple(workers), (), tuple(lost), end, lasted)

"""How does a job look in a trace viewer (ui.perfetto.dev, chrome://tracing)? As Chrome trace events.

The format is the JSON array of Google's "Trace Event Format": times `ts` and `dur` in microseconds, a process for each
tracker, a thread for each worker. Thread 0 holds the runs themselves.

    X  a run, and each attempt that began, with its figures; red if it failed, grey if it was for nothing
    i  a failure, a worker that was lost, an output that was lost
    C  memory and CPU of each worker
    M  names of processes and threads
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mapreduce.report.job_log import AttemptRecord, AttemptState, JobLog, RunLog

RUNS = 0
"""The thread of the runs; worker 0 is thread 1."""

_COLOURS = {
    AttemptState.FAILED: "terrible",
    AttemptState.DISCARDED: "grey",
    AttemptState.CANCELLED: "grey",
    AttemptState.RUNNING: "bad",
}
BACKUP_COLOUR = "yellow"

Event = dict[str, Any]


def trace_events(log: JobLog) -> list[Event]:
    """All runs of a log as trace events: names first, then in order of time."""
    begin = min(run.head.at for run in log.runs)
    named: dict[tuple[int, int], str] = {}
    events: list[Event] = []
    for run in log.runs:
        named[run.head.pid, RUNS] = "job"
        named.update({(run.head.pid, _thread(worker.worker)): f"worker {worker.worker}" for worker in run.workers})
        events += _run_events(run, run.head.at - begin)
    events.sort(key=lambda event: (event["ts"], -event.get("dur", 0)))  # what encloses comes first
    return [*_names(named, log), *events]


def write_trace(log: JobLog, path: Path) -> None:
    """Write a trace file, an event a line. Raises OSError."""
    with open(path, "w", encoding="ascii") as file:
        lines = (json.dumps(event, separators=(",", ":")) for event in trace_events(log))
        file.write("[\n" + ",\n".join(lines) + "\n]\n")


def _names(named: dict[tuple[int, int], str], log: JobLog) -> Iterator[Event]:
    processes = {run.head.pid: f"mapreduce on {run.head.host}" for run in log.runs}
    for pid, name in processes.items():
        yield {"name": "process_name", "ph": "M", "pid": pid, "tid": RUNS, "args": {"name": name}}
    for (pid, thread), name in sorted(named.items()):
        yield {"name": "thread_name", "ph": "M", "pid": pid, "tid": thread, "args": {"name": name}}
        yield {"name": "thread_sort_index", "ph": "M", "pid": pid, "tid": thread, "args": {"sort_index": thread}}


def _run_events(run: RunLog, offset: float) -> Iterator[Event]:
    pid = run.head.pid
    yield {
        "name": f"{run.head.job} ({run.outcome})",
        "cat": "run",
        "ph": "X",
        "ts": _micros(offset),
        "dur": _micros(run.seconds),
        "pid": pid,
        "tid": RUNS,
        "args": {"run": run.head.number, "tasks": sum(stage.tasks for stage in run.head.stages)},
    }
    for attempt in run.attempts:
        if attempt.began:
            yield _attempt_event(attempt, offset, pid)
        if attempt.failure is not None:
            text = f"{attempt.task} failed: {attempt.failure.message or attempt.failure.type_name}"
            yield _instant(text, offset + attempt.end, pid, _thread(attempt.worker), "t")
    for worker in run.workers:
        if worker.lost is not None:
            yield _instant(f"lost: {worker.why}", offset + worker.lost, pid, _thread(worker.worker), "p")
    for output in run.lost_outputs:
        yield _instant(f"the output of {output.task} was lost", offset + output.seconds, pid, RUNS, "p")
    for sample in run.samples:
        values = {"memory, MB": sample.memory_bytes / 1e6, "CPU, %": sample.cpu_percent}
        for name, value in values.items():
            yield {
                "name": f"worker {sample.worker} {name}",
                "ph": "C",
                "ts": _micros(offset + sample.seconds),
                "pid": pid,
                "tid": _thread(sample.worker),
                "args": {name.partition(",")[0]: round(value, 1)},
            }


def _attempt_event(attempt: AttemptRecord, offset: float, pid: int) -> Event:
    kept = attempt.state is AttemptState.FINISHED
    colour = _COLOURS.get(attempt.state, BACKUP_COLOUR if attempt.backup else "")
    begin, end = _micros(offset + attempt.start), _micros(offset + attempt.end)
    name = attempt.task + (f" (attempt {attempt.number + 1})" if attempt.number else "")
    event: Event = {
        "name": name if kept else f"{name} {attempt.state.value}",
        "cat": f"{attempt.task.rpartition(' ')[0]},{attempt.state.value}" + (",backup" if attempt.backup else ""),
        "ph": "X",
        "ts": begin,
        "dur": end - begin,
        "pid": pid,
        "tid": _thread(attempt.worker),
        "args": _arguments(attempt),
    }
    return {**event, "cname": colour} if colour else event


def _arguments(attempt: AttemptRecord) -> Event:
    """What a viewer shows of an attempt that is clicked at; nothing that is not known."""
    figures, failure = attempt.figures, attempt.failure
    shown = {
        "state": attempt.state.value,
        "attempt": attempt.number,
        "backup": attempt.backup or None,
        "input": attempt.input,
        "bytes in": figures.bytes_in,
        "records in": figures.records_in,
        "bytes out": figures.bytes_out,
        "records out": figures.records_out,
        "CPU seconds": figures.cpu_seconds,
        "peak memory": figures.memory_bytes,
        "spills": figures.spills,
        "why": attempt.why or (f"{failure.type_name}: {failure.message}" if failure is not None else ""),
        "then": failure.then if failure is not None else "",
    }
    return {name: value for name, value in shown.items() if value or name == "attempt"}


def _instant(name: str, seconds: float, pid: int, thread: int, scope: str) -> Event:
    """A moment; its `scope` is 't', a thread, or 'p', a process."""
    return {"name": name, "cat": "trouble", "ph": "i", "s": scope, "ts": _micros(seconds), "pid": pid, "tid": thread}


def _thread(worker: int) -> int:
    return worker + 1


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)

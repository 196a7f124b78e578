"""What happened in a job, for whoever asks afterwards? `_events.jsonl`: a line for each thing that matters.

The log is for people and their tools: `mapreduce report`, `mapreduce simulate`, `--trace`, `grep`. Nothing that the
engine decides depends on it (that is the journal's part), so writing it never fails a job: a full disk costs the rest
of the log and one warning. Lines are gathered and written at least every second, and at once after a failure; whoever
kills the process loses no more. A line that is cut short at the end of the file counts as not written.

Format, version 1: JSON, one object a line, ASCII. `e` says which kind of line it is, `t` the seconds since the run
began. A number that is left out is 0, a text that is left out is empty. `task` is the task's name, `n` the attempt's
number, from 0. Times are seconds, sizes bytes. Readers pass over kinds and fields that they do not know.

    begin      version, run (1, 2 ... for a resumed job), at (seconds since 1970), when (the same for people),
               mapreduce (our version), job, module, options (of the job), settings (of the run),
               stages [{name, tasks, needs, fan_in}], workers, cpus, host, pid, input {bytes, files}
    joined     worker, pid                               a worker is ready; no pid if it was before the job
    past       task, n, and the figures of `finished`    done before this run began, not run again
    started    task, n, worker, input, bytes, backup     given to a worker, which may still be busy with another
    finished   task, n, worker, seconds, cpu, bytes_in, records_in, bytes_out, records_out, memory (the process's peak),
               spills; discarded: true if another attempt had been first
    failed     task, n, worker, kind (as in FailureKind), type, message (its first line), place, record,
               exit_code (below 0: the signal), memory (the most that was seen), limit, lost_outputs (how many tasks'
               outputs it could not read), then: 'run again', 'run after a rest' or 'give up'
    cancelled  task, n, worker, why                      nobody wanted it any more
    dropped    task, n, worker                           was waiting at a worker that was lost; it had not begun
    lost       worker, why                               a worker died or was given up
    output_lost  task                                    its output is gone; it runs again
    sample     worker, memory, cpu (percent of a core), task, n, bytes, records (read so far); pid in a worker's first
    end        outcome (succeeded, failed, stopped), reason, failed_attempts, lost_workers, backups, backups_won,
               past_tasks, counters, totals (as in `finished`), notes, passed [{source, reader, way, bytes, seconds}]
               (hosts, empty for the only one; way: 'mapped', 'read' or 'message')
    cut        the log has reached its bound; from here on failures and the end alone

A run that was killed has no `end`. A job that is resumed, and a command that runs several jobs, write one section after
the other, each with its `begin`.

What bounds it: two lines of some 150 bytes a task up to MAX_BYTES, and samples at most once a second a worker, then
ever more rarely.
"""

from __future__ import annotations

import json
import logging
import os
import time as clocks
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mapreduce import __version__
from mapreduce.dataclass import dataclass, field
from mapreduce.dataflow.results import TaskStats
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.settings import available_cpus
from mapreduce.storage.host_paths import split_path
from mapreduce.storage.traffic import rows_of
from mapreduce.tracker.commands import CancelAttempt, Command, Discard, NoteFailure, StartAttempt
from mapreduce.tracker.events import (
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    AttemptProgressed,
    Event,
    OutputLost,
    OutputMoved,
    WorkerJoined,
    WorkerLost,
)
from mapreduce.tracker.observer import Observer, WorkerSample
from mapreduce.tracker.outcome import JobOutcome
from mapreduce.tracker.plan import Plan

VERSION = 1

FLUSH_SECONDS = 1.0
FLUSH_LINES = 500
SAMPLE_SECONDS = 0.95  # once a second, by looks that come five times a second
SAMPLES_AT_FIRST = 4_000
"""So many samples, then half as often for as many again, and so on: a day of 64 workers gives some 30,000 lines."""

MAX_BYTES = 256 << 20
MESSAGE_CHARS = 500
TAIL_BYTES = 1 << 16

_log = logging.getLogger(__name__)


class InputPiece(NamedTuple):
    """What a task reads of the input: where it stands, for people, and how much it is."""

    place: str
    bytes: int


def _no_input(task: TaskId) -> InputPiece | None:
    return None


@dataclass(frozen=True, slots=True)
class JobDescription:
    """What a log says of its job at the head. `options` and `settings` are plain values, ready for JSON."""

    name: str
    module: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    input_files: int = 0
    input_of: Callable[[TaskId], InputPiece | None] = _no_input


class EventLog(Observer):
    """Appends one section to the log at `path`, or several if it watches several jobs."""

    def __init__(self, path: Path, job: JobDescription, wall_clock: Callable[[], float] = clocks.time) -> None:
        """`wall_clock` gives seconds since 1970."""
        self._path = path
        self._job = job
        self._wall_clock = wall_clock
        self._file: BinaryIO | None = None
        self._lines: list[str] = []
        self._bytes = 0
        self._is_cut = False
        self._names: list[str] = []
        self._started = self._now = self._flushed = 0.0
        self._samples = 0
        self._sampled: dict[WorkerId, float] = {}
        self._held: dict[WorkerId, dict[AttemptId, str]] = {}  # and why each was cancelled, if it was
        self._any_worker_yet = False
        self._runs = 0

    # --- what the driver tells

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        self._names = [f'"task":"{stage.name} ' for stage in plan.stages]
        self._started = self._now = self._flushed = time
        self._any_worker_yet = False
        self._held.clear()
        self._sampled.clear()
        self._open()
        self._put("begin", self._head(plan, input_bytes, workers))
        self._flush()

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        if self._file is None:
            return
        self._any_worker_yet = self._any_worker_yet or isinstance(event, WorkerJoined)
        if self._any_worker_yet:  # events of an earlier run come before, with times of another clock
            self._now = event.time
        if not isinstance(event, AttemptProgressed):
            self._event(event, commands)
            for command in commands:
                self._command(command)
        if self._now - self._flushed >= FLUSH_SECONDS or len(self._lines) >= FLUSH_LINES:
            self._flush()

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        if self._file is None or self._is_cut:
            return
        apart = SAMPLE_SECONDS * 2 ** (self._samples // SAMPLES_AT_FIRST)
        for sample in samples:
            if self._now - self._sampled.get(sample.worker, float("-inf")) >= apart:
                pid = "" if sample.worker in self._sampled else f',"pid":{sample.pid}'
                self._sampled[sample.worker] = self._now
                self._samples += 1
                at = self._name(sample.attempt) + "," if sample.attempt is not None else ""
                self._line(
                    "sample",
                    f'{at}"worker":{sample.worker},"memory":{sample.memory_bytes},"cpu":{sample.cpu_percent:.0f},'
                    f'"bytes":{sample.bytes_in},"records":{sample.records_in}{pid}',
                )

    def finished(self, outcome: JobOutcome) -> None:
        if self._file is None:
            return
        self._now = self._started + outcome.seconds
        self._put("end", _end_fields(outcome))
        self._flush()
        self._close()

    # --- what happened, as lines

    def _event(self, event: Event, commands: Sequence[Command]) -> None:
        match event:
            case AttemptFinished(attempt=attempt, worker=worker, result=result):
                if self._let_go(attempt, worker) is None and not self._any_worker_yet:
                    self._line("past", f"{self._name(attempt)}{_figures(result.stats)}")
                    return
                late = ',"discarded":true' if any(isinstance(command, Discard) for command in commands) else ""
                self._line("finished", f'{self._name(attempt)},"worker":{worker}{_figures(result.stats)}{late}')
            case AttemptFailed(attempt=attempt, worker=worker) | AttemptCancelled(attempt=attempt, worker=worker):
                why = self._let_go(attempt, worker)
                if why:
                    self._line("cancelled", f'{self._name(attempt)},"worker":{worker},"why":{quoted(why)}')
            case WorkerJoined(worker=worker, pid=pid):
                self._held.setdefault(worker, {})
                self._line("joined", f'"worker":{worker}' + (f',"pid":{pid}' if pid else ""))
            case WorkerLost(worker=worker, reason=reason):
                self._worker_lost(worker, reason, commands)
            case OutputLost(task=task):
                self._line("output_lost", f'{self._names[task.stage]}{task.index}"')
                self._flush()
            case OutputMoved(attempt=attempt, path=path) if commands:
                self._line("moved", f'{self._name(attempt)},"hosts":{quoted("+".join(split_path(path)[0]))}')
            case _:
                pass

    def _command(self, command: Command) -> None:
        if isinstance(command, StartAttempt):
            attempt, worker = command.attempt, command.worker
            self._held.setdefault(worker, {})[attempt] = ""
            if self._is_cut:
                return
            piece = self._job.input_of(attempt.task)
            read = "" if piece is None else f',"input":{quoted(piece.place)},"bytes":{piece.bytes}'
            backup = ',"backup":true' if command.backup else ""
            self._line("started", f'{self._name(attempt)},"worker":{worker}{read}{backup}')
        elif isinstance(command, CancelAttempt):
            held = self._held.get(command.worker, {})
            if command.attempt in held:
                held[command.attempt] = command.reason
        elif isinstance(command, NoteFailure):
            self._put("failed", {**self._fields(command.attempt, command.worker), **_failure_fields(command)})
            self._flush()

    def _worker_lost(self, worker: WorkerId, reason: str, commands: Sequence[Command]) -> None:
        """What it held is gone; of what it ran a NoteFailure told, unless that was cancelled."""
        self._put("lost", {"worker": worker, "why": reason[:MESSAGE_CHARS]})
        failed = {command.attempt for command in commands if isinstance(command, NoteFailure)}
        for attempt, why in self._held.pop(worker, {}).items():
            if why:
                self._put("cancelled", {**self._fields(attempt, worker), "why": why})
            elif attempt not in failed:
                self._put("dropped", self._fields(attempt, worker))
        self._flush()

    def _let_go(self, attempt: AttemptId, worker: WorkerId) -> str | None:
        """Why it was cancelled: empty if it was not, None if it was not held."""
        return self._held.get(worker, {}).pop(attempt, None)

    def _name(self, attempt: AttemptId) -> str:
        return f'{self._names[attempt.task.stage]}{attempt.task.index}","n":{attempt.number}'

    def _fields(self, attempt: AttemptId, worker: WorkerId) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads("{" + self._name(attempt) + "}")
        return {**fields, "worker": worker}

    def _head(self, plan: Plan, input_bytes: int, workers: int) -> dict[str, Any]:
        at = self._wall_clock()
        job = self._job
        return {
            "version": VERSION,
            "run": self._runs + 1,
            "at": round(at, 3),
            "when": clocks.strftime("%Y-%m-%dT%H:%M:%SZ", clocks.gmtime(at)),
            "mapreduce": __version__,
            "job": job.name,
            "module": job.module,
            "options": job.options,
            "settings": job.settings,
            "stages": [
                {
                    "name": stage.name,
                    "tasks": stage.tasks,
                    "needs": stage.needs.kind.value,
                    "fan_in": stage.needs.fan_in,
                }
                for stage in plan.stages
            ],
            "workers": workers,
            "cpus": available_cpus(),
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "input": {"bytes": input_bytes, "files": job.input_files},
        }

    # --- the file

    def _put(self, kind: str, fields: Mapping[str, Any]) -> None:
        """A line that is there however long the log is."""
        text = json.dumps(fields, default=str, separators=(",", ":"))
        self._lines.append(f'{{"e":"{kind}","t":{self._now - self._started:.4f},{text[1:]}\n')

    def _line(self, kind: str, fields: str) -> None:
        """A line that a log beyond its bound does without."""
        if not self._is_cut:
            self._lines.append(f'{{"e":"{kind}","t":{self._now - self._started:.4f},{fields}}}\n')

    def _open(self) -> None:
        """Go on where whole lines end: what a killed process wrote half is cut off."""
        try:
            self._file = open(self._path, "a+b", buffering=0)  # closed by `finished`, or with this object
            size = self._file.seek(0, os.SEEK_END)
            self._file.seek(max(0, size - TAIL_BYTES))
            tail = self._file.read()
            torn = len(tail) - (tail.rfind(b"\n") + 1)
            if torn:
                self._file.truncate(size - torn)
            self._runs = _count_runs(self._path)
            self._bytes = size - torn
        except OSError as error:
            self._give_up(error)

    def _flush(self) -> None:
        self._flushed = self._now
        if self._file is None or not self._lines:
            return
        data = "".join(self._lines).encode("ascii", "backslashreplace")
        self._lines.clear()
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(f"{written} of {len(data)} bytes written")
        except OSError as error:
            self._give_up(error)
            return
        self._bytes += len(data)
        if self._bytes > MAX_BYTES and not self._is_cut:
            self._put("cut", {"bytes": self._bytes})
            self._is_cut = True

    def _give_up(self, error: OSError) -> None:
        """The log is a help, no more: the job goes on without."""
        _log.warning("%s: not written any further (%s); the job goes on", self._path, error.strerror or error)
        self._close()

    def _close(self) -> None:
        self._lines.clear()
        if self._file is not None:
            self._file.close()
            self._file = None


def _figures(stats: TaskStats) -> str:
    """The figures of a finished attempt as fields, each with a comma before it; zeros are left out."""
    memory, spills = stats.peak_memory_bytes, stats.spills
    return (
        f',"seconds":{stats.seconds:.5f},"cpu":{stats.cpu_seconds:.5f}'
        + (f',"bytes_in":{stats.bytes_in}' if stats.bytes_in else "")
        + (f',"records_in":{stats.records_in}' if stats.records_in else "")
        + (f',"bytes_out":{stats.bytes_out}' if stats.bytes_out else "")
        + (f',"records_out":{stats.records_out}' if stats.records_out else "")
        + (f',"memory":{memory}' if memory else "")
        + (f',"spills":{spills}' if spills else "")
    )


def _failure_fields(note: NoteFailure) -> dict[str, Any]:
    """Why an attempt failed; what is unknown is left out."""
    failure = note.failure
    fields = {
        "kind": failure.kind.value,
        "type": failure.type_name,
        "message": _first_line(failure.message),
        "place": failure.place,
        "record": failure.record and failure.record[:MESSAGE_CHARS],
        "exit_code": failure.exit_code,
        "memory": failure.peak_memory_bytes or None,
        "limit": failure.limit_bytes or None,
        "lost_outputs": len(failure.lost) or None,
        "then": note.verdict,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:MESSAGE_CHARS] if lines else ""


def _end_fields(outcome: JobOutcome) -> dict[str, Any]:
    totals: dict[str, Any] = json.loads("{" + _figures(outcome.stats)[1:] + "}")
    return {
        "outcome": outcome.kind.value,
        "reason": outcome.reason,
        "failed_attempts": outcome.failed_attempts,
        "lost_workers": outcome.lost_workers,
        "backups": outcome.backups,
        "backups_won": outcome.backups_won,
        "past_tasks": outcome.past_tasks,
        "counters": dict(outcome.counters),
        "totals": totals,
        "notes": list(outcome.notes),
        "passed": rows_of(outcome.moved),
    }


def _count_runs(path: Path) -> int:
    """Sections that a log holds already."""
    with open(path, "rb") as file:
        return sum(line.startswith(b'{"e":"begin"') for line in file)

"""What does an event log say? `read_events` turns the lines of `_events.jsonl` into values.

The format is told in `tracker/event_log.py`, the values in `job_log.py`. A log may end at any byte, because its writer
was killed: a line that is cut short counts as not written, and a run without an end is unfinished.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mapreduce.dataclass import dataclass, field, replace
from mapreduce.errors import InputError
from mapreduce.report.job_log import (
    AttemptFigures,
    AttemptRecord,
    AttemptState,
    FailureRecord,
    JobLog,
    LostOutput,
    RunEnd,
    RunHead,
    RunLog,
    SampleRecord,
    StageRecord,
    WorkerRecord,
)
from mapreduce.report.passing import passed_from_json
from mapreduce.storage.paths import EVENTS
from mapreduce.tracker.event_log import VERSION


def read_events(path: str | Path) -> JobLog:
    """The log of a job: of the output folder or of the file `path`. Raises InputError if that holds none."""
    file = Path(path)
    if file.is_dir():
        file = file / EVENTS
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no event log {file}; a job writes one into its output folder (-o)") from None
    except OSError as error:
        raise InputError(f"can't read the event log {file}: {error.strerror or error}") from error
    return parse_events(data, file)


def parse_events(data: bytes, path: Path = Path(EVENTS)) -> JobLog:
    """The log that these bytes are, up to the last whole line."""
    if not data:
        raise InputError(f"the event log {path} is empty: the job was killed as it began")
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    if not data.startswith(b'{"e":"begin"'):
        raise InputError(f"{path} is no event log: it does not start with a begin line")
    if not lines:
        raise InputError(f"the event log {path} ends within its first line: the job was killed as it began")
    runs: list[RunLog] = []
    reader: _RunReader | None = None
    unreadable = 0
    for line in lines:
        try:
            fields = json.loads(line)
            if fields["e"] == "begin":
                if reader is not None:
                    runs.append(reader.close())
                reader = _RunReader(_head(fields, path))
            elif reader is not None:
                reader.read(fields)
        except InputError:  # of a later version
            raise
        except (ValueError, KeyError, TypeError, AttributeError):
            unreadable += 1
    if reader is None:
        raise InputError(f"{path} is no event log: its first line can't be read")
    return JobLog(path, (*runs, reader.close()), unreadable)


@dataclass(slots=True)
class _RunReader:
    """Takes the lines of one run in order."""

    head: RunHead
    now: float = 0.0
    attempts: list[AttemptRecord] = field(default_factory=list)
    workers: dict[int, WorkerRecord] = field(default_factory=dict)
    samples: list[SampleRecord] = field(default_factory=list)
    lost_outputs: list[LostOutput] = field(default_factory=list)
    end: RunEnd | None = None
    stages: dict[str, int] = field(init=False)
    places: dict[tuple[str, int], int] = field(default_factory=dict)  # of attempts by task and number
    held: dict[int, list[int]] = field(default_factory=dict)  # places of what each worker holds, in order
    free: dict[int, float] = field(default_factory=dict)  # since when each worker could begin another attempt

    def __post_init__(self) -> None:
        self.stages = {stage.name: number for number, stage in enumerate(self.head.stages)}

    def read(self, line: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for a line that is none of ours."""
        time = float(line["t"])
        take = _READERS.get(line["e"])
        if take is not None:
            take(self, line, time)
            self.now = max(self.now, time)

    def close(self) -> RunLog:
        seconds = self.end.seconds if self.end is not None else self.now
        for worker, places in self.held.items():
            for place in places:
                self._stop(place, worker, seconds)
        self._part()
        return RunLog(
            self.head,
            tuple(self.attempts),
            tuple(self.workers.values()),
            tuple(self.samples),
            tuple(self.lost_outputs),
            self.end,
            seconds,
        )

    # --- a line each

    def _joined(self, line: Mapping[str, Any], time: float) -> None:
        worker = int(line["worker"])
        self.workers[worker] = WorkerRecord(worker, time, int(line.get("pid", 0)))

    def _lost(self, line: Mapping[str, Any], time: float) -> None:
        worker = int(line["worker"])
        before = self.workers.get(worker) or WorkerRecord(worker, 0.0)
        self.workers[worker] = replace(before, lost=time, why=str(line.get("why", "")))

    def _past(self, line: Mapping[str, Any], time: float) -> None:
        stage, index = self._task(line["task"])
        self.attempts.append(
            AttemptRecord(
                line["task"], stage, index, int(line["n"]), -1, 0.0, 0.0, 0.0, AttemptState.PAST,
                figures=_figures(line),
            )
        )  # fmt: skip

    def _started(self, line: Mapping[str, Any], time: float) -> None:
        stage, index = self._task(line["task"])
        number, worker = int(line["n"]), int(line["worker"])
        self.places[line["task"], number] = len(self.attempts)
        self.held.setdefault(worker, []).append(len(self.attempts))
        self.attempts.append(
            AttemptRecord(
                line["task"], stage, index, number, worker, time, time, time,
                backup=bool(line.get("backup", False)),
                input=str(line.get("input", "")),
                input_bytes=int(line.get("bytes", 0)),
            )
        )  # fmt: skip

    def _finished(self, line: Mapping[str, Any], time: float) -> None:
        state = AttemptState.DISCARDED if line.get("discarded") else AttemptState.FINISHED
        figures = _figures(line)
        place = self._ended(line, time, state)
        attempt = self.attempts[place]
        start = min(time, max(attempt.given, time - figures.seconds))
        self.attempts[place] = replace(attempt, start=start, figures=figures)

    def _failed(self, line: Mapping[str, Any], time: float) -> None:
        failure = FailureRecord(
            kind=str(line.get("kind", "")),
            type_name=str(line.get("type", "")),
            message=str(line.get("message", "")),
            then=str(line.get("then", "")),
            place=str(line.get("place", "")),
            record=str(line.get("record", "")),
            exit_code=line.get("exit_code"),
            memory_bytes=int(line.get("memory", 0)),
            limit_bytes=int(line.get("limit", 0)),
        )
        place = self._ended(line, time, AttemptState.FAILED)
        self.attempts[place] = replace(self.attempts[place], failure=failure)

    def _cancelled(self, line: Mapping[str, Any], time: float) -> None:
        place = self.places[line["task"], int(line["n"])]
        if self.attempts[place].state is AttemptState.RUNNING:  # else it had failed by its timeout
            self._ended(line, time, AttemptState.CANCELLED)
        self.attempts[place] = replace(self.attempts[place], why=str(line.get("why", "")))

    def _dropped(self, line: Mapping[str, Any], time: float) -> None:
        place = self._ended(line, time, AttemptState.DROPPED)
        self.attempts[place] = replace(self.attempts[place], start=time)

    def _output_lost(self, line: Mapping[str, Any], time: float) -> None:
        self.lost_outputs.append(LostOutput(time, str(line["task"])))

    def _sample(self, line: Mapping[str, Any], time: float) -> None:
        worker = int(line["worker"])
        known = self.workers.get(worker)
        if known is not None and not known.pid:
            self.workers[worker] = replace(known, pid=int(line.get("pid", 0)))
        sample = SampleRecord(
            time,
            worker,
            int(line.get("memory", 0)),
            float(line.get("cpu", 0.0)),
            str(line.get("task", "")),
            int(line.get("bytes", 0)),
            int(line.get("records", 0)),
        )
        self.samples.append(sample)

    def _end(self, line: Mapping[str, Any], time: float) -> None:
        counts = {name: int(line.get(name, 0)) for name in _COUNTS}
        self.end = RunEnd(
            seconds=time,
            outcome=str(line["outcome"]),
            reason=str(line.get("reason", "")),
            counters=dict(line.get("counters", {})),
            totals=_figures(line.get("totals", {})),
            notes=tuple(line.get("notes", ())),
            passed=passed_from_json(line.get("passed", ())),
            **counts,
        )

    # --- what attempts go through

    def _task(self, name: str) -> tuple[int, int]:
        stage, _, index = name.rpartition(" ")
        return self.stages[stage], int(index)

    def _ended(self, line: Mapping[str, Any], time: float, state: AttemptState) -> int:
        """Close the attempt of a line; its place. One of which no start was told (the log was cut) gets one."""
        key = (line["task"], int(line["n"]))
        if key not in self.places:
            self._started(line, time)
        place = self.places[key]
        self._stop(place, int(line["worker"]), time)
        worker = self.attempts[place].worker
        if place in self.held.get(worker, ()):
            self.held[worker].remove(place)
        self.attempts[place] = replace(self.attempts[place], state=state)
        return place

    def _stop(self, place: int, worker: int, time: float) -> None:
        """Enter when it ended, and reckon when it began: not before what its worker was given earlier had ended."""
        attempt = self.attempts[place]
        held = self.held.get(worker, ())
        began = not held or held[0] == place
        start = min(time, max(attempt.given, self.free.get(worker, 0.0))) if began else time
        if began:
            self.free[worker] = time
        self.attempts[place] = replace(attempt, start=start, end=time)

    def _part(self) -> None:
        """One worker's attempts don't overlap: where a report came late, its attempt ended before the next began."""
        earliest: dict[int, float] = {}  # start of the next attempt, by worker; backwards in time
        for place in sorted(range(len(self.attempts)), key=lambda place: -self.attempts[place].end):
            attempt = self.attempts[place]
            if attempt.worker < 0 or attempt.end <= attempt.start:
                continue
            end = min(attempt.end, earliest.get(attempt.worker, attempt.end))
            if end < attempt.end:
                start = max(min(attempt.given, end), attempt.start - (attempt.end - end))
                attempt = self.attempts[place] = replace(attempt, start=start, end=end)
            earliest[attempt.worker] = attempt.start


_COUNTS = ("failed_attempts", "lost_workers", "backups", "backups_won", "past_tasks")

_READERS: dict[str, Callable[[_RunReader, Mapping[str, Any], float], None]] = {
    "joined": _RunReader._joined,
    "lost": _RunReader._lost,
    "past": _RunReader._past,
    "started": _RunReader._started,
    "finished": _RunReader._finished,
    "failed": _RunReader._failed,
    "cancelled": _RunReader._cancelled,
    "dropped": _RunReader._dropped,
    "output_lost": _RunReader._output_lost,
    "sample": _RunReader._sample,
    "end": _RunReader._end,
}


def _figures(line: Mapping[str, Any]) -> AttemptFigures:
    return AttemptFigures(
        float(line.get("seconds", 0.0)),
        float(line.get("cpu", 0.0)),
        int(line.get("bytes_in", 0)),
        int(line.get("records_in", 0)),
        int(line.get("bytes_out", 0)),
        int(line.get("records_out", 0)),
        int(line.get("memory", 0)),
        int(line.get("spills", 0)),
    )


def _head(line: Mapping[str, Any], path: Path) -> RunHead:
    version = int(line["version"])
    if version > VERSION:
        raise InputError(
            f"the event log {path} has version {version}, this mapreduce reads up to {VERSION}; use a newer one"
        )
    read = line.get("input", {})
    stages: Sequence[Mapping[str, Any]] = line["stages"]
    return RunHead(
        number=int(line.get("run", 1)),
        at=float(line.get("at", 0.0)),
        version=str(line.get("mapreduce", "")),
        job=str(line["job"]),
        module=str(line.get("module", "")),
        options=dict(line.get("options", {})),
        settings=dict(line.get("settings", {})),
        stages=tuple(
            StageRecord(str(stage["name"]), int(stage["tasks"]), stage.get("needs", "none"), stage.get("fan_in", 0))
            for stage in stages
        ),
        workers=int(line.get("workers", 0)),
        cpus=int(line.get("cpus", 0)),
        host=str(line.get("host", "")),
        pid=int(line.get("pid", 0)),
        input_bytes=int(read.get("bytes", 0)),
        input_files=int(read.get("files", 0)),
    )

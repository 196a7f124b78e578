"""What must survive the tracker's death, and how is it written down?

The journal is an append-only file of events. A tracker that starts anew is given them again, in order, through the same
`handle`, before any worker joins: that is all of recovery.

Kept are only events that changed what is committed; everything else starts afresh with the workers:

    AttemptFinished   if its output was committed: with its counters, which count a task once
    AttemptFailed     if it named lost outputs
    OutputLost        always
    OutputMoved       if that output is the committed one

Not kept: failures (somebody who runs the job again wants it tried again, so the budgets are new), ticks, workers.

Format, version 1: lines of ASCII, so `less` and `grep` read it and damage in one line leaves the next readable.

    line      LLLLLLLL CCCCCCCC PAYLOAD \\n     length and CRC-32 of the payload, 8 hexadecimal digits each; one blank
    payload   JSON without line breaks; bytes as base64
    header    {"journal": 1, "job": FINGERPRINT}, the first line
    finished  ["finished", time, [stage, index, number], worker, [path, inline, checksum, bytes], counters, [stats...]]
    failed    ["failed", time, [stage, index, number], worker, [kind, type_name, message, traceback, record, place,
              pickled, [[stage, index], ...]]]
    lost      ["lost", time, [stage, index]]
    moved     ["moved", time, [stage, index, number], path]

Reading stops at the first line that is not whole. If no whole line follows it is a torn tail: the tracker died while
writing, which costs that one task. If one does, the file was damaged at rest, and what follows cannot be trusted, for
an OutputLost may be missing. Either way `good_bytes` is where to cut the file before writing on.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, Protocol
from zlib import crc32

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output, TaskStats
from mapreduce.errors import InternalError, ResourceError
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.events import AttemptFailed, AttemptFinished, Event, OutputLost, OutputMoved

VERSION = 1
_PREFIX_BYTES = 18  # two numbers of eight digits, a blank after each

JournaledEvent = AttemptFinished | AttemptFailed | OutputLost | OutputMoved


# Events as JSON

_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def encode_event(event: Event) -> bytes:
    """The payload of an event that is kept. Inverse of `decode_event`."""
    match event:
        case AttemptFinished(time, attempt, worker, result):
            output, stats = result.output, result.stats
            rest = [output.path, _text(output.inline), output.checksum, output.bytes]
            figures = [
                stats.bytes_in,
                stats.records_in,
                stats.records_out,
                stats.bytes_out,
                stats.seconds,
                stats.cpu_seconds,
                stats.peak_memory_bytes,
                stats.spills,
            ]
            task = attempt.task
            name = [task.stage, task.index, attempt.number]
            return _dumps(["finished", time, name, worker, rest, result.counters, figures]).encode("ascii")
        case AttemptFailed(time, attempt, worker, failure):
            name = [attempt.task.stage, attempt.task.index, attempt.number]
            return _dumps(["failed", time, name, worker, _failure_fields(failure)]).encode("ascii")
        case OutputLost(time, task):
            return _dumps(["lost", time, task]).encode("ascii")
        case OutputMoved(time, attempt, path):
            name = [attempt.task.stage, attempt.task.index, attempt.number]
            return _dumps(["moved", time, name, path]).encode("ascii")
    raise InternalError(f"{type(event).__name__} is not an event that the journal keeps; please report it")


def decode_event(payload: bytes) -> JournaledEvent:
    """The event of a payload. Raises InternalError if it is none: its checksum was right, so we wrote it wrongly."""
    try:
        return _event_of(json.loads(payload))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InternalError(f"journal: {payload[:80]!r} is no event ({error}); run again with --fresh") from error


def _event_of(fields: Any) -> JournaledEvent:
    match fields:
        case ["finished", time, name, worker, [path, inline, checksum, size], counters, figures]:
            output = Output(path, _bytes(inline), checksum, size)
            result = AttemptResult(output, counters, TaskStats(*figures))
            return AttemptFinished(time, _attempt(name), WorkerId(worker), result)
        case ["failed", time, name, worker, [kind, type_name, message, trace, record, place, pickled, lost]]:
            tasks = tuple(TaskId(*task) for task in lost)
            failure = Failure(FailureKind(kind), type_name, message, trace, record, place, _bytes(pickled), tasks)
            return AttemptFailed(time, _attempt(name), WorkerId(worker), failure)
        case ["lost", time, task]:
            return OutputLost(time, TaskId(*task))
        case ["moved", time, name, str(path)]:
            return OutputMoved(time, _attempt(name), path)
    raise ValueError("unknown kind of record")


def _failure_fields(failure: Failure) -> list[Any]:
    text = [failure.type_name, failure.message, failure.traceback, failure.record, failure.place]
    return [failure.kind.value, *text, _text(failure.pickled), failure.lost]


def _attempt(name: list[int]) -> AttemptId:
    return AttemptId(TaskId(name[0], name[1]), name[2])


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


# Lines


class JournalFile(Protocol):
    """A file opened for appending, unbuffered, such as a `Store.append` gives. A write is whole or raises."""

    def write(self, data: bytes, /) -> int | None: ...


def _line(payload: bytes) -> bytes:
    return b"%08x %08x %b\n" % (len(payload), crc32(payload), payload)


class JournalWriter:
    """Appends events. Each is with the operating system when `append` returns, so it survives the death of our process.
    It survives a loss of power once `sync` has returned, which waits for the disk, and once for all that came before:
    so the driver calls it for the events of a turn together, and before an output gets its final name. `to_disk` is
    how that is done (default: not at all, for journals that need not survive)."""

    def __init__(self, file: JournalFile, to_disk: Callable[[], None] | None = None) -> None:
        self._file = file
        self._to_disk = to_disk
        self._unsynced = False

    def begin(self, fingerprint: str) -> None:
        """Write the header; first, and only into an empty file."""
        self._write(_dumps({"journal": VERSION, "job": fingerprint}).encode("ascii"))

    def append(self, event: Event) -> None:
        """Write one event that `is_kept`. Raises ResourceError if the file system refuses."""
        self._write(encode_event(event))

    def sync(self) -> None:
        """Return when what was written would survive a loss of power. Costs nothing if nothing was. Raises
        ResourceError."""
        if not self._unsynced or self._to_disk is None:
            return
        try:
            self._to_disk()
        except OSError as error:
            raise ResourceError(f"journal: cannot be written ({error}); free some space and run again") from error
        self._unsynced = False

    def _write(self, payload: bytes) -> None:
        line = _line(payload)
        try:
            written = self._file.write(line)
        except OSError as error:
            raise ResourceError(f"journal: cannot be written ({error}); free some space and run again") from error
        if written != len(line):
            raise ResourceError(f"journal: {written} of {len(line)} bytes written; free some space and run again")
        self._unsynced = True


@dataclass(frozen=True, slots=True)
class Journal:
    """What could be read. `fingerprint` is None if the header is unreadable or of another version: start afresh."""

    fingerprint: str | None
    events: tuple[JournaledEvent, ...]
    good_bytes: int
    dropped_bytes: int = 0
    torn: bool = False  # the end was never written whole
    damaged: bool = False  # bytes that once were whole have changed

    def problem(self) -> str:
        """What is wrong, in a sentence for the log; empty if nothing is."""
        if self.damaged:
            return (
                f"journal: damaged at byte {self.good_bytes}; the {self.dropped_bytes} bytes from there on are not "
                "used, and the tasks in them run again"
            )
        if self.torn:
            return f"journal: the last {self.dropped_bytes} bytes were never written whole; their task runs again"
        return ""


def read_journal(data: bytes) -> Journal:
    """Everything up to the first line that is not whole. Never raises for damage; an empty file is an empty journal."""
    payloads, good = _whole_lines(data)
    dropped = len(data) - good
    damaged = dropped > 0 and _has_whole_line_after(data, good)
    torn = dropped > 0 and not damaged
    fingerprint = _fingerprint(payloads[0]) if payloads else None
    if fingerprint is None:
        return Journal(None, (), 0, len(data), torn, damaged)
    return Journal(fingerprint, tuple(map(decode_event, payloads[1:])), good, dropped, torn, damaged)


def _whole_lines(data: bytes) -> tuple[list[bytes], int]:
    payloads: list[bytes] = []
    start = 0
    while (payload := _payload_at(data, start)) is not None:
        payloads.append(payload)
        start += _PREFIX_BYTES + len(payload) + 1
    return payloads, start


def _payload_at(data: bytes, start: int) -> bytes | None:
    """The payload of the line that starts there; None unless length, checksum and line break are all right."""
    end = data.find(b"\n", start)
    if end < 0:
        return None
    payload = data[start + _PREFIX_BYTES : end]
    return payload if data[start : end + 1] == _line(payload) else None


def _has_whole_line_after(data: bytes, start: int) -> bool:
    while (start := data.find(b"\n", start) + 1) > 0:
        if _payload_at(data, start) is not None:
            return True
    return False


def _fingerprint(payload: bytes) -> str | None:
    header = json.loads(payload)
    if isinstance(header, dict) and header.get("journal") == VERSION:
        return str(header["job"])
    return None

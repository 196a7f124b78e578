"""What do agent and tracker tell each other of themselves, and in which words go results between them?

Who they are, and which job begins, is said in `Words`. Results, failures and specs are pickles: both sides have proved
by then that they hold the cluster's key.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from typing import Any

from mapreduce.dataclass import dataclass, replace
from mapreduce.dataflow.results import AttemptResult, Failure
from mapreduce.ids import WorkerId
from mapreduce.tracker.executor import (
    Cancelled,
    Failed,
    Finished,
    LogLines,
    Lost,
    NoWorkers,
    Progress,
    Ready,
    Report,
    WorkerSample,
)
from mapreduce.wire.messages import Frame, Kind, Message, Words
from mapreduce.workers.messages import decode_result, encode_result

HEARTBEAT_SECONDS = 1.0
SILENCE_SECONDS = 5.0
"""Five heartbeats that did not come. Both sides reckon so: an agent lets go of its attempts no later than the tracker
gives them to others, give or take the time that a message travels; what it sends later is not listened to."""

AWAY_SECONDS = 2.0
"""Who has not looked for so long (stopped, swapped out, asleep) can't tell that others were silent."""

Frames = Sequence[Frame]
_PROGRESS = struct.Struct("<QQQQd")
_PID = struct.Struct("<q")


@dataclass(frozen=True, slots=True)
class Begin(Words):
    """A job begins: by which name an agent keeps its files, and how much a worker may use. `shared` is the job's folder
    where all hosts see it, and else empty."""

    key: str
    memory_bytes: int = 0
    shared: str = ""


@dataclass(frozen=True, slots=True)
class Places(Words):
    """Where the data of each host is served: names, and an address for each."""

    hosts: tuple[str, ...]
    addresses: tuple[str, ...]

    def as_dict(self) -> dict[str, str]:
        return dict(zip(self.hosts, self.addresses, strict=True))


@dataclass(frozen=True, slots=True)
class CopyOrder(Words):
    """Copy an output: its path with the hosts that have it, and its size."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Have(Words):
    """A copy lies here: from which host so many bytes came and in which time; none if it lay here already."""

    source: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CopyTrouble(Words):
    """There is no copy here, and why. `ours`: for want of something on this host, whichever output it may be."""

    reason: str
    ours: bool = False


# --- what becomes of attempts


def encode_finished(result: AttemptResult) -> tuple[bytes, ...]:
    """A payload travels as a frame of its own, which nobody copies."""
    payload = result.output.inline
    if payload is None:
        return (encode_result(result),)
    return encode_result(replace(result, output=replace(result.output, inline=b""))), payload


def decode_finished(body: Frames) -> AttemptResult:
    result = decode_result(bytes(body[0]))
    if len(body) < 2:
        return result
    return replace(result, output=replace(result.output, inline=bytes(body[1])))


def encode_failure(failure: Failure) -> tuple[bytes, ...]:
    return (pickle.dumps(failure, protocol=5),)


def decode_failure(body: Frames) -> Failure:
    failure = pickle.loads(body[0])
    if not isinstance(failure, Failure):
        raise ValueError("not a failure")
    return failure


def encode_lost(report: Lost) -> tuple[bytes, ...]:
    return (pickle.dumps((report.reason, report.failure), protocol=5),)


def decode_lost(body: Frames) -> tuple[str, Failure | None]:
    reason, failure = pickle.loads(body[0])
    return str(reason), failure


def encode_progress(report: Progress) -> tuple[bytes, ...]:
    sample = report.sample
    figures = (sample.bytes_in, sample.records_in, sample.steps, sample.memory_bytes, sample.cpu_percent)
    return (_PROGRESS.pack(*figures),)


def decode_progress(body: Frames, worker: WorkerId, pid: int, attempt: Any) -> WorkerSample:
    bytes_in, records_in, steps, memory_bytes, percent = _PROGRESS.unpack(body[0])
    return WorkerSample(worker, pid, memory_bytes, percent, attempt, bytes_in, records_in, steps=steps)


def encode_pid(pid: int) -> tuple[bytes, ...]:
    return (_PID.pack(pid),)


def decode_pid(body: Frames) -> int:
    return int(_PID.unpack(body[0])[0])


def message_of(report: Report, job: int) -> Message:
    """What is said to the tracker of something that the pool reports."""
    match report:
        case Ready(worker, pid):
            return Message(Kind.READY, job, None, worker, encode_pid(pid))
        case Finished(worker, attempt, result):
            return Message(Kind.FINISHED, job, attempt, worker, encode_finished(result))
        case Failed(worker, attempt, failure):
            return Message(Kind.FAILED, job, attempt, worker, encode_failure(failure))
        case Cancelled(worker, attempt):
            return Message(Kind.CANCELLED, job, attempt, worker)
        case Progress(sample):
            return Message(Kind.PROGRESS, job, sample.attempt, sample.worker, encode_progress(report))
        case LogLines(worker, attempt, text):
            return Message(Kind.LOG, job, attempt, worker, (text.encode(errors="backslashreplace"),))
        case Lost(worker):
            return Message(Kind.LOST, job, None, worker, encode_lost(report))
        case NoWorkers(reason):
            return Message(Kind.NO_WORKERS, job, body=(reason.encode(errors="replace"),))
    raise AssertionError(f"a pool does not report {report!r}")

"""What do agent and tracker tell each other of themselves, and in which words go results between them?

Who they are, and which job begins, is said in `Words`. Results, failures and specs are pickles: both sides have proved
by then that they hold the cluster's key.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mapreduce.dataflow.results import AttemptResult, Failure
from mapreduce.ids import WorkerId
from mapreduce.tracker.executor import Lost, Progress, WorkerSample
from mapreduce.wire.messages import Frame, Words
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

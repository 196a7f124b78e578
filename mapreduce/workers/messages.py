"""What do pool and worker say to each other, and how does it look on the socket between them?

A message is a header of fixed size and a body. The header names the attempt, so that a worker can tell which attempt
fails when its body does not unpickle, and so that most messages need no pickle at all:

    pool -> worker    BEGIN      package of a job and the memory limit       START    pickled spec
                      CANCEL     -
    worker -> pool    HELLO      -                                           FINISHED result, as a plain tuple
                      FAILED     pickled Failure                             CANCELLED -
                      PROGRESS   five numbers                                LOG      lines as UTF-8
                      LEAVING    pickled Failure of the attempt, for want of memory; then the worker ends

The end of a pool, or of a worker, is the end of the stream. Both sides come from the same installation on one host, so
there is no version; between hosts `wire/` speaks.
"""

from __future__ import annotations

import pickle
import struct
from enum import IntEnum
from typing import NamedTuple

from mapreduce.dataflow.results import AttemptResult, Output, TaskStats
from mapreduce.ids import AttemptId, TaskId

_HEADER = struct.Struct("<QBIHII")  # bytes of body, kind, job, stage, index, number
_NO_STAGE = 0xFFFF
_PROGRESS = struct.Struct("<QQQQd")

RECEIVE_BYTES = 1 << 16


class Kind(IntEnum):
    """What a message says."""

    BEGIN = 0
    START = 1
    CANCEL = 2
    HELLO = 3
    FINISHED = 4
    FAILED = 5
    CANCELLED = 6
    PROGRESS = 7
    LOG = 8
    LEAVING = 9


class Message(NamedTuple):
    """One message. `job` numbers the pool's jobs from 1; messages of an earlier job are stale."""

    kind: int
    job: int
    attempt: AttemptId | None
    body: bytes


class Figures(NamedTuple):
    """Body of PROGRESS: how far the running attempt is, and what its process uses."""

    bytes_in: int
    records_in: int
    steps: int
    memory_bytes: int
    cpu_seconds: float


def encode(kind: int, job: int, attempt: AttemptId | None, body: bytes = b"") -> bytes:
    """The bytes of a message; `Inbox` is the inverse."""
    if attempt is None:
        return _HEADER.pack(len(body), kind, job, _NO_STAGE, 0, 0) + body
    (stage, index), number = attempt
    return _HEADER.pack(len(body), kind, job, stage, index, number) + body


class Inbox:
    """Turns received bytes into messages, however they were cut."""

    __slots__ = ("_rest", "_wanted")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._wanted = _HEADER.size  # bytes that the next message needs, as far as known

    @property
    def wanted(self) -> int:
        """How much to receive at once: the rest of a large message in one go."""
        return max(RECEIVE_BYTES, self._wanted - len(self._rest))

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        messages: list[Message] = []
        position, end, header_size = 0, len(data), _HEADER.size
        while end - position >= header_size:
            size, kind, job, stage, index, number = _HEADER.unpack_from(data, position)
            stop = position + header_size + size
            if stop > end:
                self._wanted = stop - position
                break
            attempt = None if stage == _NO_STAGE else AttemptId(TaskId(stage, index), number)
            messages.append(Message(kind, job, attempt, data[position + header_size : stop]))
            position = stop
            self._wanted = header_size
        if position < end:
            self._rest += data[position:]
        return messages


def encode_result(result: AttemptResult) -> bytes:
    """Flat, because pickling nested dataclasses costs ten times as much, and small tasks feel it."""
    output, stats = result.output, result.stats
    return pickle.dumps(
        (
            (output.path, output.inline, output.checksum, output.bytes),
            result.counters,
            (
                stats.bytes_in,
                stats.records_in,
                stats.records_out,
                stats.bytes_out,
                stats.seconds,
                stats.cpu_seconds,
                stats.peak_memory_bytes,
                stats.spills,
            ),
        ),
        protocol=5,
    )


def decode_result(body: bytes) -> AttemptResult:
    output, counters, stats = pickle.loads(body)
    return AttemptResult(Output(*output), counters, TaskStats(*stats))


def encode_figures(figures: Figures) -> bytes:
    return _PROGRESS.pack(*figures)


def decode_figures(body: bytes) -> Figures:
    return Figures(*_PROGRESS.unpack(body))

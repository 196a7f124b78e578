"""What does the pool know of one worker, and what does it say of its end?"""

from __future__ import annotations

import os
import signal
import time

from mapreduce.dataclass import replace
from mapreduce.dataflow.results import Failure, FailureKind
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.settings import MiB
from mapreduce.tracker.executor import WorkerSample
from mapreduce.tracker.recovery import lost_failure
from mapreduce.workers.limits import is_much
from mapreduce.workers.messages import Figures, Inbox
from mapreduce.workers.process import Process

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Member:
    """What the pool knows of one worker."""

    __slots__ = (
        "attempts", "cpu_at", "cpu_seconds", "ended_because", "heard_at", "id", "inbox", "job", "leaving", "outbox",
        "peak_bytes", "process", "ready", "sample", "started", "writing",
    )  # fmt: skip

    def __init__(self, worker: WorkerId, process: Process) -> None:
        self.id = worker
        self.process = process
        self.inbox = Inbox()
        self.outbox = bytearray()
        self.writing = False  # the selector waits for room in its channel
        self.started = time.monotonic()
        self.ready = False
        self.job = 0  # whose package it has
        # In order, and by when a cancel of each must be obeyed: infinite until its turn comes.
        self.attempts: dict[AttemptId, float | None] = {}
        self.sample: WorkerSample | None = None
        self.cpu_seconds = self.cpu_at = 0.0
        self.peak_bytes = 0  # of its attempt at hand, as far as was seen
        self.ended_because = ""
        self.leaving: Failure | None = None  # for want of memory
        self.heard_at = self.started  # or when it got something to do after it had nothing

    def looked_at(self, figures: Figures, attempt: AttemptId) -> WorkerSample:
        """Take note of how it is doing."""
        now = time.monotonic()
        passed, used = now - self.cpu_at, figures.cpu_seconds - self.cpu_seconds
        percent = 100 * used / passed if self.cpu_at and passed > 0 else 0.0
        self.cpu_at, self.cpu_seconds = now, figures.cpu_seconds
        self.peak_bytes = max(self.peak_bytes, figures.memory_bytes)
        self.sample = WorkerSample(
            self.id,
            self.process.pid,
            figures.memory_bytes,
            percent,
            attempt,
            figures.bytes_in,
            figures.records_in,
            steps=figures.steps,
        )
        return self.sample


def without_our_frames(words: str) -> str:
    """The traceback of a crash, the innermost frame first, ends where this package begins: a forked worker's stack goes
    on through all that led to the fork."""
    start = words.find("(most recent call first):")
    if start < 0:
        return words
    lines = words[start:].splitlines(keepends=True)
    frames = next((number for number, line in enumerate(lines) if PACKAGE in line), len(lines))
    rest = next((number for number in range(frames, len(lines)) if not lines[number].startswith("  File ")), len(lines))
    return words[:start] + "".join(lines[: max(2, frames)] + lines[max(2, rest) :])


def why_it_ended(member: Member, limit_bytes: int) -> str:
    """The reason of a worker's end, for people."""
    sample = member.sample
    ended = member.ended_because or member.process.how_it_ended()
    if member.attempts and ended == "ended with exit code 0":
        ended += " though it had work: the job's code ended the process"
    memory = ""
    if sample is not None and not member.ended_because:
        limit = f" (of {limit_bytes / MiB:,.0f} MiB allowed)" if limit_bytes else ""
        memory = f"; it held {sample.memory_bytes / MiB:,.0f} MiB of memory{limit} when last seen"
    hint = ""
    if _probably_for_memory(member, limit_bytes):
        hint = "; if nobody did so by hand the kernel ran out of memory: use fewer --workers or less --memory for each"
    return f"worker {member.id} (process {member.process.pid}) {ended}{memory}{hint}"


def _probably_for_memory(member: Member, limit_bytes: int) -> bool:
    """Whether the kernel ended it because memory ran out: it never says so, but kills large processes, by SIGKILL."""
    killed = not member.ended_because and member.process.exit_code() == -signal.SIGKILL
    return killed and is_much(member.peak_bytes, limit_bytes)


def failure_of(member: Member, why: str, limit_bytes: int) -> Failure:
    """How the attempt that the worker ran has failed."""
    failure = member.leaving
    if failure is None:
        failure = replace(lost_failure(why), peak_memory_bytes=member.peak_bytes, limit_bytes=limit_bytes)
        if _probably_for_memory(member, limit_bytes):
            failure = replace(failure, kind=FailureKind.MEMORY)
    return replace(failure, exit_code=member.process.exit_code())

"""Where is what the workers of a job printed? In the file `_log` of the output folder, a line each, with its task.

    [map 7] skipping an empty row
    [map 7, attempt 2] skipping an empty row
    [worker 3] numba: compiled without AVX

The file is there if anything was printed or logged, whichever way the job ended, and a resumed job appends to it. It is
bounded: what is full is kept as `_log.1`, in the place of an older one, so of a job that prints without end the last 16
to 32 MB are kept. Writing it never fails the job.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import BinaryIO

from mapreduce.ids import AttemptId, WorkerId
from mapreduce.tracker.observer import Observer
from mapreduce.tracker.outcome import JobOutcome
from mapreduce.tracker.plan import Plan

MAX_BYTES = 16_000_000
OLDER = ".1"

_log = logging.getLogger(__name__)


class PrintLog(Observer):
    """Appends to the file at `path`. Lines are with the system at once: they are few, or the user wants to watch."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file: BinaryIO | None = None
        self._bytes = 0
        self._plan: Plan | None = None
        self._broken = False

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        self._plan = plan

    def logged(self, worker: WorkerId, attempt: AttemptId | None, text: str) -> None:
        if self._broken:
            return
        tag = f"[{self._who(worker, attempt)}] "
        data = "".join(f"{tag}{line}\n" for line in text.splitlines()).encode("utf-8", "backslashreplace")
        try:
            self._write(data)
        except OSError as error:
            self._broken = True
            self._close()
            _log.warning("%s: not written any further (%s); the job goes on", self._path, error.strerror or error)

    def finished(self, outcome: JobOutcome) -> None:
        self._close()

    def _who(self, worker: WorkerId, attempt: AttemptId | None) -> str:
        if attempt is None or self._plan is None:
            return f"worker {worker}"
        name = self._plan.task_name(attempt.task)
        return f"{name}, attempt {attempt.number + 1}" if attempt.number else name

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = open(self._path, "ab", buffering=0)  # closed by `finished`
            self._bytes = os.fstat(self._file.fileno()).st_size
        if self._bytes and self._bytes + len(data) > self._max_bytes:
            self._file.close()
            self._file = None
            os.replace(self._path, str(self._path) + OLDER)
            self._file = open(self._path, "ab", buffering=0)
            self._bytes = 0
        self._file.write(data)
        self._bytes += len(data)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

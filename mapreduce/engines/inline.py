"""How does a job run right here, in the caller's own process and thread?

The reference that other engines are compared with, and the place for a debugger: `breakpoint()` in a map works, prints
go to the terminal, and Ctrl-C ends the job. One worker, which runs an attempt whenever the driver waits.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.results import AttemptResult
from mapreduce.dataflow.run_attempt import run_attempt
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.tracker.executor import Cancelled, Failed, Finished, Ready, Report
from mapreduce.tracker.interrupts import quit_debugger
from mapreduce.workers.failures import describe

ONLY = WorkerId(0)


class _Waiting(NamedTuple):
    attempt: AttemptId
    spec: Any


class InlineExecutor:
    """One job in this process. `run_attempt(context, attempt, spec, monitor)` is called inside `wait`."""

    runs_here = True

    def __init__(
        self,
        context: Any,
        run_attempt: Callable[[Any, AttemptId, Any, Monitor], AttemptResult] = run_attempt,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._context = context
        self._run_attempt = run_attempt
        self._sleep = sleep
        self._waiting: deque[_Waiting] = deque()
        self._reports: list[Report] = [Ready(ONLY, os.getpid())]

    def workers(self) -> Sequence[WorkerId]:
        return ()

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        self._waiting.append(_Waiting(attempt, spec))

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        for waiting in self._waiting:
            if waiting.attempt == attempt:
                self._waiting.remove(waiting)
                self._reports.append(Cancelled(worker, attempt))
                return

    def wait(self, timeout_seconds: float) -> list[Report]:
        if self._waiting and not self._reports:
            self._reports.append(self._run(self._waiting.popleft()))
        elif not self._reports:
            self._sleep(timeout_seconds)  # a task rests after a failure
        reports, self._reports = self._reports, []
        return reports

    def close(self) -> None:
        self._waiting.clear()

    def _run(self, waiting: _Waiting) -> Report:
        monitor = Monitor()
        try:
            with _in_folder(self._context):
                result = self._run_attempt(self._context, waiting.attempt, waiting.spec, monitor)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or quit_debugger(error):
                raise
            return Failed(ONLY, waiting.attempt, describe(error, monitor, skip_frames=1))
        return Finished(ONLY, waiting.attempt, result)


def _in_folder(context: Any) -> AbstractContextManager[None]:
    """Where the job finds its further files: for as long as it runs, as this process is the caller's."""
    if not getattr(context, "files_folder", ""):
        return nullcontext()
    from mapreduce.dataflow.job_files import in_folder

    return in_folder(context.files_folder)

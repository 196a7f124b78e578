"""An executor on a pool of real processes, with all that it ever reported."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, TypeVar

from mapreduce.engines.local import LocalExecutor
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.executor import Finished, LogLines, Ready, Report
from mapreduce.workers.pool import Pool

PATIENCE_SECONDS = 20.0


R = TypeVar("R")


class Harness:
    """An executor with all that it ever reported."""

    def __init__(self, pool: Pool, package: object = "the context", memory_bytes: int = 0) -> None:
        self.pool = pool
        self.executor = LocalExecutor(pool, lambda: package, memory_bytes)
        self.reports: list[Report] = []
        self.attempts = 0

    def until(self, kind: type[R], count: int = 1) -> R:
        """Wait for the `count`-th report of a kind."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found := [report for report in self.reports if isinstance(report, kind)]) < count:
            assert time.monotonic() < deadline, f"no {kind.__name__} among {self.reports}"
            self.reports += self.executor.wait(0.5)
        return found[count - 1]

    def worker(self) -> WorkerId:
        while not (ready := self.executor.workers()):
            self.until(Ready, 1 + sum(isinstance(report, Ready) for report in self.reports))
        return ready[0]

    def start(self, action: str, argument: Any = None, worker: WorkerId | None = None) -> AttemptId:
        attempt = AttemptId(TaskId(0, self.attempts), 0)
        self.attempts += 1
        self.executor.start(attempt, self.worker() if worker is None else worker, (action, argument))
        return attempt

    def value(self, action: str, argument: Any = None) -> Any:
        """What an attempt returns."""
        self.start(action, argument)
        done = self.until(Finished, 1 + sum(isinstance(report, Finished) for report in self.reports))
        return eval((done.result.output.inline or b"").decode())

    def log(self) -> str:
        return "".join(report.text for report in self.reports if isinstance(report, LogLines))


def children() -> set[str]:
    """Our processes, zombies included; other tests' engines may live for the whole session."""
    lists = [thread / "children" for thread in Path("/proc/self/task").iterdir()]
    return {pid for path in lists for pid in path.read_text().split()}

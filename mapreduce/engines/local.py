"""How does a job run on the processes of this machine?"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

from mapreduce.dataclass import replace
from mapreduce.dataflow.results import FailureKind
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.storage.traffic import Links
from mapreduce.tracker.executor import Failed, Report
from mapreduce.workers.failures import describe
from mapreduce.workers.pool import Pool

SETTLE_SECONDS = 0.5


class LocalExecutor:
    """One job on a pool, which may have run others before. What `pack` makes reaches each worker that gets an attempt,
    once; or what is `inherited`, see `Pool.begin`. Closing it leaves the pool idle and open."""

    runs_here = False

    def __init__(
        self, pool: Pool, pack: Callable[[], object], memory_bytes: int | None = None, inherited: object = None
    ) -> None:
        self._pool = pool
        self._unsent: list[Report] = []
        self._open = True
        self.moved: Links = {}  # in messages, once it is closed
        pool.begin(pack, memory_bytes, inherited)

    def workers(self) -> Sequence[WorkerId]:
        return self._pool.ready()

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        try:
            data = pickle.dumps(spec, protocol=5)
        except Exception as error:  # e.g. a key of a class that cannot be pickled, among the cuts of a sort
            self._unsent.append(Failed(worker, attempt, replace(describe(error), kind=FailureKind.USER)))
            return
        self._pool.start(attempt, worker, data)

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        self._pool.cancel(attempt, worker)

    def wait(self, timeout_seconds: float) -> list[Report]:
        if not self._unsent:
            return self._pool.wait(timeout_seconds)
        reports, self._unsent = self._unsent, []
        return reports + self._pool.wait(0)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._pool.settle(SETTLE_SECONDS)
            self.moved = self._pool.tally.links()

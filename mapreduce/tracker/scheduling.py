"""Which worker gets the next ready task?

Which task is next is the ledger's order: deepest stage, then lowest index. The worker comes from those that hold the
fewest attempts: the one that the plan prefers, else the one that has waited longest.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from mapreduce.ids import TaskId, WorkerId

Preferences = Callable[[TaskId], WorkerId | None]
"""Where a task would best run, because its input or its cache is there."""

NOWHERE: frozenset[WorkerId] = frozenset()


def choose_worker(
    free: Mapping[WorkerId, None], preferred: WorkerId | None = None, avoided: Container[WorkerId] = NOWHERE
) -> WorkerId | None:
    """A worker of `free` (longest waiting first) that is not avoided; None if all are. Quick: tasks avoid few."""
    if preferred is not None and preferred in free and preferred not in avoided:
        return preferred
    for worker in free:
        if worker not in avoided:
            return worker
    return None

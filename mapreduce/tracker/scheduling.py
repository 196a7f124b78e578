"""Which ready task goes to which worker, and when shall a worker wait, or take over what is queued behind another?

Which task is next is the ledger's order: deepest stage, then lowest index. The worker comes from those that hold the
fewest attempts: the one that has waited longest. A task that failed is kept from the workers on which it did for a
while, and one that had too little memory goes to the newest worker, which has run the least. Where tasks have their
input on some hosts, `placement` says which is next for that worker.

The scheduler looks at the tracker's books and says what to start; the tracker does so. On its own it only sets workers
aside, for which nothing that is ready is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from mapreduce.ids import TaskId, WorkerId
from mapreduce.tracker.events import WorkerJoined
from mapreduce.tracker.ledger import Ledger
from mapreduce.tracker.placement import Placement, Queues, Sources
from mapreduce.tracker.plan import NeedsKind, Plan
from mapreduce.tracker.policy import Policy
from mapreduce.tracker.recovery import Trouble, needs_memory
from mapreduce.tracker.slots import Attempt, Slots

NOWHERE: frozenset[WorkerId] = frozenset()


class Scheduler:
    """Decides for one job."""

    def __init__(
        self,
        plan: Plan,
        policy: Policy,
        ledger: Ledger,
        slots: Slots,
        troubles: Mapping[TaskId, Trouble],
        placement: Placement,
        sources: Sources | None,
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._slots = slots
        self._troubles = troubles
        self._queues: Queues | None = None  # of the tasks by the hosts of their input, where that matters
        self.sets_aside = False
        if sources and placement is not Placement.BALANCE:
            self._queues = Queues(placement, policy, sources, ledger.is_ready)
            self.sets_aside = True
            ledger.came_back = []
        self._placed_stage = -1

    # What it must be told

    def joined(self, event: WorkerJoined) -> None:
        """Of a worker that has slots now."""
        if self._queues is not None:
            self._queues.joined(event.worker, event.host)

    def gone(self, worker: WorkerId) -> None:
        """Of a worker that will have no slots any more: others may take what was meant for its host."""
        if self._queues is not None:
            self._queues.gone(worker)
            self._slots.unpark_all()

    def tick(self, time: float) -> None:
        """Hosts that have waited long enough for work of their own look at all there is."""
        if self._queues is not None:
            self._slots.unpark(self._queues.impatient(time))

    def due(self) -> float | None:
        """When `tick` has something to do; None if it never will."""
        return self._queues.due() if self._queues is not None else None

    # What it says

    def look_again(self) -> None:
        """Workers that were set aside look again if another stage has its turn, or tasks are ready that were not."""
        queues = self._queues
        assert queues is not None
        task = self._ledger.next_ready()
        stage = task.stage if task is not None else -1
        came_back = self._ledger.came_back
        if stage != self._placed_stage or came_back:
            self._placed_stage = stage
            self._slots.unpark_all()
        for task in came_back or ():
            if queues.knows(task):
                queues.came_back(task)
        if came_back:
            came_back.clear()

    def match(self, time: float, *, queueing: bool) -> tuple[TaskId, WorkerId | None] | None:
        """A ready task, and the worker on which it shall start; no worker if those that are free are none for it. None
        if nothing is ready or nobody is free: without `queueing`, idle."""
        while free := self._slots.emptiest() if queueing else self._slots.idle:
            task = self._ledger.next_ready()
            if task is None:
                return None
            if self._queues is not None and self._queues.knows(task):
                worker = next(iter(free))
                task = self._queues.choose(worker, task.stage, time)
                if task is None:
                    self._slots.park(worker)
                    continue
            if self._troubles:
                return task, self._worker_for(task, free, time)
            for worker in free:
                return task, worker
        return None

    def take_over(self, time: float) -> tuple[Attempt, WorkerId] | None:
        """Nothing is ready and a worker is idle: what it takes over that is queued behind another."""
        queued = self._longest_queued()
        if queued is None:
            return None
        idle = next(iter(self._slots.idle))
        if self._queues is not None and not self._queues.may_take(idle, queued.id.task, time):
            return None
        return queued, idle

    def _worker_for(self, task: TaskId, free: Mapping[WorkerId, None], time: float) -> WorkerId | None:
        """Where tasks have failed: any of the free but those on which this one did, if it still avoids them."""
        avoided = self._avoided(task, time)
        if self._slots.idle and needs_memory(self._troubles, task):
            newest = max(self._slots.idle)
            if newest not in avoided:
                return newest
        return next((worker for worker in free if worker not in avoided), None)

    def _avoided(self, task: TaskId, time: float) -> Set[WorkerId]:
        """Workers on which the task failed, while there are others and it has not waited for them for too long."""
        trouble = self._troubles.get(task)
        if trouble is None or time >= trouble.avoid_until:
            return NOWHERE
        alive = sum(worker in self._slots for worker in trouble.workers)
        return trouble.workers if alive < len(self._slots) else NOWHERE

    def _longest_queued(self) -> Attempt | None:
        """Of the queued attempts that have their inputs. Those of a shut stage are passed over as one: there may be ten
        thousand of them, and this is asked with every event."""
        longest: Attempt | None = None
        for queue in self._slots.queued():
            for attempt in queue:
                if self._ledger.has_inputs(attempt.id.task):
                    if longest is None or attempt.step < longest.step:
                        longest = attempt
                    break
                if self._plan.stages[attempt.id.task.stage].needs.kind is NeedsKind.ALL:
                    break
        return longest

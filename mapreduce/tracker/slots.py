"""Which worker has room for an attempt, and what does each hold?

Workers lie in levels by the number of attempts they hold: level 0 has nothing to do, the last level is full. Each level
keeps the order in which workers came into it, so whoever has waited longest is served first. Everything here takes the
same time for two workers as for ten thousand.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from mapreduce.dataclass import dataclass
from mapreduce.errors import InternalError
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.tracker.states import ATTEMPT_TABLE, AttemptCause, AttemptState, next_attempt_state

Level = OrderedDict[WorkerId, None]


@dataclass(slots=True, eq=False)
class Attempt:
    """An attempt that holds a slot. `step` is the event, counted from the start, at which it was started; with `alone`
    nothing is queued behind it. `began_at` is when it began to run, `heard_at` when its worker last spoke."""

    id: AttemptId
    worker: WorkerId
    step: int
    state: AttemptState
    progressed_at: float
    work_done: int = -1
    alone: bool = False
    began_at: float = 0.0
    heard_at: float = 0.0

    def __post_init__(self) -> None:
        self.began_at = self.heard_at = self.progressed_at

    def move(self, cause: AttemptCause) -> None:
        """Follow the table of attempts."""
        after = ATTEMPT_TABLE.get((self.state, cause))
        self.state = after if after is not None else next_attempt_state(str(self.id), self.state, cause)

    @property
    def wanted(self) -> bool:
        return self.state is not AttemptState.CANCELLING


class Slots:
    """The workers and their attempts: `depth` each, the first of them running, the others queued."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._held: dict[WorkerId, list[Attempt]] = {}
        self._levels: list[Level] = [OrderedDict() for _ in range(depth + 1)]
        self.idle = self._levels[0]  # workers that hold nothing; to be read
        self._alone: set[WorkerId] = set()  # workers with an attempt behind which nothing is queued
        self._parked: dict[WorkerId, None] = {}  # have room, and are in no level: what is ready is not for them
        self._queued: dict[int, OrderedDict[AttemptId, Attempt]] = {}  # by stage

    def __contains__(self, worker: object) -> bool:
        return worker in self._held

    def __len__(self) -> int:
        return len(self._held)

    def emptiest(self) -> Level | None:
        """The workers with the fewest attempts, if they have room: work spreads before it queues."""
        for level in self._levels[:-1]:
            if level:
                return level
        return None

    def queued(self) -> Iterator[Iterable[Attempt]]:
        """The attempts that wait behind another, the longest waiting first: each stage's by themselves."""
        return (queue.values() for queue in self._queued.values() if queue)

    def attempts(self) -> Iterator[Attempt]:
        """All attempts that hold a slot."""
        return (attempt for held in self._held.values() for attempt in held)

    def join(self, worker: WorkerId) -> None:
        self._held[worker] = []
        self._levels[0][worker] = None

    def park(self, worker: WorkerId) -> None:
        """Set aside a worker that has room, until one of its attempts ends or `unpark`."""
        del self._levels[len(self._held[worker])][worker]
        self._parked[worker] = None

    def unpark(self, workers: Iterable[WorkerId]) -> None:
        """Bring back those of the workers that were set aside."""
        for worker in workers:
            if worker in self._parked:
                del self._parked[worker]
                self._levels[len(self._held[worker])][worker] = None

    def unpark_all(self) -> None:
        if self._parked:
            self.unpark(list(self._parked))

    def leave(self, worker: WorkerId) -> list[Attempt]:
        """The worker is gone; what it held, the running one first."""
        held = self._held.pop(worker)
        if worker in self._parked:
            del self._parked[worker]
        else:
            del self._levels[self._depth if worker in self._alone else len(held)][worker]
        self._alone.discard(worker)
        for attempt in held:
            self._dequeue(attempt)
        return held

    def put(self, attempt_id: AttemptId, worker: WorkerId, time: float, step: int, *, alone: bool = False) -> Attempt:
        """A new attempt on a worker that has room: running if the worker is idle, else queued. With `alone` the worker
        is full until it has ended."""
        held = self._held[worker]
        level = self._depth if worker in self._alone else len(held)
        if level >= self._depth:
            raise InternalError(f"worker {worker} has {len(held)} attempts and no room for {attempt_id}")
        state = AttemptState.QUEUED if held else AttemptState.RUNNING
        attempt = Attempt(attempt_id, worker, step, state, time, alone=alone)
        if held:
            queue = self._queued.get(attempt_id.task.stage)
            if queue is None:
                queue = self._queued[attempt_id.task.stage] = OrderedDict()
            queue[attempt_id] = attempt
        held.append(attempt)
        del self._levels[level][worker]
        if alone:
            self._alone.add(worker)
            level = self._depth - 1
        self._levels[level + 1][worker] = None
        return attempt

    def take(self, attempt: Attempt, time: float) -> None:
        """The attempt holds its slot no longer; the next in its worker's queue begins."""
        worker = attempt.worker
        held = self._held[worker]
        if self._parked:
            self.unpark((worker,))
        level = self._depth if worker in self._alone else len(held)
        del self._levels[level][worker]
        held.remove(attempt)
        self._dequeue(attempt)
        if worker in self._alone:
            level = self._leave_alone(worker, held)
        self._levels[level - 1][worker] = None
        if held:
            self.begin(held[0], time)

    def _leave_alone(self, worker: WorkerId, held: list[Attempt]) -> int:
        """Level from which the worker comes down, now that it holds these."""
        if any(attempt.alone for attempt in held):
            return self._depth + 1
        self._alone.discard(worker)
        return len(held) + 1

    def begin(self, attempt: Attempt, time: float) -> None:
        """A queued attempt has begun to run; its patience counts from now."""
        if attempt.state is AttemptState.QUEUED:
            attempt.move(AttemptCause.TURN_CAME)
            attempt.progressed_at = attempt.began_at = attempt.heard_at = time
            self._dequeue(attempt)

    def cancel(self, attempt: Attempt) -> None:
        """The attempt is no longer wanted; it keeps its slot until its worker says so."""
        attempt.move(AttemptCause.CANCEL)
        self._dequeue(attempt)

    def _dequeue(self, attempt: Attempt) -> None:
        queue = self._queued.get(attempt.id.task.stage)
        if queue:
            queue.pop(attempt.id, None)

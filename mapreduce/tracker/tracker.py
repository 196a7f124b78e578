"""Something happened: what shall be done now?

The tracker decides everything about a job and does nothing itself. It has no clock, no thread, no file and no
randomness: `handle` takes an event, changes the tracker's own books, and returns commands.

    workers ---reports---> driver ---event---> Tracker.handle ---[command]---> driver ---> workers, output, journal
                                                   |
                        ledger (tasks)    slots (workers, attempts)    scheduling, recovery, speculation (policies)

What always holds, whatever comes in whatever order (tests/tracker/test_interleavings.py):

  - A task's output is committed once, and again only after that output was lost. The first attempt to finish wins.
  - Every attempt that holds a slot is in `slots`, once, until its worker reports its end or is lost. A report about any
    other attempt is late: its output is discarded, unless it is the very output that was committed.
  - A task that runs has at least one attempt that is still wanted, and at most two.
  - Once faults stop, every job ends: each task that is not done is ready, resting until a tick, running on a worker, or
    waiting for such a task; and failures, rests and lost inputs are bounded.

An event costs the same time however many tasks there are. Only a tick once in a while looks at all running attempts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush

from mapreduce.dataflow.results import AttemptResult, Failure
from mapreduce.errors import InternalError
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.commands import (
    CancelAttempt,
    Command,
    Commit,
    Discard,
    FinishJob,
    NoteFailure,
    Outcome,
    OutcomeKind,
    Relocate,
    StartAttempt,
)
from mapreduce.tracker.events import (
    AllWorkersGone,
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    AttemptProgressed,
    Event,
    OutputLost,
    OutputMoved,
    Stop,
    Tick,
    WorkerJoined,
    WorkerLost,
)
from mapreduce.tracker.ledger import Ledger
from mapreduce.tracker.placement import Placement, Queues, Sources
from mapreduce.tracker.plan import NeedsKind, Plan
from mapreduce.tracker.policy import Backups, Policy
from mapreduce.tracker.recovery import (
    TIMED_OUT,
    Trouble,
    Verdict,
    judge,
    lost_failure,
    reason_to_give_up,
    rest_seconds,
    timeout_failure,
)
from mapreduce.tracker.scheduling import NOWHERE, Preferences, choose_worker
from mapreduce.tracker.slots import Attempt, Slots
from mapreduce.tracker.speculation import Durations, choose_backups, has_timed_out
from mapreduce.tracker.states import AttemptCause, AttemptState, TaskState


class Tracker:
    """The state machine of one job. Give it every event in order and carry out every command in order."""

    def __init__(
        self,
        plan: Plan,
        policy: Policy | None = None,
        preferences: Preferences | None = None,
        first_attempt: int = 0,
        placement: Placement = Placement.BALANCE,
        sources: Sources | None = None,
    ) -> None:
        self.plan = plan
        self.policy = policy or Policy()
        self._preferences = preferences
        self._ledger = Ledger(plan, first_attempt)
        self._slots = Slots(self.policy.queue_depth)
        self._queues: Queues | None = None  # of the tasks by the hosts of their input, where that matters
        if sources and placement is not Placement.BALANCE:
            self._queues = Queues(placement, self.policy, sources, self._ledger.is_ready)
            self._ledger.came_back = []
        self._placed_stage = -1
        self._attempts: dict[AttemptId, Attempt] = {}  # those that hold a slot
        self._wanted: dict[TaskId, list[Attempt]] = {}  # of each running task, those not being cancelled
        self._troubles: dict[TaskId, Trouble] = {}
        self._rests: list[tuple[float, TaskId]] = []  # a heap
        self._replaced: dict[TaskId, int] = {}  # step since which an output that was lost or moved is where it is
        self._commands: list[Command] = []
        self._outcome: Outcome | None = None
        self._time = 0.0
        self._step = 0  # events handled
        self._next_watch = -math.inf
        self._durations = [Durations() for _ in plan.stages] if self.policy.backups is Backups.SLOW else []
        self._any_worker_yet = False

    def handle(self, event: Event) -> list[Command]:
        """What to do about the event, in this order. Raises InternalError for what a right executor never reports."""
        commands: list[Command] = []
        self._commands = commands
        self._time = event.time
        self._step += 1
        if self._outcome is not None:
            self._after_the_end(event)
            return commands
        match event:
            case AttemptFinished():
                self._finished(event)
            case AttemptProgressed():
                self._progressed(event)
                return commands
            case WorkerJoined():
                self._joined(event)
            case AttemptFailed():
                self._failed(event)
            case AttemptCancelled():
                self._obeyed(event)
            case WorkerLost():
                self._worker_lost(event)
            case OutputLost():
                self._output_lost(event.task)
            case OutputMoved():
                self._output_moved(event)
            case Tick():
                self._tick()
            case AllWorkersGone():
                self._end(Outcome(OutcomeKind.FAILED, f"no worker is left: {event.reason}"))
            case Stop():
                self._end(Outcome(OutcomeKind.STOPPED, event.reason))
        if self._outcome is None:
            if self._ledger.complete:
                self._end(Outcome(OutcomeKind.SUCCEEDED))
            else:
                # Joining workers come one by one: queueing behind the first would take from those about to join.
                self._assign(queueing=not isinstance(event, WorkerJoined))
        return commands

    # What may be asked, at any time

    @property
    def outcome(self) -> Outcome | None:
        """How the job ended; None while it runs."""
        return self._outcome

    def task_state(self, task: TaskId) -> TaskState:
        return self._ledger.state(task)

    def committed(self, task: TaskId) -> AttemptId | None:
        """The attempt whose output is the task's; None if it has none."""
        return self._ledger.committed(task)

    def done(self, stage: int) -> int:
        """Tasks of the stage that are done."""
        return self._ledger.done(stage)

    def attempts_held(self) -> list[AttemptId]:
        """Attempts that still owe a report."""
        return list(self._attempts)

    def wake_time(self) -> float | None:
        """By when a Tick is due at the latest; None if nothing depends on time."""
        if self._outcome is not None:
            return None
        rest = self._rests[0][0] if self._rests else None
        watch = max(self._next_watch, self._time) if self._attempts else None
        wait = self._queues.due() if self._queues else None
        return min((due for due in (rest, watch, wait) if due is not None), default=None)

    # What happened

    def _finished(self, event: AttemptFinished) -> None:
        attempt = self._attempts.get(event.attempt)
        if attempt is None:
            self._finished_unknown(event.attempt, event.result)
            return
        self._release(attempt)
        if self._ledger.is_done(event.attempt.task):
            attempt.move(AttemptCause.FINISHED_LATER)
            self._commands.append(Discard(event.attempt, event.result.output))
            return
        attempt.move(AttemptCause.FINISHED_FIRST)
        if self._durations:
            self._durations[event.attempt.task.stage].add(event.time - attempt.began_at)
        self._commit(event.attempt, event.result)

    def _finished_unknown(self, attempt: AttemptId, result: AttemptResult) -> None:
        """Of an attempt that holds no slot: replayed from the journal, reported twice, or of a worker given up."""
        if self._is_replayed(attempt) and not self._ledger.is_done(attempt.task):
            self._commit(attempt, result)
        elif not self._ledger.is_committed(attempt):
            self._commands.append(Discard(attempt, result.output))

    def _progressed(self, event: AttemptProgressed) -> None:
        attempt = self._attempts.get(event.attempt)
        if attempt is None:
            return
        self._slots.begin(attempt, event.time)
        attempt.heard_at = event.time
        if event.work_done != attempt.work_done:
            attempt.work_done = event.work_done
            attempt.progressed_at = event.time

    def _failed(self, event: AttemptFailed) -> None:
        attempt = self._attempts.get(event.attempt)
        step, counts = self._step, False
        if attempt is not None:
            step, counts = attempt.step, attempt.wanted
            self._release(attempt)
            attempt.move(AttemptCause.FAILED)
        elif not self._is_replayed(event.attempt):
            return
        for lost in event.failure.lost:
            if self._replaced.get(lost, -1) <= step:  # else it looked for an output that is elsewhere since
                self._output_lost(lost)
        if attempt is not None and counts:
            self._count_failure(attempt, event.failure)

    def _obeyed(self, event: AttemptCancelled) -> None:
        attempt = self._attempts.get(event.attempt)
        if attempt is not None:
            attempt.move(AttemptCause.OBEYED)
            self._release(attempt)

    def _joined(self, event: WorkerJoined) -> None:
        self._any_worker_yet = True
        if event.worker not in self._slots:
            self._slots.join(event.worker)
            if self._queues is not None:
                self._queues.joined(event.worker, event.host)

    def _worker_lost(self, event: WorkerLost) -> None:
        if event.worker not in self._slots:
            return
        if self._queues is not None:
            self._queues.gone(event.worker)
            self._slots.unpark_all()
        for attempt in self._slots.leave(event.worker):
            del self._attempts[attempt.id]
            before = attempt.state
            attempt.move(AttemptCause.WORKER_LOST)
            if self._outcome is not None:
                continue
            if before is AttemptState.RUNNING and not event.withdrawn:
                self._count_failure(attempt, event.failure or lost_failure(event.reason, event.place))
            elif before is not AttemptState.CANCELLING:  # it was not there when the worker died
                self._drop(attempt, Verdict.RUN_AGAIN)

    def _output_lost(self, task: TaskId) -> None:
        if self._ledger.lose_output(task):
            self._replaced[task] = -1

    def _output_moved(self, event: OutputMoved) -> None:
        """Who began before and could not read it where it was has not seen it lost."""
        if self._ledger.is_committed(event.attempt):
            self._replaced[event.attempt.task] = self._step
            self._commands.append(Relocate(event.attempt, event.path))

    def _tick(self) -> None:
        while self._rests and self._rests[0][0] <= self._time:
            self._ledger.rest_over(heappop(self._rests)[1])
        if self._queues is not None:
            self._slots.unpark(self._queues.impatient(self._time))
        if self._time >= self._next_watch:
            self._next_watch = self._time + self.policy.watch_seconds
            self._watch()

    def _watch(self) -> None:
        """Give up attempts that stood still for too long, and back up those that have stood still for long."""
        late = [attempt for attempt in self._slots.attempts() if has_timed_out(attempt, self._time, self.policy)]
        for attempt in late:
            if self._outcome is None and attempt.wanted:
                self._cancel(attempt, TIMED_OUT)
                self._count_failure(attempt, timeout_failure(self.policy))
        if self._outcome is None and self._slots.idle:
            self._assign()
            if not self._slots.idle:
                return
            for attempt in choose_backups(self._slots.attempts(), self._time, self.policy, self._typical_seconds()):
                task = attempt.id.task
                if self._slots.idle and len(self._wanted[task]) == 1 and self._ledger.has_inputs(task):
                    self._start(task, next(iter(self._slots.idle)), backup=True)

    def _typical_seconds(self) -> Callable[[int], float]:
        """By stage, how long a task usually takes; infinite for a stage that is far from its end."""
        if self.policy.backups is not Backups.SLOW:
            return lambda _: math.inf
        seconds = [
            self._durations[number].median()
            if self._ledger.done(number) >= self.policy.slow_share_done * stage.tasks
            else math.inf
            for number, stage in enumerate(self.plan.stages)
        ]
        return seconds.__getitem__

    def _after_the_end(self, event: Event) -> None:
        """Nothing more is decided. But attempts still end, and an output that comes now must be removed by somebody."""
        if isinstance(event, AttemptFinished | AttemptFailed | AttemptCancelled):
            attempt = self._attempts.get(event.attempt)
            if attempt is not None:
                self._release(attempt)
        elif isinstance(event, WorkerLost) and event.worker in self._slots:
            for attempt in self._slots.leave(event.worker):
                del self._attempts[attempt.id]
        if isinstance(event, AttemptFinished) and not self._ledger.is_committed(event.attempt):
            self._commands.append(Discard(event.attempt, event.result.output))

    # What follows

    def _commit(self, attempt: AttemptId, result: AttemptResult) -> None:
        task = attempt.task
        self._ledger.commit(attempt)
        self._commands.append(Commit(attempt, result))
        for other in self._wanted.pop(task, ()):
            if other.id != attempt:
                self._cancel(other, "another attempt was first")
        if self._troubles:
            self._troubles.pop(task, None)
        if self._replaced and task in self._replaced:
            self._replaced[task] = self._step

    def _count_failure(self, attempt: Attempt, failure: Failure) -> None:
        """An attempt that was wanted has ended without output."""
        task = attempt.id.task
        trouble = self._troubles.setdefault(task, Trouble())
        verdict = judge(failure, trouble, attempt.worker, self.policy)
        self._commands.append(NoteFailure(attempt.id, attempt.worker, failure, verdict.value))
        if verdict is Verdict.GIVE_UP:
            self._ledger.fail(task)
            reason = reason_to_give_up(self.plan.task_name(task), failure, trouble)
            self._end(Outcome(OutcomeKind.FAILED, reason, task, failure))
        else:
            self._drop(attempt, verdict)

    def _drop(self, attempt: Attempt, verdict: Verdict) -> None:
        """An attempt is no more. If it was the task's last, the task is ready again, at once or after a rest."""
        task = attempt.id.task
        wanted = self._wanted.get(task, [])
        if attempt in wanted:
            wanted.remove(attempt)
        if wanted:
            return
        self._wanted.pop(task, None)
        ready = self._ledger.last_attempt_died(task)
        trouble = self._troubles.get(task)
        if trouble is None:
            return
        rest = rest_seconds(trouble.failures, self.policy) if verdict is Verdict.RUN_AFTER_REST else 0.0
        trouble.avoid_until = self._time + rest + self.policy.avoid_seconds
        if ready and rest:
            self._hold_back(task, self._time + rest)

    def _hold_back(self, task: TaskId, until: float) -> None:
        self._ledger.hold_back(task)
        heappush(self._rests, (until, task))

    def _assign(self, *, queueing: bool = True) -> None:
        """Ready tasks to free slots, as long as there are both; without `queueing` to idle workers only."""
        if self._queues is not None:
            self._wake(self._queues)
        while free := self._slots.emptiest() if queueing else self._slots.idle:
            task = self._ledger.next_ready()
            if task is None:
                if self._slots.idle:
                    self._relieve_queues()
                return
            if self._queues is not None and self._queues.knows(task):
                preferred: WorkerId | None = next(iter(free))
                task = self._queues.choose(next(iter(free)), task.stage, self._time)
                if task is None:
                    self._slots.park(next(iter(free)))
                    continue
            else:
                preferred = self._preferences(task) if self._preferences else None
            if self._troubles and self._is_frugal(task) and self._slots.idle:
                preferred = max(self._slots.idle)  # the newest worker, which has run the least
            avoided = self._avoided(task) if self._troubles else NOWHERE
            worker = choose_worker(free, preferred, avoided)
            if worker is None:
                self._hold_back(task, self._time + self.policy.first_rest_seconds)
            else:
                self._start(task, worker)

    def _wake(self, queues: Queues) -> None:
        """Workers that were set aside look again if another stage has its turn, or tasks are ready that were not."""
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

    def _avoided(self, task: TaskId) -> frozenset[WorkerId] | set[WorkerId]:
        """Workers on which the task failed, while there are others and it has not waited for them for too long."""
        trouble = self._troubles.get(task)
        if trouble is None or self._time >= trouble.avoid_until:
            return NOWHERE
        alive = sum(worker in self._slots for worker in trouble.workers)
        return trouble.workers if alive < len(self._slots) else NOWHERE

    def _is_frugal(self, task: TaskId) -> bool:
        trouble = self._troubles.get(task)
        return trouble is not None and trouble.needs_memory

    def _relieve_queues(self) -> None:
        """Nothing is ready and workers are idle: they take over what is queued behind others."""
        while self._slots.idle:
            queued = self._longest_queued()
            if queued is None:
                return
            idle = next(iter(self._slots.idle))
            if self._queues is not None and not self._queues.may_take(idle, queued.id.task, self._time):
                return
            self._start(queued.id.task, idle)
            self._cancel(queued, "an idle worker takes it over")

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
                if self.plan.stages[attempt.id.task.stage].needs.kind is NeedsKind.ALL:
                    break
        return longest

    def _start(self, task: TaskId, worker: WorkerId, *, backup: bool = False) -> None:
        frugal = bool(self._troubles) and self._is_frugal(task)
        attempt_id = self._ledger.start(task)
        attempt = self._slots.put(attempt_id, worker, self._time, self._step, alone=frugal)
        self._attempts[attempt_id] = attempt
        wanted = self._wanted.get(task)
        if wanted is None:
            self._wanted[task] = [attempt]
        else:
            wanted.append(attempt)
        self._commands.append(StartAttempt(attempt_id, worker, backup, frugal))

    def _cancel(self, attempt: Attempt, reason: str) -> None:
        """No longer wanted. It holds its slot until its worker reports."""
        self._slots.cancel(attempt)
        wanted = self._wanted.get(attempt.id.task)
        if wanted is not None and attempt in wanted:
            wanted.remove(attempt)
        self._commands.append(CancelAttempt(attempt.id, attempt.worker, reason))

    def _release(self, attempt: Attempt) -> None:
        del self._attempts[attempt.id]
        self._slots.take(attempt, self._time)

    def _is_replayed(self, attempt: AttemptId) -> bool:
        """Whether an attempt that holds no slot is from the journal: replay comes before any worker joins."""
        if not self._any_worker_yet:
            self._ledger.adopt(attempt)
            return True
        if attempt.number >= self._ledger.attempts_started(attempt.task):
            raise InternalError(f"attempt {attempt} was reported and never started; please report it")
        return False

    def _end(self, outcome: Outcome) -> None:
        self._outcome = outcome
        for attempt in self._slots.attempts():
            if attempt.wanted:
                self._cancel(attempt, "the job has ended")
        self._wanted.clear()
        self._commands.append(FinishJob(outcome))

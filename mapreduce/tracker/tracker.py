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
from mapreduce.tracker.placement import Placement, Sources
from mapreduce.tracker.plan import Plan
from mapreduce.tracker.policy import Backups, Policy
from mapreduce.tracker.recovery import (
    TIMED_OUT,
    Trouble,
    Verdict,
    judge,
    lost_failure,
    needs_memory,
    reason_to_give_up,
    rest_seconds,
    timeout_failure,
)
from mapreduce.tracker.scheduling import Scheduler
from mapreduce.tracker.slots import Attempt, Slots
from mapreduce.tracker.speculation import Durations, choose_backups, has_timed_out, typical_seconds
from mapreduce.tracker.states import AttemptCause, AttemptState, TaskState


class Tracker:
    """The state machine of one job. Give it every event in order and carry out every command in order."""

    def __init__(
        self,
        plan: Plan,
        policy: Policy | None = None,
        first_attempt: int = 0,
        placement: Placement = Placement.BALANCE,
        sources: Sources | None = None,
    ) -> None:
        self.plan = plan
        self.policy = policy or Policy()
        self._ledger = Ledger(plan, first_attempt)
        self._slots = Slots(self.policy.queue_depth)
        self._attempts: dict[AttemptId, Attempt] = {}  # those that hold a slot
        self._wanted: dict[TaskId, list[Attempt]] = {}  # of each running task, those not being cancelled
        self._troubles: dict[TaskId, Trouble] = {}
        self._scheduler = Scheduler(plan, self.policy, self._ledger, self._slots, self._troubles, placement, sources)
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
        watch = max(self._next_watch, self._time) if self._attempts else None
        dues = (self._ledger.next_rest_over, watch, self._scheduler.due())
        return min((due for due in dues if due is not None), default=None)

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
            self._scheduler.joined(event)

    def _worker_lost(self, event: WorkerLost) -> None:
        if event.worker not in self._slots:
            return
        self._scheduler.gone(event.worker)
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
        self._ledger.wake(self._time)
        self._scheduler.tick(self._time)
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
            typical = typical_seconds(self._durations, self._ledger.done, self.plan, self.policy)
            for attempt in choose_backups(self._slots.attempts(), self._time, self.policy, typical):
                task = attempt.id.task
                if self._slots.idle and len(self._wanted[task]) == 1 and self._ledger.has_inputs(task):
                    self._start(task, next(iter(self._slots.idle)), backup=True)

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
            self._ledger.hold_back(task, self._time + rest)

    def _assign(self, *, queueing: bool = True) -> None:
        """Ready tasks to free slots, as long as there are both; without `queueing` to idle workers only. Those that are
        left over take what is queued behind others."""
        scheduler = self._scheduler
        if scheduler.sets_aside:
            scheduler.look_again()
        while (match := scheduler.match(self._time, queueing=queueing)) is not None:
            task, worker = match
            if worker is None:
                self._ledger.hold_back(task, self._time + self.policy.first_rest_seconds)
            else:
                self._start(task, worker)
        while self._slots.idle and (found := scheduler.take_over(self._time)) is not None:
            queued, worker = found
            self._start(queued.id.task, worker)
            self._cancel(queued, "an idle worker takes it over")

    def _start(self, task: TaskId, worker: WorkerId, *, backup: bool = False) -> None:
        frugal = needs_memory(self._troubles, task) if self._troubles else False
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

"""Where do clock, tracker and workers meet? In this one loop.

    executor --report--> event --> tracker.handle --> commands --> executor, work, journal
                                        |
                                        +--> observer

The driver decides nothing. It turns reports into events, in the order in which they came, and carries out the commands,
in the order in which they were given. All reports that are there are handled before the executor is waited for again,
so the starts that they lead to travel together. It waits for reports and for nothing else; a wait ends after a fifth of
a second, for the clock and for Ctrl-C.

Order of a commit: the journal first, then the output. If the tracker dies in between, the journal gives the same Commit
again, which is harmless; the other way round an output would be final that nobody remembers. The disk is waited for
before an output of the last stage gets its name, and otherwise once a turn, after everything that was reported: what
the journal loses in between, with the power, runs again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from typing import Any

from mapreduce.dataclass import replace
from mapreduce.dataflow.results import AttemptResult, FailureKind, Output, failure_from
from mapreduce.errors import MapReduceError, OutputLostError
from mapreduce.formats.base import Split
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.settings import Settings
from mapreduce.storage.traffic import without_moved
from mapreduce.tracker.books import Books
from mapreduce.tracker.commands import (
    CancelAttempt,
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
from mapreduce.tracker.executor import (
    Cancelled,
    Copied,
    Executor,
    Failed,
    Finished,
    LogLines,
    Lost,
    NoWorkers,
    OutputsGone,
    Progress,
    Ready,
    Report,
    WorkerSample,
)
from mapreduce.tracker.interrupts import Interrupts
from mapreduce.tracker.observer import Observer
from mapreduce.tracker.outcome import JobOutcome
from mapreduce.tracker.placement import Placement, Sources
from mapreduce.tracker.plan import Plan
from mapreduce.tracker.policy import Policy, policy_of
from mapreduce.tracker.tracker import Tracker
from mapreduce.tracker.work import JobWork, Journal, is_kept

MAX_WAIT_SECONDS = 0.2
TICK_SECONDS = 0.5
"""A tick at least so often: displays move on while nothing is reported."""

END_SECONDS = 0.5
"""At the end of a job, what still runs has so long to say what it leaves behind."""

_log = logging.getLogger(__name__)


def run_job(
    plan: Plan,
    work: JobWork,
    executor: Executor,
    *,
    clock: Callable[[], float] = time.monotonic,
    observer: Observer | None = None,
    journal: Journal | None = None,
    past: Sequence[Event] = (),
    settings: Settings | None = None,
    policy: Policy | None = None,
    sources: Sources | None = None,
    first_attempt: int = 0,
    input_bytes: int = 0,
    workers: int = 0,
    notes: Sequence[str] = (),
    check: Callable[[AttemptId, AttemptResult], None] | None = None,
) -> JobOutcome:
    """Run the tasks of `plan` to their end, whichever that is; `past` are the events of an earlier run's journal,
    and `first_attempt` is a number that it used for no attempt. `sources` are the hosts that have the tasks' input.
    `notes` go into the outcome as they are when the job has ended: whoever has something to tell appends to them.
    `check` is told of each commit; what it raises ends the job, and OutputLostError has the task run again.

    Ensures that no attempt of the job runs when it returns or raises. Raises KeyboardInterrupt or SystemExit after it
    has stopped the job for Ctrl-C or SIGTERM, and InternalError; a job that fails is an outcome, not an exception.
    """
    settings = settings or Settings()
    policy, placement = policy or policy_of(settings), Placement(settings.placement)
    tracker = Tracker(plan, policy, first_attempt, placement, sources)
    driver = Driver(tracker, work, executor, clock, observer or Observer(), journal, notes, check)
    # Where attempts run on this very thread, the user's code gets its Ctrl-C as ever.
    with nullcontext(Interrupts()) if executor.runs_here else Interrupts() as interrupts:
        return driver.run(past, interrupts, input_bytes, workers)


class Driver:
    """One run of one job."""

    def __init__(
        self,
        tracker: Tracker,
        work: JobWork,
        executor: Executor,
        clock: Callable[[], float],
        observer: Observer,
        journal: Journal | None,
        notes: Sequence[str] = (),
        check: Callable[[AttemptId, AttemptResult], None] | None = None,
    ) -> None:
        self._notes = notes
        self._check = check
        self._tracker = tracker
        self._work = work
        self._executor = executor
        self._clock = clock
        self._observer = observer
        self._journal = journal
        self._host_of: Callable[[WorkerId], str] = getattr(executor, "host_of", lambda _: "")  # of several hosts
        self._tell_committed: Callable[[AttemptId, Output], None] = getattr(executor, "committed", lambda *_: None)
        self._now = clock()
        self._ticked = self._now
        self._books = Books(tracker.plan, self._now)
        self._seen: dict[WorkerId, WorkerSample] = {}  # how each worker last looked
        self._consequences: list[Event] = []  # of commands that could not be carried out
        self._outcome: Outcome | None = None
        self._replaying = False

    def run(self, past: Sequence[Event], interrupts: Interrupts, input_bytes: int, workers: int) -> JobOutcome:
        self._observe("started", self._tracker.plan, input_bytes, workers, self._now)
        try:
            self._replay(past)
            for worker in self._executor.workers():
                self._tell(WorkerJoined(self._now, worker, host=self._host_of(worker)))
            while self._outcome is None:
                self._step()
                if interrupts.noted and self._outcome is None:
                    self._tell(Stop(self._now, interrupts.reason))
            self._let_go()
        except BaseException as error:
            # The books stay true for who watches; the exception goes on to who called.
            reason = "interrupted by Ctrl-C" if isinstance(error, KeyboardInterrupt) else repr(error)
            self._executor.close()
            self._books.passed_on(getattr(self._executor, "moved", {}))
            kind = OutcomeKind.FAILED if isinstance(error, Exception) else OutcomeKind.STOPPED
            self._observe("finished", self._books.close(Outcome(kind, reason), self._clock(), self._notes))
            raise
        self._executor.close()
        self._books.passed_on(getattr(self._executor, "moved", {}))
        outcome = self._books.close(self._outcome, self._clock(), self._notes)
        self._observe("finished", outcome)
        return outcome

    def _replay(self, past: Sequence[Event]) -> None:
        """Bring tracker, outputs and observer to where an earlier run ended."""
        self._replaying = True
        for event in past:  # of another process's clock
            self._tell(replace(event, time=self._now), journaled=True)
        self._replaying = False
        if past:
            self._books.replayed(sum(map(self._tracker.done, range(len(self._tracker.plan.stages)))))
        else:  # a plan without tasks is done before anything happens
            self._tell(Tick(self._now))

    def _step(self) -> None:
        """Wait for reports and handle them, then the time that has passed."""
        samples: list[WorkerSample] = []
        reports = self._executor.wait(self._patience())
        self._now = self._clock()
        for report in reports:
            self._hear(report, samples)
        self._sync_journal()
        if samples:
            self._observe("sampled", samples)
        wake = self._tracker.wake_time()
        if (wake is not None and wake <= self._now) or self._now - self._ticked >= TICK_SECONDS:
            self._ticked = self._now
            self._tell(Tick(self._now))

    def _sync_journal(self) -> None:
        if self._journal is None:
            return
        try:
            self._journal.sync()
        except (MapReduceError, OSError) as error:
            self._give_up(error)
            self._carry_out_consequences()

    def _patience(self) -> float:
        wake = self._tracker.wake_time()
        return MAX_WAIT_SECONDS if wake is None else min(MAX_WAIT_SECONDS, max(0.0, wake - self._clock()))

    def _let_go(self) -> None:
        """The job has ended; hear what is still running, for it may leave an output that must be removed."""
        deadline = self._clock() + END_SECONDS
        while self._tracker.attempts_held() and self._clock() < deadline:
            for report in self._executor.wait(max(0.0, deadline - self._clock())):
                self._hear(report, [])
            self._now = self._clock()

    # --- reports to events

    def _hear(self, report: Report, samples: list[WorkerSample]) -> None:
        now = self._now
        match report:
            case Finished():
                self._finished(report)
            case Progress(sample):
                self._progressed(sample, samples)
            case LogLines(worker, attempt, text):
                self._observe("logged", worker, attempt, text)
            case Failed(worker, attempt, failure):
                self._tell(AttemptFailed(now, attempt, worker, failure))
            case Cancelled(worker, attempt):
                self._tell(AttemptCancelled(now, attempt, worker))
            case Ready(worker, pid):
                self._tell(WorkerJoined(now, worker, pid, self._host_of(worker)))
            case Lost(worker, reason, running, failure, withdrawn):
                place = None
                if not withdrawn:
                    self._books.worker_lost()
                    place = None if running is None else self._place_of(running, worker)
                self._seen.pop(worker, None)
                if failure is not None and failure.place is None:
                    failure = replace(failure, place=place)
                self._tell(WorkerLost(now, worker, reason, place, failure, withdrawn))
            case Copied(attempt, host):
                if path := self._books.with_copy(attempt.task, host):
                    self._tell(OutputMoved(now, attempt, path))
            case OutputsGone(host):
                for task, path in self._books.outputs_at(host).items():
                    copied = self._tracker.committed(task) if path else None
                    self._tell(OutputMoved(now, copied, path) if copied else OutputLost(now, task))
            case NoWorkers(reason):
                self._tell(AllWorkersGone(now, reason))

    def _finished(self, report: Finished) -> None:
        result = report.result
        if result.counters:
            counters, moved = without_moved(result.counters)
            if moved:
                self._books.passed_on(moved)
                result = replace(result, counters=counters)
        self._tell(AttemptFinished(self._now, report.attempt, report.worker, result))

    def _place_of(self, attempt: AttemptId, worker: WorkerId) -> str | None:
        """Which piece of the input a lost worker was at, and how far it had come when it was last seen."""
        with suppress(MapReduceError, LookupError):  # its inputs may be lost too; the place is a help, no more
            split = getattr(self._work.spec(attempt, self._books.needed(attempt.task)), "split", None)
            if not isinstance(split, Split):
                return None
            sample = self._seen.get(worker)
            if sample is None or sample.attempt != attempt:
                return split.place
            return f"{split.place} ({sample.bytes_in:,} bytes of it were read when the worker was last seen)"
        return None

    def _progressed(self, sample: WorkerSample, samples: list[WorkerSample]) -> None:
        self._seen[sample.worker] = sample
        attempt = sample.attempt
        if attempt is None:
            samples.append(sample)
            return
        samples.append(replace(sample, task=self._tracker.plan.task_name(attempt.task)))
        work_done = sample.bytes_in + sample.records_in + sample.steps
        self._tell(AttemptProgressed(self._now, attempt, sample.worker, work_done))

    # --- events to commands, commands to deeds

    def _tell(self, event: Event, *, journaled: bool = False) -> None:
        """Give the tracker an event, carry out what it wants, and tell it what could not be carried out."""
        self._handle(event, journaled)
        self._carry_out_consequences()

    def _carry_out_consequences(self) -> None:
        while self._consequences:
            self._handle(self._consequences.pop(0), journaled=False)

    def _handle(self, event: Event, journaled: bool) -> None:
        commands = self._tracker.handle(event)
        try:
            if self._journal is not None and not journaled and is_kept(event, commands):
                self._journal.append(event)
            for command in commands:
                if isinstance(command, StartAttempt):
                    self._start(command)
                elif isinstance(command, Commit):
                    self._commit(command)
                else:
                    self._end_attempt(command)
        except (MapReduceError, OSError) as error:  # no space left, no permission: the job can't go on
            self._give_up(error)
        try:
            self._observer.handled(event, commands)
        except Exception as error:
            self._blind(error)

    def _start(self, command: StartAttempt) -> None:
        attempt, worker = command.attempt, command.worker
        self._books.attempt_started(attempt, self._now, backup=command.backup)
        try:
            spec = self._work.spec(attempt, self._books.needed(attempt.task))
        except Exception as error:
            self._consequences.append(AttemptFailed(self._now, attempt, worker, failure_from(error)))
            return
        if command.frugal:
            from mapreduce.dataflow.frugal import Frugal

            spec = Frugal(spec)
        self._executor.start(attempt, worker, spec)

    def _commit(self, command: Commit) -> None:
        if self._journal is not None and command.attempt.task.stage == self._tracker.plan.last_stage:
            self._journal.sync()
        try:
            self._work.commit(command.attempt, command.result.output)
            if self._check is not None:
                self._check(command.attempt, command.result)
        except OutputLostError:
            self._consequences.append(OutputLost(self._now, command.attempt.task))
            return
        self._books.committed(command.attempt, command.result, self._now, past=self._replaying)
        self._tell_committed(command.attempt, command.result.output)

    def _end_attempt(self, command: CancelAttempt | Discard | Relocate | NoteFailure | FinishJob) -> None:
        if isinstance(command, NoteFailure):
            failure = command.failure
            if failure.kind is FailureKind.TIMEOUT:  # the tracker, which found it, knows nothing of places
                failure = replace(failure, place=self._place_of(command.attempt, command.worker))
            self._books.failed(command.attempt, command.worker, failure, self._now, command.verdict)
        elif isinstance(command, CancelAttempt):
            self._executor.cancel(command.attempt, command.worker)
        elif isinstance(command, Discard):
            self._work.discard(command.attempt, command.output)
        elif isinstance(command, Relocate):
            self._books.moved(command.attempt.task, command.path)
        elif self._outcome is None:
            self._refuse_if_lost()
            self._outcome = command.outcome

    def _refuse_if_lost(self) -> None:
        """The tracker has ended the job with a commit that turned out impossible, and won't hear of it any more."""
        for event in self._consequences:
            if isinstance(event, OutputLost):
                name = self._tracker.plan.task_name(event.task)
                raise OutputLostError(f"the output of {name} vanished before it was final; run the job again")

    def _give_up(self, error: Exception) -> None:
        if self._outcome is None or self._outcome.kind is OutcomeKind.SUCCEEDED:
            failure = failure_from(error)
            if isinstance(error, OSError):
                failure = replace(failure, kind=FailureKind.RESOURCE)
            self._outcome = Outcome(OutcomeKind.FAILED, str(error), failure=failure)
            self._consequences.append(Stop(self._now, str(error)))

    # --- those who watch

    def _observe(self, call: str, *arguments: Any) -> None:
        try:
            getattr(self._observer, call)(*arguments)
        except Exception as error:
            self._blind(error)

    def _blind(self, error: Exception) -> None:
        """Watching never changes what happens: an observer that raises sees no more, and the log says why."""
        _log.warning("the display or log of this job failed and is off: %r", error, exc_info=error)
        self._observer = Observer()

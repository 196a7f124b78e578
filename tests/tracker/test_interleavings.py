"""Do the promises hold in whatever order things happen?

A world of workers obeys the tracker's commands and otherwise does its worst: finishes, fails, dies, falls silent, loses
outputs, reports twice and too late. After each event the promises are checked; at the end the faults stop, and the job
must end within a bounded number of events. What the journal kept must bring a new tracker to the same place, and any
beginning of it to a place from where the job ends.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mapreduce.dataflow.results import Failure, FailureKind
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
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    AttemptProgressed,
    Event,
    OutputLost,
    OutputMoved,
    Tick,
    WorkerJoined,
    WorkerLost,
)
from mapreduce.tracker.plan import Plan, plan_fold, plan_keyed, plan_map_only
from mapreduce.tracker.policy import Backups, Policy
from mapreduce.tracker.recovery import Verdict
from mapreduce.tracker.states import TaskState
from mapreduce.tracker.tracker import Tracker
from mapreduce.tracker.work import is_kept
from tests.tracker.scene import replay, result_of

PLANS = [plan_map_only(5), plan_keyed(4, 2), plan_keyed(3, 2, sample=2), plan_fold(5, fan_in=2), plan_keyed(0, 2)]
POLICIES = [
    Policy(max_attempts=4, max_lost_inputs=3, backups=backups, silence_seconds=silence, slow_share_done=0.5)
    for backups in Backups
    for silence in (10.0, float("inf"))
]
RETRYABLE = [FailureKind.USER, FailureKind.TIMEOUT, FailureKind.OUTPUT_LOST, FailureKind.MEMORY]
CHOICE = st.integers(0, 2**16)


class World(RuleBasedStateMachine):
    """Workers, attempts and outputs as they really are, beside what the tracker believes."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.workers: list[WorkerId] = []
        self.running: dict[AttemptId, WorkerId] = {}  # started, and still owing a report
        self.cancelled: set[AttemptId] = set()
        self.ended: list[AttemptFinished] = []  # reports to repeat
        self.zombies: list[tuple[AttemptId, WorkerId]] = []  # of lost workers
        self.output: dict[TaskId, AttemptId] = {}  # committed and not lost
        self.failures: Counter[TaskId] = Counter()
        self.noted: Counter[TaskId] = Counter()  # failures that the tracker counted since the task was last done
        self.given_up: TaskId | None = None  # by the failure noted last
        self.short: set[TaskId] = set()  # tasks that had too little memory since
        self.frugal: set[AttemptId] = set()
        self.journal: list[Event] = []
        self.outcome: Outcome | None = None
        self.next_worker = 0

    @initialize(plan=st.sampled_from(PLANS), policy=st.sampled_from(POLICIES), workers=st.integers(0, 3))
    def begin(self, plan: Plan, policy: Policy, workers: int) -> None:
        self.plan = plan
        self.policy = policy
        self.tracker = Tracker(plan, self.policy)
        for _ in range(workers):
            self.join()

    def tell(self, event: Event) -> None:
        running = self.outcome is None
        commands = self.tracker.handle(event)
        if isinstance(event, AttemptFinished):
            self.one_end_for(event, commands)
        if running and is_kept(event, commands):
            self.journal.append(event)
        if isinstance(event, OutputLost):
            self.forget(event.task)
        elif isinstance(event, AttemptFailed):
            for task in event.failure.lost:
                self.forget(task)
        for command in commands:
            match command:
                case StartAttempt(attempt, worker, backup, frugal):
                    self.start(attempt, worker)
                    assert not backup or self.policy.backups is not Backups.OFF
                    assert frugal is (attempt.task in self.short)
                    if frugal:
                        self.frugal.add(attempt)
                case NoteFailure(attempt, _, failure, verdict):
                    self.note(attempt, failure, verdict)
                case CancelAttempt(attempt, worker, _):
                    assert self.running[attempt] == worker
                    assert attempt not in self.cancelled, "cancelled twice"
                    self.cancelled.add(attempt)
                case Commit(attempt, result):
                    assert attempt.task not in self.output, "committed twice"
                    assert result == result_of(attempt)
                    self.output[attempt.task] = attempt
                    self.failures.pop(attempt.task, None)
                    self.noted.pop(attempt.task, None)
                    self.short.discard(attempt.task)
                case Relocate(attempt, _):
                    assert self.output[attempt.task] == attempt, "what does not count was moved"
                case Discard(attempt, _):
                    assert self.output.get(attempt.task) != attempt, "the committed output was discarded"
                case FinishJob(outcome):
                    assert self.outcome is None, "ended twice"
                    assert command is commands[-1]
                    assert outcome.task == self.given_up
                    self.outcome = outcome

    def forget(self, task: TaskId) -> None:
        if self.tracker.task_state(task) is not TaskState.DONE:
            self.output.pop(task, None)

    def start(self, attempt: AttemptId, worker: WorkerId) -> None:
        assert self.outcome is None
        assert worker in self.workers, "started on a worker that is lost"
        assert list(self.running.values()).count(worker) < self.policy.queue_depth, "no room"
        assert all(attempt != other for other in self.running), "a number used twice"
        behind = self.frugal & {other for other, where in self.running.items() if where == worker}
        assert not behind, "queued behind a frugal attempt"
        assert all(task in self.output for task in self.plan.needs_of(attempt.task)), "started without its inputs"
        self.running[attempt] = worker

    def note(self, attempt: AttemptId, failure: Failure, verdict: str) -> None:
        """A failure counts while the task is not done; the one that spends the budget ends the job."""
        assert attempt.task not in self.output
        self.noted[attempt.task] += failure.kind is not FailureKind.OUTPUT_LOST or not failure.lost
        if failure.kind is FailureKind.MEMORY:
            self.short.add(attempt.task)
        self.given_up = attempt.task if verdict == Verdict.GIVE_UP.value else None
        assert self.given_up or self.noted[attempt.task] < self.policy.max_attempts

    def one_end_for(self, event: AttemptFinished, commands: list[Command]) -> None:
        """An output is committed or discarded, and nothing happens to one that has been committed."""
        ends = [command for command in commands if isinstance(command, Commit | Discard)]
        mine = [command for command in ends if command.attempt == event.attempt]
        assert ends == mine
        assert len(mine) == (self.output.get(event.attempt.task) != event.attempt)
        if self.outcome is not None:
            assert not any(isinstance(command, Commit) for command in mine)

    def pick(self, choice: int) -> AttemptId:
        return sorted(self.running)[choice % len(self.running)]

    # What may happen

    @rule()
    def join(self) -> None:
        if len(self.workers) < 4:
            self.next_worker += 1
            self.workers.append(WorkerId(self.next_worker))
            self.tell(WorkerJoined(self.time, self.workers[-1]))

    @precondition(lambda self: self.running)
    @rule(choice=CHOICE)
    def finish(self, choice: int) -> None:
        attempt = self.pick(choice)
        event = AttemptFinished(self.time, attempt, self.running.pop(attempt), result_of(attempt))
        self.cancelled.discard(attempt)
        self.ended.append(event)
        self.tell(event)

    @precondition(lambda self: self.running)
    @rule(choice=CHOICE, kind=st.sampled_from(RETRYABLE), lost=st.lists(CHOICE, max_size=2))
    def fail(self, choice: int, kind: FailureKind, lost: list[int]) -> None:
        attempt = self.pick(choice)
        worker = self.running.pop(attempt)
        needed = list(self.plan.needs_of(attempt.task)) if kind is FailureKind.OUTPUT_LOST else []
        tasks = tuple({needed[number % len(needed)] for number in lost}) if needed else ()
        if attempt not in self.cancelled and not tasks:
            self.failures[attempt.task] += 1
        self.cancelled.discard(attempt)
        self.tell(AttemptFailed(self.time, attempt, worker, Failure(kind, "ValueError", "", lost=tasks)))

    @precondition(lambda self: self.cancelled)
    @rule(choice=CHOICE)
    def obey(self, choice: int) -> None:
        attempt = sorted(self.cancelled)[choice % len(self.cancelled)]
        self.cancelled.discard(attempt)
        self.tell(AttemptCancelled(self.time, attempt, self.running.pop(attempt)))

    @precondition(lambda self: self.workers)
    @rule(choice=CHOICE, short=st.booleans())
    def lose_worker(self, choice: int, short: bool) -> None:
        worker = self.workers.pop(choice % len(self.workers))
        for attempt in [attempt for attempt, where in self.running.items() if where == worker]:
            self.zombies.append((attempt, self.running.pop(attempt)))
            self.cancelled.discard(attempt)
        failure = Failure(FailureKind.MEMORY, "WorkerMemoryError", "") if short else None
        self.tell(WorkerLost(self.time, worker, "SIGKILL", failure=failure))

    @precondition(lambda self: self.output)
    @rule(choice=CHOICE)
    def lose_output(self, choice: int) -> None:
        self.tell(OutputLost(self.time, sorted(self.output)[choice % len(self.output)]))

    @precondition(lambda self: self.ended)
    @rule(choice=CHOICE)
    def move_output(self, choice: int) -> None:
        self.tell(OutputMoved(self.time, self.ended[choice % len(self.ended)].attempt, "elsewhere"))

    @precondition(lambda self: self.zombies)
    @rule(choice=CHOICE, finished=st.booleans())
    def late(self, choice: int, finished: bool) -> None:
        attempt, worker = self.zombies[choice % len(self.zombies)]
        if finished:
            self.tell(AttemptFinished(self.time, attempt, worker, result_of(attempt)))
        else:
            self.tell(AttemptFailed(self.time, attempt, worker, Failure(FailureKind.USER, "E", "")))

    @precondition(lambda self: self.ended)
    @rule(choice=CHOICE)
    def twice(self, choice: int) -> None:
        self.tell(self.ended[choice % len(self.ended)])

    @precondition(lambda self: self.running)
    @rule(choice=CHOICE, work_done=st.integers(0, 2))
    def progress(self, choice: int, work_done: int) -> None:
        attempt = self.pick(choice)
        self.tell(AttemptProgressed(self.time, attempt, self.running[attempt], work_done))

    @rule(seconds=st.sampled_from([0.0, 0.05, 1.0, 30.0, 300.0, 1000.0]))
    def tick(self, seconds: float) -> None:
        self.time += seconds
        self.tell(Tick(self.time))

    # What must hold

    @invariant()
    def books_agree_with_the_world(self) -> None:
        assert sorted(self.tracker.attempts_held()) == sorted(self.running)
        for task in self.all_tasks():
            state = self.tracker.task_state(task)
            assert (state is TaskState.DONE) == (task in self.output)
            wanted = [attempt for attempt in self.running if attempt.task == task and attempt not in self.cancelled]
            assert len(wanted) <= 2
            if self.outcome is None:
                assert (state is TaskState.RUNNING) == bool(wanted)
                assert self.failures[task] < self.policy.max_attempts

    @invariant()
    def success_means_that_all_is_there(self) -> None:
        if self.outcome is not None and self.outcome.kind is OutcomeKind.SUCCEEDED:
            last = self.plan.last_stage
            assert all(task in self.output for task in self.all_tasks() if task.stage == last)

    @invariant()
    def done_is_counted_right(self) -> None:
        for number in range(len(self.plan.stages)):
            assert self.tracker.done(number) == sum(task.stage == number for task in self.output)

    @invariant()
    def work_is_given_out(self) -> None:
        busy = set(self.running.values())
        if self.outcome is None and any(worker not in busy for worker in self.workers):
            ready = [task for task in self.all_tasks() if self.tracker.task_state(task) is TaskState.READY]
            assert not ready, "a worker is idle beside a ready task"

    def all_tasks(self) -> list[TaskId]:
        stages = enumerate(self.plan.stages)
        return [TaskId(number, index) for number, stage in stages for index in range(stage.tasks)]

    # How it ends

    def teardown(self) -> None:
        if not hasattr(self, "tracker"):
            return
        self.replay_leads_to_the_same_place()
        for events in {0, len(self.journal) // 2, len(self.journal)}:
            self.goes_on_from(self.journal[:events])
        for _ in range(200):
            if self.outcome is not None:
                return
            wake = self.tracker.wake_time()
            if self.cancelled:
                self.obey(0)
            elif self.running:
                self.finish(0)
            elif not self.workers:
                self.join()
            else:
                assert wake is not None, "a worker is idle, the job has not ended, and nothing will ever happen"
                self.tick(max(0.0, wake - self.time))
            self.books_agree_with_the_world()
        raise AssertionError("no fault any more, and still no end")

    def replay_leads_to_the_same_place(self) -> None:
        again = Tracker(self.plan, self.policy)
        commands = replay(again, self.journal)
        assert not any(isinstance(command, Discard | StartAttempt) for command in commands)
        done = {task for task in self.all_tasks() if again.task_state(task) is TaskState.DONE}
        assert done <= set(self.output), "replay believes in an output that is not there"
        if not any(isinstance(event, AttemptFailed) for event in self.journal):
            assert done == set(self.output)

    def goes_on_from(self, journal: list[Event]) -> None:
        """A tracker that is told so much and then meets no fault ends the job, and runs no task twice."""
        again = Tracker(self.plan, self.policy)
        replay(again, journal)
        done = {task for task in self.all_tasks() if again.task_state(task) is TaskState.DONE}
        worker, todo, committed = WorkerId(999), list[AttemptId](), list[TaskId]()
        event: Event = WorkerJoined(self.time, worker)
        for _ in range(50):
            if again.outcome is not None:
                break
            for command in again.handle(event):
                if isinstance(command, StartAttempt):
                    todo.append(command.attempt)
                elif isinstance(command, Commit):
                    committed.append(command.attempt.task)
            if todo:
                attempt = todo.pop(0)
                event = AttemptFinished(self.time, attempt, worker, result_of(attempt))
        assert again.outcome is not None
        assert again.outcome.kind is OutcomeKind.SUCCEEDED
        assert len(set(committed)) == len(committed)
        assert not done & set(committed)


World.TestCase.settings = settings(
    max_examples=500,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,  # the same worlds every time; to search further, drop this and raise max_examples
    suppress_health_check=list(HealthCheck),
)
TestInterleavings = World.TestCase

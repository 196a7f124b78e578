"""The driver turns reports into events and commands into deeds. Nothing here waits: executor and clock are made up."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from mapreduce.dataflow.attempt import MapSpec
from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output, TaskStats
from mapreduce.engines.inline import InlineExecutor
from mapreduce.errors import InternalError, OutputLostError, ResourceError
from mapreduce.formats.base import Extent, InputFile, Split
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.settings import Settings
from mapreduce.tracker.commands import Command, OutcomeKind
from mapreduce.tracker.driver import MAX_WAIT_SECONDS, run_job
from mapreduce.tracker.events import AttemptFinished, Event, OutputMoved, Tick
from mapreduce.tracker.executor import (
    Cancelled,
    Copied,
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
from mapreduce.tracker.observer import Observer, Observers
from mapreduce.tracker.outcome import JobOutcome
from mapreduce.tracker.plan import Plan, plan_fold, plan_keyed, plan_map_only

WRONG = Failure(FailureKind.USER, "ValueError", "wrong")


class Clock:
    """Moves when somebody waits."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


Behaviour = Callable[[AttemptId, WorkerId], Sequence[Report] | None]


class FakeExecutor:
    """Workers that do, at each wait, one attempt each; `behave` may say what happens instead of finishing."""

    runs_here = False

    def __init__(self, clock: Clock, workers: int = 2, behave: Behaviour = lambda attempt, worker: None) -> None:
        self.clock = clock
        self.queues: dict[WorkerId, deque[AttemptId]] = {WorkerId(number): deque() for number in range(workers)}
        self.behave = behave
        self.specs: dict[AttemptId, Any] = {}
        self.cancelled: list[AttemptId] = []
        self.reports: list[Report] = []
        self.waits: list[float] = []
        self.closed = 0

    def workers(self) -> list[WorkerId]:
        return list(self.queues)

    def start(self, attempt: AttemptId, worker: WorkerId, spec: Any) -> None:
        self.specs[attempt] = spec
        self.queues[worker].append(attempt)

    def cancel(self, attempt: AttemptId, worker: WorkerId) -> None:
        self.cancelled.append(attempt)
        if attempt in self.queues[worker]:  # else it is over
            self.queues[worker].remove(attempt)
            self.reports.append(Cancelled(worker, attempt))

    def wait(self, timeout_seconds: float) -> list[Report]:
        assert len(self.waits) < 1000, "the job does not end"
        self.waits.append(timeout_seconds)
        for worker, queue in list(self.queues.items()):
            if queue:
                self._run(queue[0], worker)
        self.clock.time += 0.01 if self.reports else timeout_seconds
        reports, self.reports = self.reports, []
        return reports

    def _run(self, attempt: AttemptId, worker: WorkerId) -> None:
        reports = self.behave(attempt, worker)
        reports = [Finished(worker, attempt, result_of(attempt))] if reports is None else reports
        for report in reports:
            if isinstance(report, Finished | Failed):
                self.queues[worker].popleft()
            elif isinstance(report, Lost):
                self.queues.pop(worker)
            elif isinstance(report, Ready):
                self.queues[report.worker] = deque()
        self.reports += reports

    def close(self) -> None:
        self.closed += 1


def result_of(attempt: AttemptId) -> AttemptResult:
    return AttemptResult(Output(path=str(attempt)), {"tasks": 1}, TaskStats(bytes_in=10, seconds=0.5))


class Work:
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.needed: dict[AttemptId, list[str | None]] = {}
        self.committed: list[TaskId] = []
        self.discarded: list[AttemptId] = []

    def spec(self, attempt: AttemptId, outputs: Mapping[TaskId, Output]) -> Any:
        self.needed[attempt] = [output.path for output in outputs.values()]
        return str(attempt)

    def commit(self, attempt: AttemptId, output: Output) -> None:
        self.committed.append(attempt.task)

    def discard(self, attempt: AttemptId, output: Output) -> None:
        self.discarded.append(attempt)


class Watcher(Observer):
    """Remembers everything."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.events: list[Event] = []
        self.samples: list[WorkerSample] = []
        self.text = ""

    def started(self, plan: Plan, input_bytes: int, workers: int, time: float) -> None:
        self.calls.append("started")

    def handled(self, event: Event, commands: Sequence[Command]) -> None:
        self.events.append(event)

    def sampled(self, samples: Sequence[WorkerSample]) -> None:
        self.samples += samples

    def logged(self, worker: WorkerId, attempt: AttemptId | None, text: str) -> None:
        self.text += text

    def finished(self, outcome: JobOutcome) -> None:
        self.calls.append(f"finished {outcome.kind.value}")


def once(behaviour: Behaviour) -> Behaviour:
    """The first attempt behaves so, all others finish."""
    first: list[AttemptId] = []

    def behave(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        if not first:
            first.append(attempt)
            return behaviour(attempt, worker)
        return None

    return behave


class Scene:
    """One job with made-up parts."""

    def __init__(self, behave: Behaviour = lambda attempt, worker: None, workers: int = 2) -> None:
        self.clock = Clock()
        self.executor = FakeExecutor(self.clock, workers, behave)
        self.work = Work()
        self.watcher = Watcher()
        self.journal: list[Event] = []
        self.synced = 0

    def run(self, plan: Plan, past: Sequence[Event] = (), settings: Settings | None = None) -> JobOutcome:
        return run_job(
            plan,
            self.work,
            self.executor,
            clock=self.clock,
            observer=self.watcher,
            journal=self,
            past=past,
            settings=settings,
        )

    def append(self, event: Event) -> None:
        self.journal.append(event)

    def sync(self) -> None:
        self.synced = len(self.journal)


def map_(index: int, number: int = 0) -> AttemptId:
    return AttemptId(TaskId(0, index), number)


# --- the way of a job that goes well


def test_tasks_get_the_outputs_that_they_need() -> None:
    scene = Scene()
    outcome = scene.run(plan_keyed(3, 2))
    assert outcome.succeeded
    assert scene.work.needed[map_(1)] == []
    reduce_needs = scene.work.needed[AttemptId(TaskId(1, 1), 0)]
    assert sorted(map(str, reduce_needs)) == ["0:0#0", "0:1#0", "0:2#0"]
    assert sorted(scene.work.committed) == [TaskId(0, 0), TaskId(0, 1), TaskId(0, 2), TaskId(1, 0), TaskId(1, 1)]
    assert set(outcome.outputs) == {TaskId(1, 0), TaskId(1, 1)}


def test_groups_come_in_their_order() -> None:
    scene = Scene()
    assert scene.run(plan_fold(5, fan_in=2)).succeeded
    assert scene.work.needed[AttemptId(TaskId(1, 1), 0)] == ["0:2#0", "0:3#0"]
    assert scene.work.needed[AttemptId(TaskId(1, 2), 0)] == ["0:4#0"]


def test_outcome_sums_up() -> None:
    outcome = Scene().run(plan_keyed(3, 2))
    assert dict(outcome.counters) == {"tasks": 5}
    assert (outcome.stats.bytes_in, outcome.stats.seconds) == (30, 2.5)  # the input is what maps read
    assert [stage.name for stage in outcome.stages] == ["map", "reduce"]
    assert list(outcome.stages[0].task_seconds) == [0.5] * 3
    assert 0 <= outcome.stages[0].first_start <= outcome.stages[0].last_commit <= outcome.stages[1].last_commit
    assert outcome.seconds > 0


def test_a_plan_without_tasks_succeeds_at_once() -> None:
    scene = Scene()
    assert scene.run(plan_map_only(0)).succeeded
    assert scene.executor.closed == 1


def test_observer_sees_all_from_start_to_end() -> None:
    def chatty(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        sample = WorkerSample(worker, 1, 1, 0.0, attempt, 5, 1)
        return [
            Progress(sample),
            LogLines(worker, attempt, "hello\n"),
            Finished(worker, attempt, result_of(attempt)),
        ]

    scene = Scene(chatty, workers=1)
    scene.run(plan_map_only(2))
    assert scene.watcher.calls == ["started", "finished succeeded"]
    assert [sample.task for sample in scene.watcher.samples] == ["map 0", "map 1"]
    assert scene.watcher.text == "hello\nhello\n"
    assert sum(isinstance(event, AttemptFinished) for event in scene.watcher.events) == 2


def test_observer_that_raises_changes_nothing() -> None:
    class Broken(Observer):
        def handled(self, event: Event, commands: Sequence[Command]) -> None:
            raise BrokenPipeError

    scene = Scene()
    scene.watcher = Observers([Broken()])  # type: ignore[assignment]
    assert scene.run(plan_map_only(3)).succeeded


def test_waits_are_long_while_nothing_happens() -> None:
    silent = [0]

    def slow(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        silent[0] += 1
        return None if silent[0] > 100 else []

    scene = Scene(slow, workers=1)
    scene.run(plan_map_only(1))
    assert scene.clock.time - 100 == pytest.approx(100 * MAX_WAIT_SECONDS, rel=0.1)
    assert scene.executor.waits.count(0.0) <= 6  # a tick that is due
    assert any(isinstance(event, Tick) for event in scene.watcher.events)


# --- failures


def test_failed_attempt_is_reported_and_tried_again() -> None:
    scene = Scene(once(lambda attempt, worker: [Failed(worker, attempt, WRONG)]))
    outcome = scene.run(plan_map_only(2))
    assert outcome.succeeded
    assert outcome.failed_attempts == 1
    report = outcome.failures[0]
    assert (report.task_name, report.attempt, report.failure) == ("map 0", map_(0), WRONG)


def test_job_fails_with_the_failure_that_decided() -> None:
    scene = Scene(lambda attempt, worker: [Failed(worker, attempt, WRONG)])
    outcome = scene.run(plan_map_only(1))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.failed_attempts == 4
    assert outcome.failure is not None
    assert outcome.failure.failure is WRONG
    assert "map 0 failed 4 times" in outcome.reason
    assert scene.watcher.calls[-1] == "finished failed"


def test_many_failures_are_counted_and_a_hundred_kept() -> None:
    def flaky(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        return [Failed(worker, attempt, WRONG)] if attempt.number == 0 else None

    outcome = Scene(flaky).run(plan_map_only(150))
    assert outcome.succeeded
    assert (outcome.failed_attempts, len(outcome.failures)) == (150, 100)


def test_lost_worker_is_replaced_and_its_attempts_run_again() -> None:
    def die(attempt: AttemptId, worker: WorkerId) -> Sequence[Report]:
        return [Lost(worker, "was killed by SIGKILL", attempt), Ready(WorkerId(7), 1)]

    scene = Scene(once(die), workers=1)
    outcome = scene.run(plan_map_only(3))
    assert outcome.succeeded
    assert outcome.lost_workers == 1
    assert [report.failure.kind for report in outcome.failures] == [FailureKind.LOST]
    assert "SIGKILL" in outcome.failures[0].failure.message


def test_a_lost_worker_is_placed_in_the_input() -> None:
    def die(attempt: AttemptId, worker: WorkerId) -> Sequence[Report]:
        seen = Progress(WorkerSample(worker, 1, 0, 0.0, attempt, bytes_in=3_000))
        return [seen, Lost(worker, "ended with exit code 7", attempt), Ready(WorkerId(7), 1)]

    scene = Scene(once(die), workers=1)
    spec = MapSpec(Split(0, InputFile("a.txt", 9_000), Extent(4_000, 9_000, 5_000)))
    scene.work.spec = lambda attempt, outputs: spec  # type: ignore[method-assign]
    (report,) = scene.run(plan_map_only(1)).failures
    assert report.failure.place == (
        "a.txt, bytes 4000 to 9000 (3,000 bytes of it were read when the worker was last seen)"
    )


def test_no_workers_left_ends_the_job() -> None:
    scene = Scene(lambda attempt, worker: [Lost(worker, "died", attempt), NoWorkers("workers die at their start")])
    outcome = scene.run(plan_map_only(1))
    assert outcome.kind is OutcomeKind.FAILED
    assert "workers die at their start" in outcome.reason
    assert outcome.failure is not None
    assert outcome.failure.failure.kind is FailureKind.RESOURCE


def test_spec_that_raises_is_a_failure_of_the_attempt() -> None:
    scene = Scene()
    nothing: dict[AttemptId, Any] = {}
    scene.work.spec = lambda attempt, outputs: nothing[attempt]  # type: ignore[method-assign]
    outcome = scene.run(plan_map_only(1))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.failure is not None
    assert outcome.failure.failure.type_name == "KeyError"


def lose_output_of(scene: Scene, task: TaskId) -> None:
    """The first commit of the task finds its file gone."""
    commit, gone = scene.work.commit, {task}

    def lossy(attempt: AttemptId, output: Output) -> None:
        if attempt.task in gone:
            gone.remove(attempt.task)
            raise OutputLostError("no such file")
        commit(attempt, output)

    scene.work.commit = lossy  # type: ignore[method-assign]


def test_commit_that_finds_its_output_gone_runs_the_task_again() -> None:
    scene = Scene()
    lose_output_of(scene, TaskId(0, 0))
    outcome = scene.run(plan_map_only(5))
    assert outcome.succeeded
    assert dict(outcome.counters) == {"tasks": 5}
    assert map_(0, 1) in scene.executor.specs


def test_job_whose_last_commit_finds_its_output_gone_has_failed() -> None:
    scene = Scene()
    lose_output_of(scene, TaskId(0, 0))
    outcome = scene.run(plan_map_only(1))
    assert outcome.kind is OutcomeKind.FAILED
    assert "map 0 vanished" in outcome.reason


@pytest.mark.parametrize("error", [ResourceError("no space left in /out"), PermissionError(13, "denied")])
def test_commit_that_cannot_be_done_ends_the_job(error: Exception) -> None:
    def refuse(attempt: AttemptId, output: Output) -> None:
        raise error

    scene = Scene()
    scene.work.commit = refuse  # type: ignore[method-assign]
    outcome = scene.run(plan_map_only(5))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.reason == str(error)
    assert outcome.failure is not None
    assert outcome.failure.failure.kind is FailureKind.RESOURCE
    assert scene.executor.closed == 1


def test_attempt_that_stands_still_is_a_failure_of_its_own_kind() -> None:
    def stuck(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        return [] if attempt == map_(0) else None

    def stubborn(attempt: AttemptId, worker: WorkerId) -> None:
        scene.executor.queues.pop(worker)
        scene.executor.reports += [Lost(worker, "did not end a cancelled attempt", attempt)]

    scene = Scene(stuck)
    scene.executor.cancel = stubborn  # type: ignore[method-assign]
    outcome = scene.run(plan_map_only(3), settings=Settings(task_timeout_seconds=10))
    assert outcome.succeeded
    assert outcome.lost_workers == 1
    kinds = [report.failure.kind for report in outcome.failures]
    assert kinds in ([], [FailureKind.TIMEOUT])  # [] where its backup was first


def test_output_that_comes_second_is_discarded_and_counted_once() -> None:
    def late(attempt: AttemptId, worker: WorkerId) -> Sequence[Report] | None:
        return [] if attempt == map_(0) and scene.clock.time < 200 else None

    scene = Scene(late)
    scene.executor.cancel = lambda attempt, worker: None  # type: ignore[method-assign]
    outcome = scene.run(plan_map_only(2))
    assert outcome.succeeded
    assert dict(outcome.counters) == {"tasks": 2}
    assert scene.work.committed.count(TaskId(0, 0)) == 1


# --- journal


def test_journal_comes_before_the_commit() -> None:
    scene = Scene()
    order: list[str] = []
    commit = scene.work.commit

    def noted(attempt: AttemptId, output: Output) -> None:
        order.append(f"commit {attempt}")
        commit(attempt, output)

    scene.work.commit = noted  # type: ignore[method-assign]
    scene.append = lambda event: order.append(f"journal {event.attempt}")  # type: ignore[method-assign,union-attr]
    scene.sync = lambda: order.append("on disk")  # type: ignore[method-assign]
    scene.run(plan_map_only(1))
    assert order[:3] == ["journal 0:0#0", "on disk", "commit 0:0#0"]


def test_the_disk_is_waited_for_once_a_turn_where_no_output_gets_its_name() -> None:
    scene = Scene()
    order: list[str] = []
    scene.append = lambda event: order.append("journal")  # type: ignore[method-assign]
    scene.sync = lambda: order.append("on disk")  # type: ignore[method-assign]
    scene.run(plan_keyed(2, 1))
    assert "journal journal on disk journal on disk" in " ".join(order)


def test_a_disk_that_fails_ends_the_job() -> None:
    def fail() -> None:
        raise ResourceError("no space left")

    scene = Scene()
    scene.sync = fail  # type: ignore[method-assign]
    outcome = scene.run(plan_keyed(2, 1))
    assert (outcome.succeeded, outcome.reason) == (False, "no space left")


def test_resumed_job_commits_again_and_runs_only_the_rest() -> None:
    first = Scene(lambda attempt, worker: None if attempt.task.index < 2 else [Failed(worker, attempt, WRONG)])
    assert not first.run(plan_keyed(3, 1)).succeeded
    assert len(first.journal) == 2
    again = Scene()
    outcome = again.run(plan_keyed(3, 1), past=first.journal)
    assert outcome.succeeded
    assert {attempt.task for attempt in again.executor.specs} == {TaskId(0, 2), TaskId(1, 0)}
    assert sorted(again.work.committed) == [TaskId(0, 0), TaskId(0, 1), TaskId(0, 2), TaskId(1, 0)]
    assert dict(outcome.counters) == {"tasks": 4}
    assert len(again.journal) == 2


# --- the end that the user wants


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["ctrl-c", "term"]
)
def test_signals_stop_the_job_in_order(number: signal.Signals, error: type[BaseException]) -> None:
    def signalled(attempt: AttemptId, worker: WorkerId) -> Sequence[Report]:
        if attempt == map_(0) and len(scene.executor.waits) == 1:
            os.kill(os.getpid(), number)
        return []

    scene = Scene(signalled)
    before = signal.getsignal(number)
    with pytest.raises(error):
        scene.run(plan_map_only(9))
    assert signal.getsignal(number) is before
    assert scene.executor.cancelled == [map_(0), map_(1)]
    assert scene.executor.closed == 1
    assert scene.watcher.calls[-1] == "finished stopped"


def test_second_ctrl_c_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.reason == "interrupted by Ctrl-C"
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second one must raise at once")


def test_a_handler_of_the_program_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
        assert heard
        assert interrupts.noted is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_of_ours_closes_the_executor_and_goes_on() -> None:
    scene = Scene(lambda attempt, worker: [Finished(worker, map_(5, 9), result_of(map_(5, 9)))])
    with pytest.raises(InternalError):
        scene.run(plan_map_only(6))
    assert scene.executor.closed == 1
    assert scene.watcher.calls[-1] == "finished failed"


# --- the inline executor


def run_inline(
    attempts: int, body: Callable[[AttemptId], AttemptResult], observer: Observer | None = None
) -> JobOutcome:
    def run(context: Any, attempt: AttemptId, spec: Any, monitor: Monitor) -> AttemptResult:
        assert context == "context"
        assert spec == str(attempt)
        return body(attempt)

    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.time += seconds

    executor = InlineExecutor("context", run, sleep)
    return run_job(plan_map_only(attempts), Work(), executor, clock=clock, observer=observer)


def test_inline_runs_a_job_on_this_thread() -> None:
    assert dict(run_inline(5, result_of).counters) == {"tasks": 5}


@pytest.mark.parametrize("error", [ValueError("wrong"), SystemExit(1)])
def test_inline_exceptions_are_failures(error: BaseException) -> None:
    def fail(attempt: AttemptId) -> AttemptResult:
        raise error

    outcome = run_inline(1, fail)
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.failed_attempts == 4
    assert outcome.failure is not None
    assert outcome.failure.failure.type_name == type(error).__name__
    assert "inline.py" not in outcome.failure.failure.traceback


def test_inline_ctrl_c_is_the_users() -> None:
    def interrupted(attempt: AttemptId) -> AttemptResult:
        raise KeyboardInterrupt

    watcher = Watcher()
    with pytest.raises(KeyboardInterrupt):
        run_inline(2, interrupted, watcher)
    assert watcher.calls[-1] == "finished stopped"


def test_leaving_the_debugger_leaves_the_job() -> None:
    from bdb import BdbQuit

    def quit_(attempt: AttemptId) -> AttemptResult:
        raise BdbQuit

    with pytest.raises(BdbQuit):
        run_inline(2, quit_)


def test_when_a_host_goes_its_outputs_are_made_again() -> None:
    work = Work()
    gone: list[bool] = []

    def behave(attempt: AttemptId, worker: WorkerId) -> Sequence[Report]:
        if attempt.task.stage == 1 and not gone:
            gone.append(True)
            return [Lost(WorkerId(0), "host a is gone"), OutputsGone("a")]
        if any(str(path).startswith("@a/") for path in work.needed[attempt]) and gone:
            return [Failed(worker, attempt, Failure(FailureKind.OUTPUT_LOST, "OutputLostError", "gone"))]
        result = AttemptResult(Output(path=f"@{'ab'[worker]}/{attempt}"))
        return [Finished(worker, attempt, result)]

    clock = Clock()
    assert run_job(plan_keyed(4, 1), work, FakeExecutor(clock, 2, behave), clock=clock).succeeded
    maps = [task.index for task in work.committed if task.stage == 0]
    assert sorted(maps) == [0, 0, 1, 2, 2, 3], "two of four maps were on host a, and ran again"
    *_, last = [paths for attempt, paths in work.needed.items() if attempt.task.stage == 1]
    assert all(str(path).startswith("@b/") for path in last)


def test_when_a_host_goes_the_copies_of_its_outputs_are_read() -> None:
    """Of the two maps on host a one had been copied: only the other runs again."""
    work, journal = Work(), Memory()
    gone: list[bool] = []

    def behave(attempt: AttemptId, worker: WorkerId) -> Sequence[Report]:
        if attempt.task.stage == 1 and not gone:
            gone.append(True)
            stale = AttemptId(TaskId(0, 2), 7)
            return [Copied(map_(0), "b"), Copied(stale, "b"), Lost(WorkerId(0), "host a is gone"), OutputsGone("a")]
        if any("a" in str(path).partition("/")[0] for path in work.needed[attempt]) and gone:
            return [Failed(worker, attempt, Failure(FailureKind.OUTPUT_LOST, "OutputLostError", "gone"))]
        return [Finished(worker, attempt, AttemptResult(Output(path=f"@{'ab'[worker]}/{attempt}")))]

    clock = Clock()
    executor = FakeExecutor(clock, 2, behave)
    assert run_job(plan_keyed(4, 1), work, executor, clock=clock, journal=journal).succeeded
    assert sorted(task.index for task in work.committed if task.stage == 0) == [0, 1, 2, 2, 3]
    *_, last = [paths for attempt, paths in work.needed.items() if attempt.task.stage == 1]
    assert [str(path).partition("/")[0] for path in last] == ["@b"] * 4
    moved = [event.path.partition("/")[0] for event in journal.events if isinstance(event, OutputMoved)]
    assert moved == ["@a+b", "@b"]


class Memory:
    """A journal in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)

    def sync(self) -> None: ...

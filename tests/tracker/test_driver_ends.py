"""How does a job end that the user stops, and what of his signals and errors where attempts run on his own thread?"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mapreduce.dataflow.monitor import Monitor
from mapreduce.dataflow.results import AttemptResult
from mapreduce.engines.inline import InlineExecutor
from mapreduce.errors import InternalError
from mapreduce.ids import AttemptId, WorkerId
from mapreduce.tracker.commands import OutcomeKind
from mapreduce.tracker.driver import run_job
from mapreduce.tracker.executor import (
    Finished,
    Report,
)
from mapreduce.tracker.interrupts import Interrupts
from mapreduce.tracker.observer import Observer
from mapreduce.tracker.outcome import JobOutcome
from mapreduce.tracker.plan import plan_map_only
from tests.tracker.driven import Clock, Scene, Watcher, Work, map_, result_of


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

"""Where does a task run whose input lies on some hosts? Told as events, and against the rule as one would say it."""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.dataflow.results import AttemptResult, Failure, FailureKind, Output
from mapreduce.ids import AttemptId, TaskId, WorkerId
from mapreduce.tracker.commands import CancelAttempt, OutcomeKind, StartAttempt
from mapreduce.tracker.events import (
    AttemptCancelled,
    AttemptFailed,
    AttemptFinished,
    Event,
    Tick,
    WorkerJoined,
    WorkerLost,
)
from mapreduce.tracker.placement import Placement, patience_seconds
from mapreduce.tracker.plan import plan_keyed, plan_map_only
from mapreduce.tracker.policy import Policy
from mapreduce.tracker.tracker import Tracker

BALANCE, LOCALITY, HYBRID = Placement.BALANCE, Placement.LOCALITY, Placement.HYBRID
POLICY = Policy(queue_depth=1, locality_seconds=1.0)
SOURCES = {"a": 100, "b": 0}


# The rule, for one task


def choose_host(
    placement: Placement,
    input_bytes: Mapping[str, int],
    free: Collection[str],
    there: Collection[str],
    waited_seconds: float,
    policy: Policy,
) -> str | None:
    """The host on which a task shall start now; None if it is better to wait.

    `input_bytes` is how much of its input lies on which host, `free` are hosts with a free worker, longest waiting
    first, `there` all that have workers, and `waited_seconds` says how long the first of `free` has found nothing of
    its own."""
    if not free:
        return None
    first = next(iter(free))
    if placement is Placement.BALANCE or not any(input_bytes.values()):
        return first
    most = max(free, key=lambda host: input_bytes.get(host, 0))
    if input_bytes.get(most):
        return most
    patience = patience_seconds(placement, policy, is_there=any(host in there for host in input_bytes))
    return first if waited_seconds >= patience else None


@pytest.mark.parametrize(
    ("placement", "free", "there", "waited", "chosen"),
    [
        (BALANCE, ["b", "a"], ["a", "b"], 0.0, "b"),
        (HYBRID, ["b", "a"], ["a", "b"], 0.0, "a"),
        (HYBRID, ["b"], ["a", "b"], 0.5, None),
        (HYBRID, ["b"], ["a", "b"], 1.0, "b"),
        (LOCALITY, ["b", "a"], ["a", "b"], 0.0, "a"),
        (LOCALITY, ["b"], ["a", "b"], 1000.0, None),
        (LOCALITY, ["c"], ["c"], 0.5, None),  # a may still come
        (LOCALITY, ["c"], ["c"], 1.0, "c"),
        (HYBRID, [], ["a"], 1.0, None),
    ],
)
def test_the_rule(placement: Placement, free: list[str], there: list[str], waited: float, chosen: str | None) -> None:
    assert choose_host(placement, {"a": 100}, free, there, waited, POLICY) == chosen


def test_most_of_the_input_decides_and_no_input_is_no_matter() -> None:
    assert choose_host(LOCALITY, {"a": 10, "b": 30}, ["a", "b"], ["a", "b"], 0.0, POLICY) == "b"
    for placement in Placement:
        assert choose_host(placement, {}, ["b", "a"], ["a", "b"], 0.0, POLICY) == "b"


# The tracker, as events


class Hosts:
    """Workers 10, 11, ... are on host a, 20, 21, ... on b, and so on."""

    def __init__(self, placement: Placement, rows: Sequence[str], *, reduces: int = 0, **policy: Any) -> None:
        plan = plan_keyed(len(rows), reduces) if reduces else plan_map_only(len(rows))
        given = {"queue_depth": 1, "locality_seconds": 1.0, **policy}
        self.tracker = Tracker(plan, Policy(**given), placement=placement, sources={0: [tuple(row) for row in rows]})
        self.time = 0.0
        self.where: dict[AttemptId, WorkerId] = {}

    def tell(self, event: Event) -> list[str]:
        said = []
        for command in self.tracker.handle(event):
            if isinstance(command, StartAttempt):
                self.where[command.attempt] = command.worker
                said.append(f"{self.tracker.plan.task_name(command.attempt.task)} on {command.worker}")
        return said

    def joins(self, *workers: int) -> list[str]:
        hosts = {worker: "abcdefgh"[worker // 10 - 1] for worker in workers}
        return [
            words
            for worker in workers
            for words in self.tell(WorkerJoined(self.time, WorkerId(worker), host=hosts[worker]))
        ]

    def finishes(self, index: int, stage: int = 0) -> list[str]:
        attempt = max(attempt for attempt in self.where if attempt.task == (stage, index))
        result = AttemptResult(Output(path=str(attempt)))
        return self.tell(AttemptFinished(self.time, attempt, self.where[attempt], result))

    def waits(self, seconds: float) -> list[str]:
        """Ticks come when the tracker asks for them."""
        said, until = [], self.time + seconds
        while (due := self.tracker.wake_time()) is not None and due <= until:
            self.time = max(self.time, due)
            said += self.tell(Tick(self.time))
            if self.tracker.wake_time() == due:
                break
        self.time = until
        return said + self.tell(Tick(self.time))


def test_each_host_reads_its_own() -> None:
    for placement in (LOCALITY, HYBRID):
        hosts = Hosts(placement, ["a", "a", "b", "b"])
        assert hosts.joins(20, 10) == ["map 2 on 20", "map 0 on 10"]
        assert hosts.finishes(2) == ["map 3 on 20"]
        assert hosts.finishes(0) == ["map 1 on 10"]


def test_by_balance_whoever_is_free_takes_the_next() -> None:
    hosts = Hosts(BALANCE, ["a", "a", "b", "b"])
    assert hosts.joins(20, 10) == ["map 0 on 20", "map 1 on 10"]


def test_by_hybrid_a_host_with_nothing_of_its_own_waits_and_then_helps() -> None:
    hosts = Hosts(HYBRID, ["a", "a", "a", "a"])
    assert hosts.joins(20, 10) == ["map 0 on 10"]
    assert hosts.waits(0.9) == []
    assert hosts.finishes(0) == ["map 1 on 10"]
    assert hosts.waits(0.2) == ["map 2 on 20"]
    assert hosts.finishes(2) == ["map 3 on 20"]  # and waits no second time
    assert hosts.finishes(1) == []


def test_by_locality_it_never_helps_while_a_host_of_the_input_works() -> None:
    hosts = Hosts(LOCALITY, ["a", "a", "a"])
    assert hosts.joins(20, 10) == ["map 0 on 10"]
    assert hosts.waits(100) == []
    assert hosts.finishes(0) == ["map 1 on 10"]
    assert hosts.tell(WorkerLost(hosts.time, WorkerId(10), "gone")) == ["map 1 on 20"]
    assert hosts.finishes(1) == ["map 2 on 20"]


def test_a_host_that_is_not_there_yet_is_waited_for() -> None:
    for placement in (LOCALITY, HYBRID):
        hosts = Hosts(placement, ["a", "b"])
        assert hosts.joins(30) == []
        assert hosts.waits(0.5) == []
        assert hosts.joins(10) == ["map 0 on 10"]
        assert hosts.waits(0.6) == ["map 1 on 30"]


def test_help_goes_to_the_host_with_most_left() -> None:
    hosts = Hosts(HYBRID, ["a", "b", "a", "b", "b", "b"])
    hosts.joins(10, 20, 30)
    assert hosts.waits(1.1) == ["map 3 on 30"]


def test_replicas_are_as_good() -> None:
    hosts = Hosts(LOCALITY, ["ab", "ab", "ab"])
    assert hosts.joins(20, 10) == ["map 0 on 20", "map 1 on 10"]
    assert hosts.finishes(1) == ["map 2 on 10"]


def test_inputs_that_all_see_are_for_all() -> None:
    hosts = Hosts(LOCALITY, ["", "", "a"])
    assert hosts.joins(20, 10) == ["map 0 on 20", "map 2 on 10"]
    assert hosts.finishes(2) == ["map 1 on 10"]


def test_those_who_waited_get_the_next_stage() -> None:
    hosts = Hosts(LOCALITY, ["a"], reduces=2)
    hosts.joins(20, 10)
    assert hosts.finishes(0) == ["reduce 0 on 10", "reduce 1 on 20"]


def test_a_task_that_fails_on_its_host_is_given_to_another() -> None:
    hosts = Hosts(HYBRID, ["a", "a"])
    hosts.joins(10, 20)
    (attempt,) = hosts.where
    hosts.tell(AttemptFailed(0.0, attempt, WorkerId(10), Failure(FailureKind.USER, "ValueError", "seven")))
    assert "map 0 on 20" in hosts.waits(7)


def test_what_is_queued_behind_another_stays_there_by_locality() -> None:
    for placement, taken in ((LOCALITY, []), (HYBRID, ["map 1 on 20"])):
        hosts = Hosts(placement, ["a", "a"], queue_depth=2)
        assert hosts.joins(10) == ["map 0 on 10"]
        assert hosts.tell(Tick(0.0)) == ["map 1 on 10"]
        assert hosts.joins(20) == []
        assert hosts.waits(3) == taken


# In any order


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(list(Placement)), st.integers(1, 2))
def test_every_job_ends_whatever_comes(seed: int, placement: Placement, depth: int) -> None:
    """Workers of four hosts join, finish, fail and are lost in a random order; in the end one stays."""
    pick = random.Random(seed)
    rows = [tuple(pick.sample("abcd", pick.randrange(0, 3))) for _ in range(pick.randrange(1, 20))]
    tracker = Tracker(plan_keyed(len(rows), 2), Policy(queue_depth=depth), placement=placement, sources={0: rows})
    time, next_worker, running = 0.0, 0, {}
    alive: dict[WorkerId, str] = {}

    def tell(event: Event) -> None:
        for command in tracker.handle(event):
            if isinstance(command, StartAttempt):
                assert command.worker in alive
                running[command.attempt] = command.worker
            elif isinstance(command, CancelAttempt):
                running.pop(command.attempt, None)
                cancelled.append(command)

    cancelled: deque[CancelAttempt] = deque()
    for step in range(3000):
        if tracker.outcome is not None:
            break
        calm = step > 300
        what = pick.random()
        if cancelled:
            command = cancelled.popleft()
            if command.worker in alive:
                tell(AttemptCancelled(time, command.attempt, command.worker))
        elif not alive or (what < 0.1 and not calm):
            worker = WorkerId(next_worker)
            next_worker += 1
            alive[worker] = pick.choice("abcde")
            tell(WorkerJoined(time, worker, host=alive[worker]))
        elif what < 0.15 and not calm and len(alive) > 1:
            worker = pick.choice(sorted(alive))
            del alive[worker]
            for attempt in [attempt for attempt, where in running.items() if where == worker]:
                del running[attempt]
            cancelled = deque(command for command in cancelled if command.worker != worker)
            tell(WorkerLost(time, worker, "gone"))
        elif running and what < 0.9:
            attempt = pick.choice(sorted(running))
            worker = running.pop(attempt)
            if what < 0.18 and not calm and attempt.number < 2:
                failure = Failure(FailureKind.USER, "ValueError", "seven")
                tell(AttemptFailed(time, attempt, worker, failure))
            else:
                tell(AttemptFinished(time, attempt, worker, AttemptResult(Output(path=str(attempt)))))
        else:
            wake = tracker.wake_time()
            time = max(time, wake if wake is not None else time) + pick.choice((0.0, 0.3))
            tell(Tick(time))
    assert tracker.outcome is not None
    assert tracker.outcome.kind is OutcomeKind.SUCCEEDED or "failed" in tracker.outcome.reason


def calls_per_event(placement: Placement, tasks: int, hosts: int) -> float:
    rows = [(str(pick), str((pick * 7 + 1) % hosts)) for pick in (hash((3, index)) % hosts for index in range(tasks))]
    tracker = Tracker(plan_map_only(tasks), placement=placement, sources={0: rows})
    todo: deque[Event] = deque(WorkerJoined(0.0, WorkerId(worker), host=str(worker)) for worker in range(hosts))
    calls = events = 0

    def count(_frame: FrameType, what: str, _argument: object) -> None:
        nonlocal calls
        calls += what in ("call", "c_call")

    before = sys.getprofile()
    time = 0.0
    while tracker.outcome is None:
        if not todo:
            wake = tracker.wake_time()
            assert wake is not None
            time = max(time, wake)
            todo.append(Tick(time))
        event = todo.popleft()
        sys.setprofile(count)
        try:
            commands = tracker.handle(event)
        finally:
            sys.setprofile(before)
        events += 1
        for command in commands:
            if isinstance(command, StartAttempt):
                time += 1.0 / hosts
                result = AttemptResult(Output(path="x"))
                todo.append(AttemptFinished(time, command.attempt, command.worker, result))
            elif isinstance(command, CancelAttempt):
                todo.append(AttemptCancelled(time, command.attempt, command.worker))
    return calls / events


@pytest.mark.parametrize("placement", [LOCALITY, HYBRID])
def test_an_event_costs_the_same_however_many_hosts_there_are(placement: Placement) -> None:
    few, many = calls_per_event(placement, 1_000, 40), calls_per_event(placement, 10_000, 400)
    assert many < few * 1.3
    assert many < 120


def test_states_of_tasks_not_ready_are_none_of_the_queues_business() -> None:
    hosts = Hosts(LOCALITY, ["a", "b"], reduces=1)
    hosts.joins(10, 20)
    hosts.finishes(0)
    hosts.finishes(1)
    hosts.finishes(0, stage=1)
    outcome = hosts.tracker.outcome
    assert outcome is not None and outcome.kind is OutcomeKind.SUCCEEDED
    assert hosts.tracker.task_state(TaskId(0, 0)).name == "DONE"

"""What holds in every simulated run, whatever goes wrong?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.ids import TaskId
from mapreduce.simulate.faults import Blow, Faults, Slow
from mapreduce.simulate.results import Cost, Simulated
from mapreduce.simulate.simulation import Scenario, Simulation, simulate
from mapreduce.simulate.timetable import Timetable
from mapreduce.simulate.workload import Exponential, Lognormal, Uniform, Workload, fold_workload, keyed_workload
from mapreduce.tracker.commands import Commit, OutcomeKind
from mapreduce.tracker.policy import Backups, Policy

NO_COST = Cost(0.0, 0.0, 0.0, 0)


def without_cost(run: Simulated) -> Simulated:
    return replace(run, cost=NO_COST)


def stormy(seed: int = 1) -> Scenario:
    """A bit of everything."""
    faults = Faults(
        slow=(Slow(2, 8.0), Slow(2, 20.0, disk_only=True)),
        crash_rate=1.0,
        crashes=(Blow(3, 100),),
        partitions=(Blow(3, 60, 5), Blow(3, 90, 60)),
        stops=(Blow(3, 30, 100),),
        lost_outputs=0.005,
    )
    work = keyed_workload(600, 40, Lognormal(10, 0.5), Uniform(10, 40))
    return Scenario(work, hosts=40, slots=2, faults=faults, policy=Policy(backups=Backups.SLOW), seed=seed)


def test_timetable_keeps_time_and_order() -> None:
    timetable, done = Timetable(), []
    for time, name in ((2.0, "c"), (1.0, "a"), (2.0, "d"), (1.0, "b")):
        timetable.at(time, lambda name: done.append((timetable.now, name)), name)
    while timetable.next_time is not None:
        timetable.step()
        timetable.at(0.5, done.append, "late") if len(done) == 4 else None
    assert done == [(1.0, "a"), (1.0, "b"), (2.0, "c"), (2.0, "d"), "late"]
    assert timetable.now == 2.0


def test_same_seed_same_run() -> None:
    first, second, other = simulate(stormy(1)), simulate(stormy(1)), simulate(stormy(2))
    assert without_cost(first) == without_cost(second)
    assert first.makespan != other.makespan


def test_the_same_in_another_process_whatever_its_hashes() -> None:
    command = [sys.executable, "-m", "mapreduce", "simulate", "--json", "--maps", "200", "--hosts", "20"]
    command += ["--crash", "2", "--lost-outputs", "0.01", "--stragglers", "0.1:5", "--stop", "3@20+30"]
    pages: list[Any] = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            command, env={"PYTHONHASHSEED": hash_seed}, capture_output=True, check=True, timeout=60, text=True
        )
        page = json.loads(done.stdout)
        page["runs"][0].pop("cost")
        pages.append(page)
    assert pages[0] == pages[1]


def test_the_clock_that_measures_changes_nothing() -> None:
    assert without_cost(simulate(stormy(), clock=lambda: 0.0)) == without_cost(simulate(stormy()))


class Audit:
    """Listens to the tracker of a simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self.commits: Counter[TaskId] = Counter()
        self.tracker = simulation._tracker
        handle = self.tracker.handle

        def listening(event: Any) -> Any:
            commands = handle(event)
            for command in commands:
                if isinstance(command, Commit):
                    self.commits[command.attempt.task] += 1
            return commands

        self.tracker.handle = listening  # type: ignore[method-assign]


def check_laws(scenario: Scenario) -> Simulated:
    simulation = Simulation(scenario, lambda: 0.0)
    audit = Audit(simulation)
    run = simulation.run()
    stages = scenario.workload.plan.stages
    last = len(stages) - 1
    again = sum(count - 1 for count in audit.commits.values())
    assert run.outcome in (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED)
    assert again == run.tally.made_again
    assert all(count == 1 for task, count in audit.commits.items() if task.stage == last)
    assert run.tally.backups_won <= run.tally.backups
    assert run.useful_seconds <= run.tally.work_seconds + 1e-6
    assert run.tally.work_seconds <= run.makespan * run.hosts * run.slots + 1e-6
    if run.succeeded:
        assert sum(task.stage == last for task in audit.commits) == stages[last].tasks
        assert run.makespan == max(stage.last_commit for stage in run.stages)
    else:
        assert run.reason
    return run


def test_laws_in_a_storm() -> None:
    run = check_laws(stormy())
    assert run.succeeded
    assert run.tally.crashes > 3
    assert run.tally.cuts == 6
    assert run.tally.made_again > 0
    assert run.tally.backups_won > 0


BLOWS = st.lists(st.builds(Blow, st.integers(1, 3), st.floats(0, 60), st.floats(0, 90)), max_size=2).map(tuple)
FAULTS = st.builds(
    Faults,
    slow=st.lists(st.builds(Slow, st.integers(0, 2), st.floats(1, 50), st.booleans()), max_size=2).map(tuple),
    crash_rate=st.sampled_from((0.0, 0.0, 5.0, 50.0)),
    crashes=BLOWS,
    partitions=BLOWS,
    stops=BLOWS,
    lost_outputs=st.sampled_from((0.0, 0.1, 0.5, 1.0)),
    repair_seconds=st.sampled_from((0.0, 5.0, 100.0, float("inf"))),
    notice_seconds=st.sampled_from((0.0, 1.0, 10.0)),
)
WORKLOADS: st.SearchStrategy[Workload] = st.one_of(
    st.builds(keyed_workload, st.integers(0, 12), st.integers(0, 4), st.just(Exponential(10)), st.just(Uniform(1, 20))),
    st.builds(fold_workload, st.integers(0, 70), st.just(Exponential(10)), st.just(Uniform(1, 20))),
)
POLICIES = st.builds(Policy, backups=st.sampled_from(Backups), timeout_seconds=st.sampled_from((600.0, 30.0)))


@settings(max_examples=150)
@given(
    st.builds(
        Scenario, WORKLOADS, st.integers(1, 5), st.integers(1, 3), FAULTS, POLICIES, st.integers(0, 9),
        st.sampled_from((0.0, 7.0)),
    )
)  # fmt: skip
def test_laws_under_any_faults(scenario: Scenario) -> None:
    """Every job ends, well or with a reason; each output counts once; no second is worked twice."""
    check_laws(scenario)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_more_hosts_are_never_slower_when_nothing_fails(count: int) -> None:
    work = keyed_workload(50, 10, Uniform(5, 15), Uniform(5, 15))
    few = simulate(Scenario(work, hosts=count, policy=Policy(backups=Backups.OFF)))
    many = simulate(Scenario(work, hosts=2 * count, policy=Policy(backups=Backups.OFF)))
    assert many.makespan < few.makespan
    assert few.useful_seconds == pytest.approx(many.useful_seconds)
    assert few.wasted_seconds == pytest.approx(0, abs=1e-6)

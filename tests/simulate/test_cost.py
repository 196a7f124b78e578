"""Does an event cost the tracker the same when jobs grow and things go wrong? Counted in calls, not in time."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from mapreduce.simulate.faults import Blow, Faults, Slow
from mapreduce.simulate.simulation import Scenario, Simulation
from mapreduce.simulate.workload import Lognormal, keyed_workload
from mapreduce.tracker.events import Tick
from mapreduce.tracker.policy import Backups, Policy


def mean_calls(tasks: int, hosts: int) -> float:
    """Calls of Python and C functions with which the tracker handles an event, but for ticks, which come rarely and
    look at all that runs."""
    faults = Faults(slow=(Slow(hosts // 50, 5.0),), crashes=(Blow(hosts // 20, 15), Blow(hosts // 20, 55)))
    work = keyed_workload(tasks, hosts, Lognormal(10, 0.3), Lognormal(30, 0.2))
    scenario = Scenario(work, hosts, faults=faults, policy=Policy(backups=Backups.SLOW))
    simulation = Simulation(scenario, lambda: 0.0)
    handle = simulation._tracker.handle
    calls, events = 0, 0

    def count(_frame: FrameType, what: str, _argument: object) -> None:
        nonlocal calls
        calls += what in ("call", "c_call")

    def counted(event: Any) -> Any:
        nonlocal events
        if isinstance(event, Tick):
            return handle(event)
        events += 1
        before = sys.getprofile()
        sys.setprofile(count)
        try:
            return handle(event)
        finally:
            sys.setprofile(before)

    simulation._tracker.handle = counted  # type: ignore[method-assign]
    run = simulation.run()
    assert run.succeeded
    assert run.tally.made_again > 0
    return calls / events


def test_twenty_times_the_tasks_and_hosts_cost_the_same_for_each_event() -> None:
    few, many = mean_calls(1_000, 100), mean_calls(20_000, 2_000)
    assert many < few * 1.3
    assert many < 80

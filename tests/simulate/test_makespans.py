"""Does the virtual clock show what a pencil and paper say? Small scenarios, reckoned by hand."""

from __future__ import annotations

import pytest

from mapreduce.simulate.faults import Blow, Faults, Slow
from mapreduce.simulate.simulation import Scenario, simulate
from mapreduce.simulate.workload import Constant, Measured, StageWork, Workload, fold_workload, keyed_workload
from mapreduce.tracker.commands import OutcomeKind
from mapreduce.tracker.plan import plan_map_only
from mapreduce.tracker.policy import Backups, Policy

TEN, FIVE = Constant(10.0), Constant(5.0)
OFF, SLOW = Policy(backups=Backups.OFF), Policy(backups=Backups.SLOW)


def maps(count: int) -> Workload:
    return keyed_workload(count, 0, TEN, TEN)


def test_two_hosts_four_maps_two_reduces() -> None:
    run = simulate(Scenario(keyed_workload(4, 2, TEN, FIVE), hosts=2))
    assert run.makespan == 10 + 10 + 5
    assert [(stage.first_start, stage.last_commit) for stage in run.stages] == [(0, 20), (20, 25)]
    assert run.useful_seconds == run.tally.work_seconds == 4 * 10 + 2 * 5
    assert run.tally.attempts == 6


@pytest.mark.parametrize(("count", "hosts", "slots", "seconds"), [(3, 2, 1, 20), (4, 2, 2, 10), (1, 9, 1, 10)])
def test_waves_of_maps(count: int, hosts: int, slots: int, seconds: float) -> None:
    assert simulate(Scenario(maps(count), hosts, slots)).makespan == seconds


def test_a_job_without_tasks_ends_at_once() -> None:
    run = simulate(Scenario(maps(0), hosts=3))
    assert run.succeeded
    assert run.makespan == 0


def test_the_tree_of_a_fold() -> None:
    """15 waves of maps on 7 hosts, then four reduces, then the last one."""
    assert simulate(Scenario(fold_workload(100, TEN, FIVE), hosts=7)).makespan == 150 + 5 + 5


def test_start_up_comes_first() -> None:
    assert simulate(Scenario(maps(2), hosts=2, startup_seconds=41)).makespan == 51


def test_tasks_go_in_order_to_whoever_is_free() -> None:
    """0 to 7 on one host; on the other 0 to 3, then 3 to 8."""
    work = Workload(plan_map_only(3), (StageWork(Measured((7.0, 3.0, 5.0))),))
    assert simulate(Scenario(work, hosts=2)).makespan == 8


# Slow hosts


def test_what_is_queued_behind_a_slow_attempt_is_taken_over() -> None:
    """The fast host does two, then the one that waits at the slow host, which ends its first at 30."""
    faults = Faults(slow=(Slow(1, 3.0),))
    assert simulate(Scenario(maps(4), hosts=2, faults=faults, policy=OFF)).makespan == 30


def test_a_backup_overtakes_a_slow_attempt() -> None:
    """Without backups the slow host's first map ends at 100. With them: six of eight are done at 20, the tracker looks
    every 6 s, the backup begins at 24."""
    faults = Faults(slow=(Slow(1, 10.0),))
    without = simulate(Scenario(maps(8), hosts=4, faults=faults, policy=OFF))
    with_backups = simulate(Scenario(maps(8), hosts=4, faults=faults, policy=SLOW))
    assert without.makespan == 100
    assert with_backups.makespan == 34
    assert (with_backups.tally.backups, with_backups.tally.backups_won) == (1, 1)
    assert with_backups.wasted_seconds == pytest.approx(34)  # what the slow host did until then


def test_a_slow_disk_slows_the_disk_s_share() -> None:
    """6 of 10 seconds are computing, 4 are the disk's, which take 5 times as long."""
    faults = Faults(slow=(Slow(1, 5.0, disk_only=True),))
    assert simulate(Scenario(maps(1), hosts=1, faults=faults)).makespan == pytest.approx(6 + 4 * 5)


# Faults, on one host, so that it is clear who is hit


def alone(faults: Faults, reduces: int = 0) -> Scenario:
    return Scenario(keyed_workload(1, reduces, TEN, TEN), hosts=1, faults=faults, policy=OFF)


def test_a_crash_takes_the_attempt_and_the_outputs_with_it() -> None:
    """Map to 10, reduce from 10, crash at 15. Back at 20: map to 30, reduce to 40."""
    run = simulate(alone(Faults(crashes=(Blow(1, 15),), notice_seconds=2, repair_seconds=5), reduces=1))
    assert run.makespan == 40
    assert (run.tally.crashes, run.tally.workers_lost, run.tally.made_again) == (1, 1, 1)
    assert run.useful_seconds == 20
    assert run.wasted_seconds == 10 + 5


def test_a_host_that_is_back_before_it_was_missed() -> None:
    run = simulate(alone(Faults(crashes=(Blow(1, 4),), notice_seconds=60, repair_seconds=1)))
    assert run.makespan == 5 + 10


def test_a_crash_that_nobody_comes_back_from() -> None:
    run = simulate(alone(Faults(crashes=(Blow(1, 4),), notice_seconds=2, repair_seconds=float("inf"))))
    assert run.outcome is OutcomeKind.FAILED
    assert run.reason == "no worker is left: every host has crashed and none comes back"
    assert run.makespan == 6


def test_a_stopped_host_goes_on_where_it_was() -> None:
    assert simulate(alone(Faults(stops=(Blow(1, 4, 6),)))).makespan == 16


def test_a_short_cut_makes_the_report_late() -> None:
    assert simulate(alone(Faults(partitions=(Blow(1, 5, 7),), notice_seconds=10))).makespan == 12


def test_a_long_cut_costs_the_attempt() -> None:
    """Missed at 15, back at 25: what was done meanwhile comes too late and is done again."""
    run = simulate(alone(Faults(partitions=(Blow(1, 5, 20),), notice_seconds=10)))
    assert run.makespan == 25 + 10
    assert run.tally.workers_lost == 1
    assert run.wasted_seconds == 10


def test_an_attempt_on_a_host_cut_off_is_done_elsewhere() -> None:
    """One of two hosts is cut at 5 and missed at 8: the other does both maps, 0 to 10 and 10 to 20."""
    faults = Faults(partitions=(Blow(1, 5, 500),), notice_seconds=3)
    run = simulate(Scenario(maps(2), hosts=2, faults=faults))
    assert run.makespan == 20
    assert run.wasted_seconds == 10


def test_a_stalled_attempt_gets_a_backup() -> None:
    """The host stands still from 5 on. No sign of life since the start: after 60 s the other host starts a backup."""
    faults = Faults(stops=(Blow(1, 5, 10_000),))
    work = keyed_workload(2, 0, Constant(10.0), TEN)
    run = simulate(Scenario(work, hosts=2, faults=faults, policy=Policy(backups=Backups.STALLED)))
    assert run.makespan == 60 + 10
    assert run.tally.backups_won == 1


def test_outputs_that_never_can_be_read_end_the_job() -> None:
    run = simulate(alone(Faults(lost_outputs=1.0), reduces=1))
    assert run.outcome is OutcomeKind.FAILED
    assert run.reason.startswith("reduce 0 failed 4 times; the last time: OutputLostError")


def test_a_job_that_goes_round_in_circles_is_stopped() -> None:
    """Hosts are lost faster than their maps are repeated."""
    faults = Faults(crash_rate=36.0, repair_seconds=1)
    policy = Policy(max_attempts=10_000, max_lost_inputs=10_000)
    run = simulate(Scenario(keyed_workload(2000, 1, TEN, Constant(300)), 100, faults=faults, policy=policy))
    assert run.outcome is OutcomeKind.STOPPED
    assert "outputs are lost too fast" in run.reason

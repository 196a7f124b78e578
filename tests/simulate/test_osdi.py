"""Has the sort of section 5 of the MapReduce paper the same shape here?

There 891 s, 1283 s without backups, 933 s with 200 of 1,746 workers killed. Here ratios, on as many simulated hosts.
"""

from __future__ import annotations

from statistics import mean

import pytest

from mapreduce.errors import UsageError
from mapreduce.simulate.presets import PAPER_SECONDS, PRESETS, osdi_sort, osdi_sort_killed, osdi_sort_no_backups, preset
from mapreduce.simulate.results import Simulated
from mapreduce.simulate.simulation import Scenario, simulate

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def normal() -> list[Simulated]:
    return [simulate(osdi_sort(seed=seed)) for seed in SEEDS]


def ratio(runs: list[Simulated], normal: list[Simulated]) -> float:
    return mean(run.makespan / base.makespan for run, base in zip(runs, normal, strict=True))


def test_normal(normal: list[Simulated]) -> None:
    assert mean(run.makespan for run in normal) == pytest.approx(PAPER_SECONDS["osdi-sort"], rel=0.05)
    for run in normal:
        assert run.succeeded
        assert run.wasted_share < 0.03  # "no more than a few percent", says 3.6
        assert 5 <= run.tally.backups_won <= run.tally.backups < 50


def test_backups_off(normal: list[Simulated]) -> None:
    """The long tail: all but five reduces are done when the normal run is, and then some minutes pass."""
    runs = [simulate(osdi_sort_no_backups(seed=seed)) for seed in SEEDS]
    assert 1.34 < ratio(runs, normal) < 1.54
    assert all(run.tally.backups == 0 for run in runs)


def test_two_hundred_killed(normal: list[Simulated]) -> None:
    runs = [simulate(osdi_sort_killed(seed=seed)) for seed in SEEDS]
    assert 1.02 < ratio(runs, normal) < 1.10
    assert all(run.tally.workers_lost == 200 and run.tally.made_again > 1000 for run in runs)


def test_a_tenth_of_it_looks_alike() -> None:
    normal, off = simulate(osdi_sort(hosts=175)), simulate(osdi_sort_no_backups(hosts=175))
    assert off.makespan / normal.makespan > 1.2


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name: str) -> None:
    scenario: Scenario = preset(name, hosts=50, seed=3)
    assert simulate(scenario).succeeded
    assert scenario.seed == 3


def test_unknown_preset() -> None:
    with pytest.raises(UsageError, match="no preset 'osdi-sorted'; did you mean 'osdi-sort'"):
        preset("osdi-sorted")

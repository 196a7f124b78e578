"""Models in the ways of invariance.py, each kind of variation for each of them.

All models are tried by `pytest -m thorough`, all products by `python -m tests.algorithms.invariance`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import algorithms
from mapreduce.laws import check_job_laws
from tests.algorithms.conftest import Engines
from tests.algorithms.invariance import AXES, FLOATS, MACHINES, Way, Workshop, digests_on, possible, ways_of, why_not
from tests.algorithms.invariance_cases import CASES, NO_SUMS, Table

each = pytest.mark.parametrize(("number", "name"), list(enumerate(CASES)), ids=list(CASES))
IN_SHORT = ("linear_regression", "lasso", "gaussian_naive_bayes", "linear_discriminant_analysis", "pca", "summary")
in_short = pytest.mark.parametrize(
    ("number", "name"),
    [
        pytest.param(number, name, marks=() if name in IN_SHORT else pytest.mark.thorough)
        for number, name in enumerate(CASES)
    ],
    ids=list(CASES),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, engines: Engines) -> Iterator[Workshop]:
    made = Workshop(tmp_path_factory.mktemp("invariance"), engines)
    for name in AXES["engine"]:  # all that they start and open is there before the first test
        if name not in ("chaos", "killed"):
            made.found(CASES["covariance"], Way(engine=name, splits="311B", way="cached"))
    yield made
    made.close()


def test_each_estimator_is_in_the_table() -> None:
    """A new one gets a row in invariance_cases.py: in CASES, or in NO_SUMS with the reason."""
    assert {case.name for case in CASES.values()} | set(NO_SUMS) == set(algorithms.ESTIMATORS)
    known = {*MACHINES, *FLOATS, *(value for values in AXES.values() for value in values)}
    assert all(set(case.excluded) <= known for case in CASES.values())


def test_the_ways_meet_each_value_for_each_model_and_all_pairs() -> None:
    axes = list(AXES)
    met: set[tuple[str, str, str, str]] = set()
    for number in range(len(CASES)):
        ways = list(ways_of(number))
        for axis, values in AXES.items():
            assert {getattr(way, axis) for way in ways} == set(values)
        met |= {
            (a, getattr(way, a), b, getattr(way, b)) for way in ways for a in axes for b in axes[axes.index(a) + 1 :]
        }
    pairs = sum(len(AXES[a]) * len(AXES[b]) for a in axes for b in axes[axes.index(a) + 1 :])
    assert len(met) == pairs


@in_short
@pytest.mark.timeout(120)
def test_the_same_bits_in_all_ways(number: int, name: str, shop: Workshop) -> None:
    case = CASES[name]
    ways: list[Way | str] = [*(possible(way) for way in ways_of(number)), *FLOATS]
    tried = [way for way in ways if why_not(case, way) is None]
    found = {str(way): shop.found(case, way) for way in tried}
    assert found == {str(way): shop.wanted(case, way) for way in tried}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("machine", ["prescott", pytest.param("kernels off", marks=pytest.mark.thorough)])
def test_the_same_bits_on_any_machine(machine: str, shop: Workshop) -> None:
    """In a process that takes itself to be on another processor, or has no compiled loops."""
    assert digests_on(machine, list(CASES)) == {name: shop.plain(case) for name, case in CASES.items()}


@each
def test_the_sums_keep_all_laws(number: int, name: str, tmp_path: Path) -> None:
    """Cut anywhere, in any order, added and taken away: what `mapreduce check` tries."""
    case = CASES[name]
    some = Table(case.table.header, case.table.rows[:40])
    model = case.estimator()
    rows = model.reads(case.read(some.write(tmp_path / "rows.csv"), some))
    verdicts = check_job_laws(model.fold(), rows, seed=number)
    assert [verdict for verdict in verdicts if not verdict.holds] == []
    assert {verdict.law for verdict in verdicts} >= {"split", "associative", "commutative", "permute"}

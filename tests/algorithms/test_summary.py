"""Is the summary that which NIST certifies and scipy computes, with the same bits for any cut?"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from algorithms.summary import Summary, SummaryStatistics
from algorithms.sums import PowerSums
from bench.accuracy import digits
from data.certified import Univariate, univariate
from tests.algorithms.conftest import Engines


@pytest.mark.parametrize("case", univariate(), ids=lambda case: str(case.table.name))
def test_the_job_has_the_values_that_nist_certifies(case: Univariate, tmp_path: Path) -> None:
    dataset = mr.read_csv(case.table.write_csv(tmp_path / "values.csv"))
    found = mr.run(Summary(), dataset, engine="inline", split_size="1KB").value["y"]
    values = [float(cell) for (cell,) in case.table.rows]
    assert found["count"] == len(values)
    assert min(digits(found["mean"], case.mean), digits(found["deviation"], case.deviation)) == 15
    assert (found["min"], found["max"]) == (min(values), max(values))


PROBABILITIES = [0.0, 0.01, 0.1, 0.25, 0.375, 0.5, 0.75, 0.999, 1.0]


@pytest.mark.parametrize("workers", [1, 3])
def test_quantiles_are_those_of_numpy(workers: int, engines: Engines) -> None:
    """Ties, both zeros, both signs, denormals and 1e300."""
    generator = np.random.default_rng(3)
    wide = generator.normal(size=2001) * 10.0 ** generator.integers(-320, 300, 2001)
    X = np.column_stack([generator.normal(size=2001), generator.integers(-2, 3, 2001), wide])
    X[:30, 0], X[30:70, 0] = 0.0, -0.0
    X[:5, 2] = [5e-324, -5e-324, 1.7e308, -1.7e308, 0.0]
    model = SummaryStatistics(PROBABILITIES).fit(X, engine=engines[workers])
    # in extended precision: else numpy's interpolation rounds twice, ours once
    expected = np.quantile(X.astype(np.longdouble), PROBABILITIES, axis=0).astype(np.float64)
    assert np.allclose(model.quantile_, expected, rtol=1e-15, atol=0)
    assert np.array_equal(model.quantile_[[0, -1]], [X.min(axis=0), X.max(axis=0)])


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_quantiles_of_few_rows(rows: int) -> None:
    X = np.array([[3.0], [-1.0], [2.0]])[:rows]
    model = SummaryStatistics([0.25, 0.5]).fit(X)
    assert model.quantile_.ravel().tolist() == np.quantile(X, [0.25, 0.5]).tolist()


def test_the_model_has_the_figures_of_the_job(engine: mr.Engine, datadir: Path) -> None:
    dataset = mr.read_csv(datadir / "diabetes.csv")
    model = SummaryStatistics([0.5]).fit(dataset, engine=engine)
    job = engine.run(Summary(), dataset).value
    for name, figures in model.figures()["columns"].items():
        assert {key: value for key, value in figures.items() if key != "quantile"} == {
            key: value for key, value in job[name].items() if key != "count"
        }


def test_ends_are_not_known_where_rows_were_taken_away() -> None:
    state = PowerSums.of(np.array([[1.0], [2.0], [4.0]])) - PowerSums.of(np.array([[1.0]]))
    model = SummaryStatistics()
    model.fit_sums(state, ["x"])
    assert (model.n_, model.mean_.tolist()) == (2, [3.0])
    assert np.isnan(model.min_[0])
    with pytest.raises(mr.UsageError, match="quantiles do not follow from sums"):
        SummaryStatistics([0.5]).fit_sums(state, ["x"])


def test_quantiles_are_from_0_to_1() -> None:
    with pytest.raises(mr.UsageError, match=r"quantiles holds 50"):
        SummaryStatistics([0.5, 50.0]).fit([[1.0]])


def test_figures_are_those_of_scipy(engine: mr.Engine, datadir: Path) -> None:
    from scipy import stats

    data = np.genfromtxt(datadir / "diabetes.csv", delimiter=",", names=True)
    found = engine.run(Summary(), mr.read_csv(datadir / "diabetes.csv")).value
    for name in data.dtype.names or ():
        x = data[name]
        expected = [np.mean(x), np.var(x, ddof=1), stats.skew(x), stats.kurtosis(x), x.min(), x.max()]
        figures = [found[name][key] for key in ("mean", "variance", "skewness", "kurtosis", "min", "max")]
        assert figures == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_same_bits_for_any_workers_and_splits(engines: Engines, datadir: Path) -> None:
    dataset = mr.read_csv(datadir / "diabetes.csv")
    found = {str(engine.run(Summary(), dataset).value) for engine in engines.values()}
    for size in ("2KB", "7KB", "1MB"):
        found.add(str(mr.run(Summary(), dataset, engine="inline", split_size=size).value))
    assert len(found) == 1


def test_equal_values_have_no_shape(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    (tmp_path / "same.csv").write_text("a\n0.1\n0.1\n0.1\n")
    found = mr.run(Summary(), mr.read_csv(tmp_path / "same.csv"), engine="inline").value["a"]
    assert (found["mean"], found["variance"]) == (0.1, 0.0)
    assert math.isnan(found["skewness"])
    (tmp_path / "none.csv").write_text("a\n")
    done = run_cli("run", "summary", tmp_path / "none.csv")
    assert done.rc == 2
    assert "has no rows" in done.err


def test_from_the_command_line(run_cli: Callable[..., Any], datadir: Path) -> None:
    done = run_cli("run", "summary", datadir / "iris.csv", "-q")
    assert (done.rc, done.err) == (0, "")
    assert "petal_width.min\t0.1\n" in done.out

"""Is the summary that which NIST certifies and scipy computes, with the same bits for any cut?"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from algorithms.summary import Summary
from tests.algorithms.conftest import Engines


def alternating(base: str, low: str, high: str) -> list[str]:
    """1001 numbers of which NIST certifies mean and deviation."""
    return [base, *[low, high] * 500]


@pytest.mark.parametrize(
    ("values", "mean", "deviation"),
    [
        (["10000001", "10000003", "10000002"], 10000002.0, 1.0),
        (alternating("1.2", "1.1", "1.3"), 1.2, 0.1),
        (alternating("1000000.2", "1000000.1", "1000000.3"), 1000000.2, 0.1),
        (alternating("10000000.2", "10000000.1", "10000000.3"), 10000000.2, 0.1),
    ],
    ids=["NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4"],
)
def test_certified_values_of_nist(values: list[str], mean: float, deviation: float, tmp_path: Path) -> None:
    (tmp_path / "values.csv").write_text("y\n" + "\n".join(values) + "\n")
    found = mr.run(Summary(), mr.read_csv(tmp_path / "values.csv"), engine="inline", split_size="1KB").value["y"]
    assert (found["count"], found["mean"], found["deviation"]) == (len(values), mean, deviation)
    assert (found["min"], found["max"]) == (float(min(values, key=float)), float(max(values, key=float)))


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

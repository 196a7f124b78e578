"""Are the bits of a fit the same however the rows were cut, and is it the exact answer rounded once?"""

from __future__ import annotations

import hashlib
import math
import os
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import mapreduce as mr
from algorithms.linear_regression import ExactLeastSquares, LinearRegression
from algorithms.sums.equations import FEW, Dependent, solve, to_root
from tests.algorithms.conftest import Engines
from tests.conftest import ROOT


def bits(model: LinearRegression) -> str:
    numbers = np.array([*model.coef_, model.intercept_, *model.std_error_, model.r2_, model.sigma_, model.condition_])
    return hashlib.sha256(numbers.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return (ROOT / "data" / "houses.csv").read_text().splitlines(keepends=True)


def test_same_bits_for_any_workers_splits_order_and_files(engines: Engines, lines: list[str], tmp_path: Path) -> None:
    head, rows = lines[0], lines[1:]
    shuffled = random.Random(1).sample(rows, len(rows))
    (tmp_path / "one.csv").write_text(head + "".join(rows))
    (tmp_path / "shuffled.csv").write_text(head + "".join(shuffled))
    for number, start in enumerate(range(0, len(rows), 701)):
        (tmp_path / f"part{number}.csv").write_text(head + "".join(shuffled[start : start + 701]))
    found = set()
    for engine in engines.values():
        found.add(bits(LinearRegression().fit(mr.read_csv(tmp_path / "one.csv", target="price"), engine=engine)))
    sums = set()
    for size in ("5KB", "37KB", "100KB", "1MB", "64MB"):
        for name in ("one.csv", "shuffled.csv"):
            dataset = mr.read_csv(tmp_path / name, target="price")
            done = mr.run(ExactLeastSquares(), dataset, engine="inline", split_size=size)
            sums.add(done.value.digest())
    assert len(sums) == 1
    with mr.Engine("inline") as engine:
        for pattern in ("shuffled.csv", "part*.csv"):
            dataset = mr.read_csv(tmp_path / pattern, target="price")
            found.add(bits(LinearRegression().fit(dataset, engine=engine)))
    assert len(found) == 1


@pytest.mark.parametrize("core", ["Haswell", "Sandybridge", "Prescott"])
def test_same_bits_for_any_blas_kernels_and_without_ours(core: str, lines: list[str], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("".join(lines[:1500]))
    command = [sys.executable, "-m", "mapreduce", "fit", "linear_regression", "rows.csv", "--target", "price", "-q"]
    told = set()
    for extra in ({}, {"OPENBLAS_CORETYPE": core}, {"MAPREDUCE_KERNELS": "off", "OPENBLAS_CORETYPE": core}):
        environment = {**os.environ, **extra, "PYTHONPATH": str(ROOT)}
        told.add(
            subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=50).stdout
        )
    assert len(told) == 1


def test_many_unknowns_are_solved_by_iteration_to_the_same_numbers() -> None:
    size = FEW + 4
    draw = random.Random(3)
    X = np.array([[draw.randrange(-(10**6), 10**6) for _ in range(size)] for _ in range(3 * size)], object)
    theta = np.array([draw.randrange(-9, 9) for _ in range(size)], object)
    theta[3] = 0
    A = X.T.dot(X)
    found = solve(A, A.dot(theta)[:, None])
    assert not isinstance(found, Dependent)
    assert not found.exact
    error = max(abs(value - int(truth)) for value, truth in zip(found.column(0), theta, strict=True))
    assert error < Fraction(1, 1 << 150)


def test_perfect_fit_of_many_columns() -> None:
    rng = np.random.default_rng(2)
    X = rng.integers(-99, 99, (120, FEW + 3)).astype(float)
    y = 3 * X[:, 0] - 2 * X[:, 5] + 7
    model = LinearRegression().fit(X, y)
    assert model.coef_.tolist() == [3.0, *[0.0] * 4, -2.0, *[0.0] * (FEW - 3)]
    assert (model.intercept_, model.sigma_, model.r2_) == (7.0, 0.0, 1.0)


def test_collinear_columns_are_named_exactly() -> None:
    A = np.array([[2, 4, 1], [4, 8, 2], [1, 2, 5]], object)
    found = solve(A, np.array([[1], [2], [3]], object))
    assert found == Dependent(1, [Fraction(2)])


@pytest.mark.parametrize("value", [Fraction(2), Fraction(1, 3), Fraction(10) ** 200, Fraction(1, 10**200), Fraction(9)])
def test_roots_are_correctly_rounded(value: Fraction) -> None:
    root = to_root(value)
    below, above = (Fraction(math.nextafter(root, end)) for end in (0.0, math.inf))
    middle = Fraction(root)
    assert ((below + middle) / 2) ** 2 <= value <= ((middle + above) / 2) ** 2


@pytest.mark.parametrize(("name", "said"), [("sums", "choose 'exact' or 'float'"), ("degree", "at least 1")])
def test_options_are_checked(name: str, said: str) -> None:
    with pytest.raises(mr.UsageError, match=said):
        LinearRegression(**{name: {"sums": "fast", "degree": 0}[name]}).fit(np.eye(3), np.arange(3.0))  # type: ignore[arg-type]


def test_powers_predict_as_they_were_fitted() -> None:
    x = np.arange(12.0)[:, None]
    model = LinearRegression(degree=3).fit(x, 2 * x[:, 0] ** 3 - x[:, 0] + 5)
    assert model.coef_.tolist() == [-1.0, 0.0, 2.0]
    assert model.term_names_ == ["x0", "x0^2", "x0^3"]
    assert model.predict(x[:3]).tolist() == [5.0, 6.0, 19.0]

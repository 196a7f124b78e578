"""Are coefficients those that NIST certifies, and their bits the same however the rows were cut?"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import mapreduce as mr
from algorithms.linear_regression import ExactLeastSquares, LinearRegression
from algorithms.sums.equations import FEW, Dependent, solve, to_root
from tests.algorithms.conftest import Engines
from tests.conftest import ROOT

NIST = Path(__file__).parent / "nist"


class Certified(NamedTuple):
    """What NIST's Statistical Reference Datasets say of a fit: intercept first."""

    path: Path
    degree: int
    coef: list[float]
    std_error: list[float]
    sigma: float


ONES = [1.0] * 6
WAMPLER_ERRORS = [
    2152.32624678170, 2363.55173469681, 779.343524331583, 101.475507550350, 5.64566512170752, 0.112324854679312,
]  # fmt: skip
CASES = [
    Certified(
        ROOT / "data" / "norris.csv", 1, [-0.262323073774029, 1.00211681802045],
        [0.232818234301152, 0.429796848199937e-3], 0.884796396144373,
    ),
    Certified(
        ROOT / "data" / "longley.csv", 1,
        [-3482258.63459582, 15.0618722713733, -0.358191792925910e-1, -2.02022980381683, -1.03322686717359,
         -0.511041056535807e-1, 1829.15146461355],
        [890420.383607373, 84.9149257747669, 0.334910077722432e-1, 0.488399681651699, 0.214274163161675,
         0.226073200069370, 455.478499142212],
        304.854073561965,
    ),
    Certified(
        NIST / "pontius.csv", 2, [0.673565789473684e-3, 0.732059160401003e-6, -0.316081871345029e-14],
        [0.107938612033077e-3, 0.157817399981659e-9, 0.486652849992036e-16], 0.205177424076185e-3,
    ),
    Certified(
        NIST / "filip.csv", 10,
        [-1467.48961422980, -2772.17959193342, -2316.37108160893, -1127.97394098372, -354.478233703349,
         -75.1242017393757, -10.8753180355343, -1.06221498588947, -0.670191154593408e-1, -0.246781078275479e-2,
         -0.402962525080404e-4],
        [298.084530995537, 559.779865474950, 466.477572127796, 227.204274477751, 71.6478660875927,
         15.2897178747400, 2.23691159816033, 0.221624321934227, 0.142363763154724e-1, 0.535617408889821e-3,
         0.896632837373868e-5],
        0.334801051324544e-2,
    ),
    Certified(NIST / "wampler1.csv", 5, ONES, [0.0] * 6, 0.0),
    Certified(NIST / "wampler2.csv", 5, [1.0, 0.1, 0.01, 0.001, 0.0001, 0.00001], [0.0] * 6, 0.0),
    Certified(NIST / "wampler3.csv", 5, ONES, WAMPLER_ERRORS, 2360.14502379268),
    Certified(NIST / "wampler4.csv", 5, ONES, [100 * error for error in WAMPLER_ERRORS], 236014.502379268),
    Certified(NIST / "wampler5.csv", 5, ONES, [10000 * error for error in WAMPLER_ERRORS], 23601450.2379268),
]  # fmt: skip


def digits(found: float, certified: float) -> float:
    """Correct digits of a number of which NIST certifies 15: what rounds to the certified digits has them all."""
    if f"{found:.14e}" == f"{certified:.14e}":
        return 15.0
    return -math.log10(abs(found - certified) / abs(certified)) if certified else -math.inf


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
def test_certified_values_of_nist(case: Certified, run_cli: Callable[..., Any]) -> None:
    done = run_cli(
        "fit", "linear_regression", case.path, "--target", "y", "--set", f"degree={case.degree}", "--json", "-q"
    )
    assert done.rc == 0
    model = json.loads(done.out)
    coef = [model["intercept"], *model["coef"].values()]
    errors = [model["intercept_error"], *model["std_error"].values()]
    assert min(map(digits, coef, case.coef)) >= 14
    assert min(map(digits, errors, case.std_error)) >= 14
    assert digits(model["sigma"], case.sigma) >= 14


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

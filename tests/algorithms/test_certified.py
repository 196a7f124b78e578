"""Has every figure the digits that NIST certifies, from the CSV file through the command line, and as the page says?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.accuracy import digits, worst
from data.certified import Analysis, Regression, Univariate, analyses, regressions, univariate
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "accuracy.md").read_text()
ENOUGH = 14
Run = Callable[..., Any]


def told_by_page(title: str) -> dict[str, float]:
    """Our row of a table of docs/accuracy.md: digits by dataset."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    row = next(line for line in lines if line[0] == "exact sums")
    return dict(zip(lines[0][1:], map(float, row[1:]), strict=True))


COEFFICIENTS = told_by_page("Linear regression: worst coefficient")
ERRORS = told_by_page("Linear regression: worst standard error")
MOMENTS = told_by_page("Mean and standard deviation: the worse of both")
F = told_by_page("Analysis of variance: F")


def name_of(case: Any) -> str:
    return str(case.table.name)


def in_short(cases: Sequence[Any], *names: str) -> list[Any]:
    """The cases, of which only those that are named are not left to `pytest -m thorough`."""
    return [
        pytest.param(case, marks=() if name_of(case) in names else pytest.mark.thorough, id=name_of(case))
        for case in cases
    ]


def fit(run_cli: Run, *arguments: object) -> dict[str, Any]:
    done = run_cli("fit", *arguments, "--json", "-q", "--workers", 1)
    assert done.rc == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def least(found: Sequence[float], certified: Sequence[float]) -> float:
    return min(map(digits, found, certified))


@pytest.mark.parametrize("case", regressions(), ids=name_of)
def test_regressions(case: Regression, tmp_path: Path, run_cli: Run) -> None:
    options = ("--set", f"degree={case.degree}", "--set", f"fit_intercept={case.has_intercept}")
    path = case.table.write_csv(tmp_path / "rows.csv")
    model = fit(run_cli, "linear_regression", path, "--target", "y", *options)
    first, error = ([model["intercept"]], [model["intercept_error"]]) if case.has_intercept else ([], [])
    coefficients = worst([*first, *model["coef"].values()], case.coef)
    errors = worst([*error, *model["std_error"].values()], case.std_error)
    assert (coefficients, errors) == pytest.approx((COEFFICIENTS[name_of(case)], ERRORS[name_of(case)]), abs=0.05)
    assert min(coefficients or 0, errors or 0) >= ENOUGH
    found = [model["sigma"], model["r2"], float(model["f"])]
    assert least(found, [case.sigma, case.r2, case.f]) >= ENOUGH


@pytest.mark.parametrize("case", in_short(univariate(), "Michelso", "NumAcc4"))
def test_mean_and_deviation(case: Univariate, tmp_path: Path, run_cli: Run) -> None:
    found = fit(run_cli, "summary", case.table.write_csv(tmp_path / "rows.csv"))["columns"]["y"]
    assert least([found["mean"], found["deviation"]], [case.mean, case.deviation]) == MOMENTS[name_of(case)] == 15


@pytest.mark.parametrize("case", in_short(analyses(), "AtmWtAg", "SmLs09"))
def test_analyses_of_variance(case: Analysis, tmp_path: Path, run_cli: Run) -> None:
    path = case.table.write_csv(tmp_path / "rows.csv")
    found = fit(run_cli, "anova", path, "--target", "y", "--features", "group")
    assert digits(found["f"], case.f) == pytest.approx(F[name_of(case)], abs=0.05)
    assert (found["df"]["between"], found["df"]["within"]) == (case.between[0], case.within[0])
    squares = [found["sum_of_squares"]["between"], found["sum_of_squares"]["within"]]
    assert least(squares, [case.between[1], case.within[1]]) >= ENOUGH
    assert least([found["f"], found["eta2"], found["sigma"]], [case.f, case.r2, case.sigma]) >= ENOUGH


def test_the_page_has_every_dataset() -> None:
    assert list(COEFFICIENTS) == list(ERRORS) == list(map(name_of, regressions()))
    assert list(MOMENTS) == list(map(name_of, univariate()))
    assert list(F) == list(map(name_of, analyses()))


def test_digits_are_counted_as_nist_does() -> None:
    assert digits(1.0, 1.0) == 15
    assert digits(1.001, 1.0) == pytest.approx(3)
    assert digits(5.0, 1.0) == 0
    assert digits(float("nan"), 1.0) == 0
    assert digits(1e-6, 0.0) == pytest.approx(6)

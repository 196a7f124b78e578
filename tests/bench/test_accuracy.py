"""Does docs/accuracy.md still say what ours measure?"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import accuracy
from data.certified import Regression, analyses, regressions, univariate
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "accuracy.md").read_text()


def ours_in(title: str) -> dict[str, float]:
    """Our row of a table of the page: digits by dataset."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    row = next(line for line in lines if line[0] == "exact sums")
    return dict(zip(lines[0][1:], map(float, row[1:]), strict=True))


def test_every_dataset_is_in_the_tables() -> None:
    assert list(ours_in("Linear regression: worst coefficient")) == [case.table.name for case in regressions()]
    assert list(ours_in("Mean and standard deviation: the worse of both")) == [case.table.name for case in univariate()]
    assert list(ours_in("Analysis of variance: F")) == [case.table.name for case in analyses()]


@pytest.mark.parametrize("case", regressions(), ids=lambda case: case.table.name)
def test_regressions(case: Regression, tmp_path: Path) -> None:
    coef, errors = accuracy.ours(tmp_path, case)
    told = ours_in("Linear regression: worst coefficient"), ours_in("Linear regression: worst standard error")
    found = accuracy.worst(coef, case.coef), accuracy.worst(errors, case.std_error)
    assert found == pytest.approx([each[case.table.name] for each in told], abs=0.05)
    assert min(filter(None, found)) >= 14


@pytest.mark.parametrize("name", ["Michelso", "NumAcc4"])
def test_univariate(name: str, tmp_path: Path) -> None:
    case = next(case for case in univariate() if case.table.name == name)
    mean, deviation = accuracy.our_summary(tmp_path, case)
    assert min(accuracy.digits(mean, case.mean), accuracy.digits(deviation, case.deviation)) == 15


@pytest.mark.parametrize("name", ["AtmWtAg", "SmLs09"])
def test_analysis_of_variance(name: str, tmp_path: Path) -> None:
    case = next(case for case in analyses() if case.table.name == name)
    assert accuracy.digits(accuracy.our_anova(tmp_path, case), case.f) == 15


def test_digits_are_counted_as_nist_does() -> None:
    assert accuracy.digits(1.0, 1.0) == 15
    assert accuracy.digits(1.001, 1.0) == pytest.approx(3)
    assert accuracy.digits(5.0, 1.0) == 0
    assert accuracy.digits(float("nan"), 1.0) == 0
    assert accuracy.digits(1e-6, 0.0) == pytest.approx(6)

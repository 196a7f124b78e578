"""Does analysis of variance give the values that NIST certifies, from the file through the command line?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

import mapreduce as mr
from algorithms.anova import Anova

NIST = Path(scipy.stats.__file__).parent / "tests" / "data" / "nist_anova"
SETS = ["SiRstv", "AtmWtAg", *(f"SmLs0{number}" for number in range(1, 10))]


def certified(name: str, folder: Path) -> tuple[Path, dict[str, float]]:
    """The data as a CSV file, and the certified values."""
    lines = (NIST / f"{name}.dat").read_text().splitlines()
    between, within = (
        [float(cell) for cell in line.split()[2:]] for line in lines[40:47] if line.startswith(("Between", "Within"))
    )
    r2 = float(next(line for line in lines[40:60] if "R-Squared" in line).split()[-1])
    start = next(number for number, line in enumerate(lines) if line.startswith("Data:") and number > 55) + 1
    rows = [line.split() for line in lines[start:] if line.strip()]
    path = folder / f"{name}.csv"
    path.write_text("group,response\n" + "".join(f"{group},{response}\n" for group, response in rows))
    return path, {"df1": between[0], "ss1": between[1], "ms1": between[2], "f": between[3], "ss2": within[1], "r2": r2}


def digits(found: float, true: float) -> float:
    return 15.0 if found == true else min(15.0, -float(np.log10(abs(found - true) / abs(true))))


@pytest.mark.parametrize("name", SETS)
def test_certified_values_of_nist(name: str, tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    path, true = certified(name, tmp_path)
    done = run_cli("fit", "anova", path, "--target", "response", "--features", "group", "--json", "--workers", 1)
    assert done.rc == 0, done.err
    found = json.loads(done.out)
    assert found["df"]["between"] == true["df1"]
    worst = {
        "f": digits(found["f"], true["f"]),
        "between": digits(found["sum_of_squares"]["between"], true["ss1"]),
        "within": digits(found["sum_of_squares"]["within"], true["ss2"]),
        "mean square": digits(found["mean_square"]["between"], true["ms1"]),
        "r2": digits(found["eta2"], true["r2"]),
    }
    assert min(worst.values()) >= 14, worst


def test_p_is_that_of_scipy() -> None:
    generator = np.random.default_rng(4)
    y = generator.normal(size=200) + np.repeat([0.0, 0.1, 0.5, 0.2], 50)
    groups = np.repeat(["a", "b", "c", "d"], 50)
    model = Anova().fit(groups[:, None], y)
    peer = scipy.stats.f_oneway(*(y[groups == group] for group in "abcd"))
    assert model.f_ == pytest.approx(peer.statistic, rel=1e-13)
    assert model.p_ == pytest.approx(peer.pvalue, rel=1e-11)
    assert model.groups_.tolist() == ["a", "b", "c", "d"]


def test_the_table(run_cli: Callable[..., Any], datadir: Path) -> None:
    done = run_cli("fit", "anova", datadir / "iris.csv", "--target", "petal_width", "--features", "species", "-q")
    assert done.rc == 0, done.err
    assert done.out.splitlines()[:3] == [
        "source      df  sum of squares  mean square        F            p",
        "species      2         80.4133      40.2067  960.007  4.16945e-85",
        "residuals  147         6.15660    0.0418816",
    ]
    assert "virginica   50   2.02600" in done.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("g,y\na,1\na,2\n", "all rows are in one group, 'a'"),
        ("g,y\na,1\nb,2\n", "each of the 2 groups has one row"),
        ("g,y\na,2\na,2\nb,2\n", "all rows have the same response"),
        ("g,y\na,1\n,2\nb,2\n", "line 3"),
        ("g,y\na,1\na,x\nb,2\n", "not numeric"),
        ("g,h,y\na,b,1\na,c,2\n", "one column, not of 2; name it with --features COLUMN"),
    ],
)
def test_rows_that_cannot_be_analysed(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    with mr.Engine("inline") as engine, pytest.raises(mr.MapReduceError, match=said):
        Anova().fit(mr.read_csv(tmp_path / "rows.csv", target="y"), engine=engine)


def test_groups_without_spread() -> None:
    model = Anova().fit([[1], [1], [2], [2]], [3.0, 3.0, 4.0, 4.0])
    assert (model.f_, model.p_, model.eta2_) == (float("inf"), 0.0, 1.0)
    with pytest.raises(mr.UsageError, match="anova describes rows and predicts nothing"):
        model.predict([[1.0]])

"""Is analysis of variance that of scipy, and does it refuse what has no answer? (NIST's values: test_certified.py.)"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

import mapreduce as mr
from algorithms.anova import Anova


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
        ("g,y\na,1\na,x\nb,2\n", "line 3, column .y.: .x. is not a number"),
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
    assert not hasattr(model, "predict")

"""Are t, p, intervals, F and the criteria those of statsmodels and scipy?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from algorithms.linear_regression import LinearRegression
from algorithms.tails import f_tail, t_quantile, t_tail


@pytest.mark.parametrize("free", [1, 2, 5, 30, 1000, 100_000])
def test_tails_are_those_of_scipy(free: int) -> None:
    from scipy import stats

    for t in (0.0, 0.01, 0.5, 1.0, 2.0, 3.5, 10.0):
        assert t_tail(t, free) == pytest.approx(2 * stats.t.sf(t, free), rel=1e-11)
    for upper in (1, 3, 20):
        for f in (0.1, 1.0, 3.0, 20.0):
            assert f_tail(f, upper, free) == pytest.approx(stats.f.sf(f, upper, free), rel=1e-11)
    assert t_quantile(0.95, free) == pytest.approx(stats.t.ppf(0.975, free), rel=1e-11)


@pytest.mark.parametrize("sums", ["exact", "float"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_figures_are_those_of_statsmodels(sums: str, fit_intercept: bool, datadir: Path) -> None:
    api: Any = pytest.importorskip("statsmodels.api")
    frame = pd.read_csv(datadir / "diabetes.csv")
    y, X = frame["progression"], frame.drop(columns="progression")
    peer = api.OLS(y, api.add_constant(X) if fit_intercept else X).fit()
    figures = LinearRegression(sums=sums, fit_intercept=fit_intercept).fit(X, y).figures()
    names = list(X.columns)
    close: Any = {"rel": 1e-8, "abs": 1e-300}
    assert [figures["std_error"][name] for name in names] == pytest.approx(peer.bse[names].tolist(), **close)
    assert [figures["t"][name] for name in names] == pytest.approx(peer.tvalues[names].tolist(), **close)
    assert [figures["p"][name] for name in names] == pytest.approx(peer.pvalues[names].tolist(), **close)
    assert [figures["low"][name] for name in names] == pytest.approx(peer.conf_int()[0][names].tolist(), **close)
    assert [figures["high"][name] for name in names] == pytest.approx(peer.conf_int()[1][names].tolist(), **close)
    for own, theirs in {
        "adjusted_r2": "rsquared_adj",
        "f": "fvalue",
        "f_p": "f_pvalue",
        "aic": "aic",
        "bic": "bic",
        "log_likelihood": "llf",
    }.items():
        assert figures[own] == pytest.approx(getattr(peer, theirs), **close)
    if fit_intercept:
        assert figures["intercept_error"] == pytest.approx(peer.bse["const"], **close)


def test_a_penalty_leaves_no_errors() -> None:
    figures = LinearRegression(alpha=1.0).fit(np.eye(4)[:, :2], np.arange(4.0)).figures()
    assert np.isnan(list(figures["std_error"].values())).all()
    assert "p" not in figures

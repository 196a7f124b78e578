"""Are the chosen columns those that R, statsmodels and trying all subsets choose?"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mapreduce as mr
from algorithms.linear_regression import LinearRegression
from algorithms.stepwise_regression import StepwiseRegression
from algorithms.sums.sweep import Tableau
from tests.conftest import ROOT

DATA = ROOT / "data"
MILLION = 10**6


def table(name: str, target: str) -> tuple[pd.DataFrame, Any]:
    frame = pd.read_csv(DATA / name)
    return frame.drop(columns=target), frame[target]


def test_longley_is_that_of_r_s_step(run_cli: Callable[..., Any]) -> None:
    # R: step(lm(Employed ~ ., longley)): AIC -33.22, - GNP.deflator -35.16, - Population -36.80. Its Employed is in
    # millions, which takes n log(10^6)^2 / 2 from ours
    done = run_cli("fit", "stepwise_regression", DATA / "longley.csv", "--target", "y", "--json", "-q")
    assert done.rc == 0, done.err
    page = json.loads(done.out)
    assert [step["change"] for step in page["steps"]] == ["all columns", "- x1", "- x5"]
    in_r = [round(step["cost"] - 16 * math.log(MILLION), 2) for step in page["steps"]]
    assert in_r == [-33.22, -35.16, -36.8]
    assert page["selected"] == ["x2", "x3", "x4", "x6"]
    assert list(page["std_error"]) == ["x1", "x2", "x3", "x4", "x5", "x6"]
    assert page["coef"]["x1"] == 0 and list(page["p"]) == [*page["selected"], "intercept"]


def test_the_chosen_columns_are_fitted_as_any(run_cli: Callable[..., Any]) -> None:
    api: Any = pytest.importorskip("statsmodels.api")
    X, y = table("houses.csv", "price")
    model = StepwiseRegression(criterion="bic").fit(X, y)
    chosen = model.selected_
    own = LinearRegression().fit(X[chosen], y)
    places = [list(X.columns).index(name) for name in chosen]
    assert model.coef_[places].tobytes() == own.coef_.tobytes()
    assert model.std_error_[places].tobytes() == own.std_error_.tobytes()
    assert np.allclose(model.predict(X), own.predict(X[chosen]), rtol=1e-13)
    peer = api.OLS(y, api.add_constant(X[chosen])).fit()
    figures = model.figures()
    assert [figures["aic"], figures["bic"]] == pytest.approx([peer.aic, peer.bic], rel=1e-11)


def rss(X: Any, y: Any, chosen: Any) -> float:
    A = np.column_stack([np.ones(len(y)), X[:, list(chosen)]])
    rest = y - A @ np.linalg.lstsq(A, y, rcond=None)[0]
    return float(rest @ rest)


COSTS: dict[str, Callable[[float, int, int, float], float]] = {
    "aic": lambda rss, n, k, tss: n * math.log(rss / n) + 2 * k,
    "bic": lambda rss, n, k, tss: n * math.log(rss / n) + math.log(n) * k,
    "adj_r2": lambda rss, n, k, tss: rss / (n - k) / (tss / (n - 1)) - 1,
}


@pytest.mark.parametrize("criterion", COSTS)
def test_best_is_the_best_of_all_subsets(criterion: str) -> None:
    X, y = table("diabetes.csv", "progression")
    Z, n = X.to_numpy(float), len(y)
    Z = Z - Z.mean(axis=0)
    values = y.to_numpy(float)
    tss = rss(Z, values, [])
    found = {
        chosen: COSTS[criterion](rss(Z, values, chosen), n, size + 1, tss)
        for size in range(11)
        for chosen in combinations(range(10), size)
    }
    best = min(found, key=lambda chosen: found[chosen])
    model = StepwiseRegression("best", criterion).fit(X, y)
    assert model.selected_ == [X.columns[j] for j in best]
    cost = -found[best] if criterion == "adj_r2" else found[best]
    assert model.criterion_ == pytest.approx(cost, rel=1e-10)


@pytest.mark.parametrize("criterion", COSTS)
@pytest.mark.parametrize("select", ["forward", "backward"])
def test_steps_are_those_of_a_loop_over_statsmodels(select: str, criterion: str) -> None:
    api: Any = pytest.importorskip("statsmodels.api")
    X, y = table("diabetes.csv", "progression")
    tss = float(((y - y.mean()) ** 2).sum())

    def cost(chosen: list[str]) -> float:
        fit = api.OLS(y, api.add_constant(X[chosen]) if chosen else np.ones(len(y))).fit()
        return COSTS[criterion](float(fit.ssr), len(y), len(chosen) + 1, tss)

    chosen: list[str] = [] if select == "forward" else list(X.columns)
    steps = ["no column" if select == "forward" else "all columns"]
    while True:
        moves = [name for name in X.columns if (name in chosen) == (select == "backward")]
        tried = {name: cost([other for other in X.columns if (other in chosen) != (other == name)]) for name in moves}
        if not tried or min(tried.values()) >= cost(chosen):
            break
        name = min(tried, key=lambda each: tried[each])
        chosen = [other for other in X.columns if (other in chosen) != (other == name)]
        steps.append(f"{'+' if select == 'forward' else '-'} {name}")
    model = StepwiseRegression(select, criterion).fit(X, y)
    assert [step[0] for step in model.steps_] == steps
    assert model.selected_ == chosen


def test_sweeping_out_leaves_no_trace() -> None:
    rng = np.random.default_rng(5)
    Z = rng.integers(-99, 99, (30, 8)).astype(object)
    first = Tableau.of(Z.T.dot(Z))
    there = first
    for column in (3, 0, 6, 2):
        there = there.sweep(column)
    for column in (0, 2, 3, 6):
        there = there.sweep(column)
    assert (there.N == first.N).all() and (there.det, there.chosen) == (first.det, frozenset())
    swept = first.sweep(1).sweep(4)
    A = Z[:, [1, 4]].astype(float)
    y = Z[:, 7].astype(float)
    theta, (residual,), _, _ = np.linalg.lstsq(A, y, rcond=None)
    assert [float(swept.N[j, 7]) / swept.det for j in (1, 4)] == pytest.approx(theta, rel=1e-12)
    assert float(swept.residual()) * np.gcd.reduce((Z.T.dot(Z)).ravel()) == pytest.approx(residual, rel=1e-12)
    assert first.sweep(1).residual_with(4) == swept.residual()


def test_columns_that_depend_on_others_are_not_taken() -> None:
    x = np.arange(9.0)
    frame = pd.DataFrame({"a": x, "b": 2 * x + 1, "c": np.full(9, 3.0), "d": x**2})
    y = 3 * x + np.array([0, 1, 0, -1, 0, 1, 0, -1, 0])
    assert StepwiseRegression("forward").fit(frame, y).selected_ == ["a"]
    assert StepwiseRegression("both").fit(frame, y).selected_ == ["a"]
    for select in ("backward", "best"):
        with pytest.raises(mr.InputError, match=r"column 'b' depends on those before it.*select=forward"):
            StepwiseRegression(select).fit(frame, y)


def test_fewer_rows_than_columns() -> None:
    rng = np.random.default_rng(8)
    X = rng.normal(size=(8, 12))
    y = 5 * X[:, 3] + rng.normal(size=8) / 9
    assert "x3" in StepwiseRegression("forward", "bic").fit(X, y).selected_
    assert "x3" in StepwiseRegression("both", "bic").fit(X, y).selected_
    with pytest.raises(mr.InputError, match=r"depends on those before it|8 rows, too few for all"):
        StepwiseRegression("backward").fit(X, y)
    with pytest.raises(mr.InputError, match="the target is constant"):
        StepwiseRegression().fit(X, np.ones(8))


def test_noise_leaves_the_mean_alone() -> None:
    rng = np.random.default_rng(11)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    A = np.column_stack([np.ones(40), X])
    y = y - A @ np.linalg.lstsq(A, y, rcond=None)[0] + 3  # as little to do with X as floats can say
    model = StepwiseRegression("both", "bic").fit(X, y)
    assert model.selected_ == []
    assert model.intercept_ == pytest.approx(y.mean(), rel=1e-14)
    assert model.r2_ == pytest.approx(0, abs=1e-12)
    assert "intercept" in (model.table() or "")


@pytest.mark.parametrize(
    ("options", "said"),
    [({"select": "bst"}, "select is 'bst'; did you mean 'best'"), ({"criterion": "cp"}, "criterion is 'cp'")],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(mr.UsageError, match=said):
        StepwiseRegression(**options).fit(np.eye(3), np.arange(3.0))

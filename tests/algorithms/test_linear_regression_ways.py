"""Least squares with weights, with columns that depend on each other, by QR: is each what others compute?"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mapreduce as mr
from algorithms.elastic_net import Lasso, Ridge
from algorithms.linear_regression import LinearRegression
from algorithms.sums import ExactGram
from algorithms.tsqr import Triangle
from bench.accuracy import digits
from data.certified import Regression, regressions
from tests.algorithms.conftest import Engines
from tests.conftest import ROOT

DATA = ROOT / "data"
ROWS = 9
ONE_TO_NINE = np.arange(float(ROWS))


@pytest.fixture(scope="module")
def diabetes() -> Any:
    frame = pd.read_csv(DATA / "diabetes.csv")
    return frame.drop(columns="progression"), frame["progression"]


@pytest.mark.parametrize("way", ["exact", "float", "tsqr"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_weighted_fits_are_those_of_statsmodels(
    way: str, fit_intercept: bool, diabetes: Any, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    api: Any = pytest.importorskip("statsmodels.api")
    X, y = diabetes
    weights = (np.arange(len(y)) % 9 + 1) / 4
    X.assign(y=y, w=weights).to_csv(tmp_path / "rows.csv", index=False)
    peer = api.WLS(y, api.add_constant(X) if fit_intercept else X, weights).fit()
    options = {"exact": [], "float": ["--set", "sums=float"], "tsqr": ["--set", "solver=tsqr"]}[way]
    done = run_cli(
        "fit", "linear_regression", "rows.csv", "--target", "y", "--weights", "w", "--json", "-q", *options,
        "--set", f"fit_intercept={fit_intercept}",
    )  # fmt: skip
    assert done.rc == 0, done.err
    page, names = json.loads(done.out), list(X.columns)
    close: Any = {"rel": 1e-8}  # the peer's pseudoinverse of raw columns
    assert list(page["coef"].values()) == pytest.approx(peer.params[names].tolist(), **close)
    assert list(page["std_error"].values()) == pytest.approx(peer.bse[names].tolist(), **close)
    assert [page["p"][name] for name in names] == pytest.approx(peer.pvalues[names].tolist(), **close)
    for own, theirs in {"r2": "rsquared", "adjusted_r2": "rsquared_adj", "f": "fvalue", "rss": "ssr"}.items():
        assert page[own] == pytest.approx(getattr(peer, theirs), **close)
    # log L without the weights' own sum log w / 2
    assert page["log_likelihood"] == pytest.approx(peer.llf - np.log(weights).sum() / 2, **close)
    if fit_intercept:
        assert page["intercept"] == pytest.approx(peer.params["const"], **close)
        assert page["intercept_error"] == pytest.approx(peer.bse["const"], **close)


def test_whole_weights_are_copies_of_rows() -> None:
    rng = np.random.default_rng(1)
    Z = rng.integers(-9, 9, (40, 4)).astype(float)
    copies = rng.integers(0, 4, 40)
    weighted, copied = LinearRegression(), LinearRegression()
    weighted.fit_sums(ExactGram.of(Z, copies.astype(float)), ["a", "b", "c"])
    copied.fit_sums(ExactGram.of(np.repeat(Z, copies, axis=0)), ["a", "b", "c"])
    assert weighted.coef_.tobytes() == copied.coef_.tobytes()
    assert (weighted.intercept_, weighted.rss_, weighted.r2_) == (copied.intercept_, copied.rss_, copied.r2_)
    assert weighted.free_ == 36  # a row is a row, whatever its weight


def test_weights_of_arrays_are_those_of_scikit_learn(diabetes: Any) -> None:
    from sklearn import linear_model

    X, y = diabetes
    weights = np.arange(len(y)) % 5 * 0.5
    for model, peer in (
        (LinearRegression(), linear_model.LinearRegression()),
        (Ridge(2.0), linear_model.Ridge(2.0, solver="svd")),
        (Lasso(0.5), linear_model.Lasso(0.5, tol=1e-12, max_iter=10**6)),
    ):
        model.fit(X, y, weights)
        peer.fit(X, y, sample_weight=weights)
        assert model.coef_ == pytest.approx(peer.coef_, rel=1e-6, abs=1e-9)
    with pytest.raises(mr.InputError, match="weights"):
        Ridge().fit(X, y, weights[:-1])
    with pytest.raises(mr.UsageError, match="name the column: weights="):
        Ridge().fit(mr.read_csv(DATA / "diabetes.csv", target="progression"), sample_weight=weights)


def test_no_row_counts() -> None:
    with pytest.raises(mr.InputError, match="weights of all rows are zero"):
        LinearRegression().fit_sums(ExactGram.of(np.eye(4), np.zeros(4)), ["a", "b", "c"])


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_least_norm_is_that_of_the_pseudoinverse(
    fit_intercept: bool, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    X = pd.DataFrame(rng.integers(-9, 10, (30, 5)).astype(float), columns=list("abcde"))
    X["f"] = 2 * X.a - X.c + (3 if fit_intercept else 0)
    X["g"] = X.f / 4 + (7 if fit_intercept else 0)
    X["h"] = 0.0
    y = X.a - 2 * X.b + pd.Series(rng.integers(-3, 4, 30))
    X.assign(y=y).to_csv(tmp_path / "rows.csv", index=False)
    common = ("fit", "linear_regression", "rows.csv", "--target", "y", "--json", "-q")
    refused = run_cli(*common, "--set", f"fit_intercept={fit_intercept}")
    assert refused.rc == 2
    assert "column 'h' is " in refused.err and "--features" in refused.err
    done = run_cli(*common, "--set", "collinear=minimum_norm", "--set", f"fit_intercept={fit_intercept}")
    assert done.rc == 0, done.err
    page = json.loads(done.out)
    A = (X - X.mean() if fit_intercept else X).to_numpy()
    b = (y - y.mean() if fit_intercept else y).to_numpy()
    inverse = np.linalg.pinv(A, rcond=1e-10)
    theta = inverse @ b
    rss = float(((b - A @ theta) ** 2).sum())
    free = 30 - 5 - int(fit_intercept)
    assert page["free"] == free
    close: Any = {"rel": 1e-11, "abs": 1e-13}
    assert list(page["coef"].values()) == pytest.approx(theta.tolist(), **close)
    assert page["rss"] == pytest.approx(rss, **close)
    spread = np.sqrt(np.diag(inverse @ inverse.T) * rss / free)
    assert list(page["std_error"].values()) == pytest.approx(spread.tolist(), **close)
    if fit_intercept:
        mean = X.mean().to_numpy()
        assert page["intercept"] == pytest.approx(float(y.mean() - mean @ theta), **close)
        error = math.sqrt(rss / free * (1 / 30 + float(((mean @ inverse) ** 2).sum())))
        assert page["intercept_error"] == pytest.approx(error, **close)


def test_least_norm_of_more_columns_than_rows() -> None:
    rng = np.random.default_rng(6)
    X, y = rng.integers(-9, 10, (6, 9)).astype(float), rng.integers(-9, 10, 6).astype(float)
    with pytest.raises(mr.InputError, match="6 rows, too few to determine 10 coefficients"):
        LinearRegression().fit(X, y)
    model = LinearRegression(collinear="minimum_norm").fit(X, y)
    theta = np.linalg.lstsq(X - X.mean(axis=0), y - y.mean(), rcond=None)[0]
    assert model.coef_ == pytest.approx(theta, rel=1e-12)
    assert model.free_ == 0 and np.isnan(model.std_error_).all()
    assert model.predict(X) == pytest.approx(y, rel=1e-12)


def test_least_norm_is_correctly_rounded() -> None:
    x = np.array([1.0, 2.0, 3.0])
    model = LinearRegression(collinear="minimum_norm").fit(np.column_stack([x, 3 * x]), np.array([0.0, 1.0, 2.0]))
    # theta_1 + 3 theta_2 = 1 with the least theta_1^2 + theta_2^2: 1/10 and 3/10
    assert model.coef_.tolist() == [float(Fraction(1, 10)), float(Fraction(3, 10))]


def test_nothing_varies() -> None:
    with pytest.raises(mr.InputError, match="no column varies"):
        LinearRegression(collinear="minimum_norm").fit(np.ones((4, 2)), np.arange(4.0))


DIGITS = {
    "Filip": 6.5, "Longley": 9, "Norris": 12, "NoInt1": 14, "NoInt2": 14, "Pontius": 10, "Wampler1": 8, "Wampler2": 10,
    "Wampler3": 8, "Wampler4": 7, "Wampler5": 5,
}  # fmt: skip
"""Of the worst coefficient by QR in floats: what condition and residual leave of 16."""


@pytest.mark.parametrize("case", regressions(), ids=lambda case: str(case.table.name))
def test_qr_has_the_digits_that_the_condition_leaves(case: Regression, engine: mr.Engine, tmp_path: Path) -> None:
    model = LinearRegression(degree=case.degree, solver="tsqr", fit_intercept=case.has_intercept)
    model.fit(mr.read_csv(case.table.write_csv(tmp_path / "rows.csv"), target="y"), engine=engine)
    found = [*([model.intercept_] if case.has_intercept else []), *model.coef_]
    assert min(map(digits, found, case.coef)) >= DIGITS[case.table.name]


def test_qr_has_the_errors_of_the_exact_way(diabetes: Any, engines: Engines) -> None:
    dataset = mr.read_csv(DATA / "diabetes.csv", target="progression")
    found = [LinearRegression(solver="tsqr").fit(dataset, engine=engine) for engine in engines.values()]
    assert len({(model.coef_.tobytes(), model.std_error_.tobytes(), model.r2_) for model in found}) == 1
    exact, qr = LinearRegression().fit(dataset, engine=engines[1]), found[0]
    for name in (
        "coef_",
        "std_error_",
        "intercept_",
        "intercept_error_",
        "r2_",
        "adjusted_r2_",
        "sigma_",
        "f_",
        "rss_",
    ):
        assert getattr(qr, name) == pytest.approx(getattr(exact, name), rel=1e-10)
    assert qr.condition_ == pytest.approx(exact.condition_, rel=1e-8)
    assert qr.figures()["precision"] == "float64"


def test_triangles_are_those_of_all_rows_at_once() -> None:
    rng = np.random.default_rng(3)
    X, y = rng.normal(5, 2, (50, 3)), rng.normal(size=50)
    parts = [Triangle.of(X[part], y[part]) for part in (slice(0, 2), slice(2, 30), slice(30, 50))]
    whole = np.column_stack([np.ones(50), X, y])
    for found in ((parts[0] + parts[1]) + parts[2], parts[0] + (parts[1] + parts[2])):
        assert np.allclose(found.R.T @ found.R, whole.T @ whole, rtol=1e-12)
        assert (np.diag(found.R) >= 0).all() and np.allclose(found.R, np.triu(found.R))


@pytest.mark.parametrize("solver", ["normal", "tsqr"])
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": ONE_TO_NINE, "b": np.full(ROWS, 0.1)}, "column 'b' is constant"),
        ({"a": ONE_TO_NINE, "b": ONE_TO_NINE**2, "c": ONE_TO_NINE * 2 + 3}, "columns 'a', 'c' are collinear"),
        ({f"c{k}": ONE_TO_NINE**k for k in range(1, 10)}, "9 rows, too few to determine 10 coefficients"),
    ],
)
def test_coefficients_that_nothing_determines(solver: str, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(mr.InputError, match=f"{said}.*--features"):
        LinearRegression(solver=solver).fit(pd.DataFrame(columns), ONE_TO_NINE % 4)


@pytest.mark.parametrize("solver", ["normal", "tsqr"])
def test_a_constant_target_has_nothing_to_explain(solver: str) -> None:
    model = LinearRegression(solver=solver).fit(ONE_TO_NINE[:, None], np.full(ROWS, 0.1))
    assert model.intercept_ == pytest.approx(0.1, rel=1e-14)
    assert math.isnan(model.r2_) and math.isnan(model.f_)
    assert "R2 nan" in model.table()


def test_intervals_of_another_confidence(diabetes: Any) -> None:
    api: Any = pytest.importorskip("statsmodels.api")
    X, y = diabetes
    peer = api.OLS(y, api.add_constant(X)).fit().conf_int(alpha=0.01)
    figures = LinearRegression(confidence=0.99).fit(X, y).figures()
    assert figures["confidence"] == 0.99
    for name, side in (("low", 0), ("high", 1)):
        assert list(figures[name].values())[:-1] == pytest.approx(peer[side][1:].tolist(), rel=1e-8)
        assert figures[name]["intercept"] == pytest.approx(peer[side]["const"], rel=1e-8)


def test_the_table_is_that_of_a_statistician(run_cli: Callable[..., Any]) -> None:
    done = run_cli("fit", "linear_regression", DATA / "longley.csv", "--target", "y", "--set", "confidence=0.9", "-q")
    assert done.rc == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["coef", "std", "error", "t", "p", "[0.05", "0.95]"]
    assert lines[1].split() == ["x1", "15.0619", "84.9149", "0.1774", "0.8631", "-140.597", "170.721"]
    assert lines[9] == "target y, 16 rows, 9 degrees of freedom, residual standard error 304.854"
    assert lines[10] == "R2 0.995479, adjusted R2 0.992465, F 330.285 on 6 and 9, p 4.98e-10"
    assert "a solver in floats loses 4.3 of 16 digits; these are correctly rounded" in lines[12]


def test_json_is_one_flat_object(run_cli: Callable[..., Any]) -> None:
    done = run_cli("fit", "linear_regression", DATA / "longley.csv", "--target", "y", "--json", "-q")
    page = json.loads(done.out)
    assert next(iter(page)) == "algorithm" and page["algorithm"] == "linear_regression"
    assert {
        "coef",
        "intercept",
        "std_error",
        "n",
        "r2",
        "aic",
        "condition",
        "digits_lost",
        "precision",
        "summary",
    } <= set(page)
    assert repr(page["coef"]["x1"]) in done.out  # the shortest form that reads back as the same float
    assert page["digits_lost"] == math.log10(page["condition"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"solver": "qr"}, "solver is 'qr'; choose 'normal' or 'tsqr'"),
        ({"collinear": "drop"}, "collinear is 'drop'; choose 'refuse' or 'minimum_norm'"),
        ({"confidence": 95.0}, "confidence is 95.0; it must lie between 0 and 1"),
        ({"solver": "tsqr", "alpha": 1.0}, "solver='tsqr' takes neither alpha"),
        ({"collinear": "minimum_norm", "sums": "float"}, "needs exact sums"),
        ({"sums": "float", "degree": 2}, "degree is 2; with sums='float' it must be 1"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(mr.UsageError, match=said):
        LinearRegression(**options).fit(np.eye(3), np.arange(3.0))


def test_a_target_that_is_no_number(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,y\n1,red\n2,blue\n3,red\n")
    done = run_cli("fit", "linear_regression", "rows.csv", "--target", "y")
    assert done.rc == 2
    assert "target 'y' is of type string, not numeric; encode it as numbers or choose another" in done.err
    assert "Traceback" not in done.err

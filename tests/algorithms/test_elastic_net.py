"""Are ridge, lasso and elastic net those of scikit-learn and Spark, and do they tell how near they are?"""

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
from sklearn import linear_model

import mapreduce as mr
from algorithms.elastic_net import ElasticNet, Lasso, Ridge
from algorithms.linear_regression import LinearRegression
from algorithms.sums import ExactGram
from tests.conftest import ROOT

DATA = ROOT / "data"
GOLDEN: dict[str, tuple[float, float]] = {
    "glmnet": (0.32292391825647493, 0.15989397290925605),
    "spark-normal": (0.32292391825647493, 0.15989397290925605),
    "spark-lbfgs": (0.32242555509902115, 0.15991548294727953),
}
"""lambda 0.3, alpha 0.8, of the optimum: the second coefficient, and the intercept."""
SPARK: dict[str, list[float]] = {
    # pyspark 4.3, maxIter 1000, tol 1e-15: it stops where its line search fails, 8 to 9 digits from the optimum
    "spark-normal": [
        0.0, 0.322923919642169, -0.3438556402698008, 1.9156004045362696, 0.05288416289449761, 0.7659655001782834, 0.0,
        -0.1510547746772932, -0.215879029194993, 0.22025409538552015,
    ],
    "spark-lbfgs": [
        0.0, 0.3224255564369302, -0.34340407858402644, 1.915071415140765, 0.052435516299386316, 0.7655849014492697, 0.0,
        -0.15066422061771362, -0.21543829279621438, 0.21978022432760844,
    ],
}  # fmt: skip
SPARK_RIDGE: dict[str, list[float]] = {
    # regParam 0.3, elasticNetParam 0: `normal` solves directly; `l-bfgs` stops where its line search fails, 5 digits in
    "spark-normal": [
        0.010541828081257216, 0.8003253100560949, -0.7845165541420371, 2.3679887171421914, 0.5010002089857577,
        1.1222351159753026, -0.2926824398623296, -0.49837174323213035, -0.6035797180675657, 0.6725550067187461,
    ],
    "spark-lbfgs": [
        0.01054489355650635, 0.800295208277925, -0.7844923066260735, 2.367917881098697, 0.500982786949299,
        1.1222045819610293, -0.29267614293586347, -0.498357829121491, -0.6035641088329206, 0.6725326530947453,
    ],
}  # fmt: skip


def houses(name: str = "houses.csv", target: str = "price") -> tuple[Any, Any]:
    frame = pd.read_csv(DATA / name)
    return frame.drop(columns=target), frame[target]


@pytest.mark.parametrize("objective", GOLDEN)
def test_golden_case(objective: str, run_cli: Callable[..., Any]) -> None:
    options = ("--set", "alpha=0.3", "--set", "l1_ratio=0.8", "--set", f"objective={objective}")
    done = run_cli("fit", "elastic_net", DATA / "linear.libsvm", *options, "--json", "-q")
    assert done.rc == 0, done.err
    model = json.loads(done.out)
    coefficient, intercept = GOLDEN[objective]
    assert model["coef"]["x1"] == pytest.approx(coefficient, rel=1e-14)
    assert model["intercept"] == pytest.approx(intercept, rel=1e-14)
    assert (model["converged"], model["precision"]) == (True, "correctly rounded")
    assert model["duality_gap"] < 1e-15 and model["kkt_residual"] < 1e-15
    if objective in SPARK:
        assert list(model["coef"].values()) == pytest.approx(SPARK[objective], rel=1e-7)


@pytest.mark.parametrize("objective", SPARK_RIDGE)
def test_ridge_is_that_of_spark(objective: str, engine: mr.Engine) -> None:
    model = Ridge(0.3, objective=objective).fit(mr.read_libsvm(DATA / "linear.libsvm"), engine=engine)
    assert model.coef_ == pytest.approx(SPARK_RIDGE[objective], rel=1e-13 if objective == "spark-normal" else 1e-5)


@pytest.mark.parametrize(
    ("name", "fit_intercept"), [("houses.csv", True), ("diabetes.csv", True), ("diabetes.csv", False)]
)
@pytest.mark.parametrize(("alpha", "rho"), [(0.1, 0.5), (1.0, 1.0), (10.0, 0.3), (1000.0, 1.0)])
def test_coefficients_are_those_of_scikit_learn(name: str, fit_intercept: bool, alpha: float, rho: float) -> None:
    X, y = houses(name, "price" if name == "houses.csv" else "progression")
    scale = X.std()  # its descent needs scaled columns to come near
    X = (X - (X.mean() if fit_intercept else 0)) / scale
    model = ElasticNet(alpha, rho, fit_intercept=fit_intercept).fit(X, y)
    peer = linear_model.ElasticNet(
        alpha=alpha, l1_ratio=rho, fit_intercept=fit_intercept, max_iter=10**6, tol=1e-13
    ).fit(X, y)
    assert model.converged_
    # its gap of 1e-13 leaves an error of the root of that, over the condition
    assert np.allclose(model.coef_, peer.coef_, rtol=1e-6, atol=1e-6 * np.abs(peer.coef_).max())
    assert model.r2_ == pytest.approx(
        peer.score(X, y) if fit_intercept else 1 - ((y - peer.predict(X)) ** 2).sum() / (y**2).sum(), abs=1e-10
    )
    assert model.mse_ == pytest.approx(((y - peer.predict(X)) ** 2).mean(), rel=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_ridge_is_that_of_scikit_learn_and_of_the_normal_equations(fit_intercept: bool, weighted: bool) -> None:
    X, y = houses("diabetes.csv", "progression")
    weights = np.arange(1.0, len(y) + 1) % 7 + 0.5 if weighted else None
    peer = linear_model.Ridge(10.0, fit_intercept=fit_intercept, solver="cholesky").fit(X, y, weights)
    state = ExactGram.of(np.column_stack([X, y]), weights)
    model = Ridge(10.0, fit_intercept=fit_intercept)
    model.fit_sums(state, list(X.columns), "progression")
    assert model.coef_ == pytest.approx(peer.coef_, rel=1e-9)  # the peer squares the condition
    assert model.intercept_ == pytest.approx(peer.intercept_, rel=1e-9)
    same = LinearRegression(10.0, fit_intercept)
    same.fit_sums(state, list(X.columns), "progression")
    assert model.coef_.tobytes() == same.coef_.tobytes()  # both are correctly rounded
    assert model.intercept_ == same.intercept_


def kkt(gram: ExactGram, coef: list[Fraction], alpha: Fraction, rho: Fraction) -> Fraction:
    """The largest violation of the optimality of an elastic net, in fractions, by the definition."""
    G = gram.matrix()
    W, size = G[0][0], len(G) - 1
    S = [[G[i][j] / W - G[0][i] * G[0][j] / W**2 for j in range(1, size + 1)] for i in range(1, size + 1)]
    worst = Fraction(0)
    for j in range(size - 1):
        slope = S[j][-1] - sum(S[j][k] * coef[k] for k in range(size - 1)) - alpha * (1 - rho) * coef[j]
        limit = alpha * rho
        off = abs(slope - (limit if coef[j] > 0 else -limit)) if coef[j] else max(abs(slope) - limit, Fraction(0))
        worst = max(worst, off)
    return worst


@pytest.mark.parametrize("alpha", [0.003, 0.1, 2.0])
@pytest.mark.parametrize("rho", [1.0, 0.5])
def test_the_answer_is_the_optimum_of_the_definition(alpha: float, rho: float) -> None:
    rng = np.random.default_rng(7)
    X = np.round(rng.normal(0, 1, (40, 12)), 2)
    X[:, 5] = X[:, 4] + np.round(rng.normal(0, 0.01, 40), 3)
    y = np.round(X[:, 0] - 2 * X[:, 4] + rng.normal(0, 1, 40), 2)
    model = ElasticNet(alpha, rho).fit(X, y)
    violated = kkt(
        ExactGram.of(np.column_stack([X, y])), [Fraction(value) for value in model.coef_.tolist()],
        Fraction(str(alpha)), Fraction(str(rho)),
    )  # fmt: skip
    assert model.converged_
    assert violated < Fraction(1, 10**14)  # of coefficients near 1 in 53 bits


def test_more_columns_than_rows_and_columns_twice() -> None:
    rng = np.random.default_rng(3)
    X = rng.integers(-9, 10, (8, 20)).astype(float)
    X[:, 19] = X[:, 0]
    X[:, 18] = 7.0  # constant
    y = X[:, 0] * 3 - X[:, 4] + rng.integers(-2, 3, 8)
    model = Lasso(0.01).fit(X, y)
    peer = linear_model.Lasso(0.01, max_iter=10**6, tol=1e-15).fit(X, y)
    assert model.converged_ and model.gap_ < 1e-12
    assert np.allclose(model.predict(X), peer.predict(X), atol=1e-6)
    assert model.coef_[18] == 0
    assert np.count_nonzero(model.coef_) <= 8


def drawn(seed: int) -> tuple[Any, Any]:
    """Rows of every difficult kind: ties, copies of columns, near copies, zeros and ones, scales far apart."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(3, 25)), int(rng.integers(1, 20))
    X = rng.normal(size=(n, p))
    if seed % 6 == 0:
        X = rng.integers(-2, 3, (n, p)).astype(float)
    elif seed % 6 == 1:
        X[:, p // 2 :] = X[:, : p - p // 2] * 2
    elif seed % 6 == 2:
        X = X[:, :1] + X * 1e-6
    elif seed % 6 == 3:
        X = (X > 0.5).astype(float)
    elif seed % 6 == 4:
        X = X * 10.0 ** rng.integers(-8, 9, p)
    return X, X @ rng.normal(size=p) * (rng.random() < 0.7) + rng.integers(-3, 4, n)


@pytest.mark.parametrize("objective", ["sklearn", "glmnet"])
@pytest.mark.parametrize("rho", [1.0, 0.5])
def test_difficult_rows_have_a_certified_answer(objective: str, rho: float) -> None:
    for seed in [*range(24), 234, 320]:
        X, y = drawn(seed)
        largest = np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / len(y)
        scale = X.std(axis=0).max() or 1.0 if objective == "glmnet" else 1.0
        for share in (0.5, 0.01, 0.0005):
            model = ElasticNet(share * largest / scale or 1.0, rho, objective).fit(X, y)
            assert model.converged_, (seed, share)
            assert model.kkt_ < 1e-10 and model.gap_ < 1e-10, (seed, share)


def test_nothing_decides_between_columns_without_a_penalty() -> None:
    X = np.column_stack([np.arange(6.0), np.arange(6.0) * 2])
    with pytest.raises(mr.InputError, match="columns 'x0', 'x1' are collinear"):
        Lasso(0.0).fit(X, np.arange(6.0) % 4)


def test_no_penalty_is_least_squares() -> None:
    X, y = houses("diabetes.csv", "progression")
    assert Lasso(0.0).fit(X, y).coef_.tobytes() == LinearRegression().fit(X, y).coef_.tobytes()


def test_a_large_penalty_leaves_nothing() -> None:
    X, y = houses()
    model = Lasso(1e12).fit(X, y)
    assert not model.coef_.any()
    assert model.intercept_ == pytest.approx(y.mean(), rel=1e-15)
    assert (model.r2_, model.gap_) == (0.0, 0.0)


def test_not_converged_is_said(run_cli: Callable[..., Any]) -> None:
    X, y = houses()
    model = Lasso(1000.0, max_iter=1).fit(X, y)
    assert not model.converged_ and model.figures()["precision"] == "not converged"
    assert model.gap_ > 0 and math.isfinite(model.gap_)
    done = run_cli(
        "fit", "lasso", DATA / "houses.csv", "--target", "price", "--set", "alpha=1000", "--set", "max_iter=1"
    )
    assert done.rc == 0
    assert "lasso has not converged after 1 iterations; raise max_iter" in done.err


def test_same_bits_for_any_cut(engine: mr.Engine, tmp_path: Path) -> None:
    head, *rows = (DATA / "houses.csv").read_text().splitlines(keepends=True)
    (tmp_path / "turned.csv").write_text(head + "".join(rows[::-1]))
    found = set()
    for path, used in ((DATA / "houses.csv", engine), (tmp_path / "turned.csv", mr.Engine("inline"))):
        model = ElasticNet(0.3, 0.9, "glmnet").fit(mr.read_csv(path, target="price"), engine=used)
        found.add((model.coef_.tobytes(), model.intercept_, model.gap_, model.kkt_))
    assert len(found) == 1


def test_powers_are_terms() -> None:
    x = np.arange(30.0)[:, None] / 10
    model = Lasso(1e-3, degree=3).fit(x, 2 * x[:, 0] ** 3 - x[:, 0] + 5)
    peer = linear_model.Lasso(1e-3, max_iter=10**7, tol=1e-15).fit(
        np.hstack([x, x**2, x**3]), 2 * x[:, 0] ** 3 - x[:, 0] + 5
    )
    assert model.term_names_ == ["x0", "x0^2", "x0^3"]
    assert np.allclose(model.coef_, peer.coef_, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": -1.0}, "alpha is -1"),
        ({"l1_ratio": 2.0}, "l1_ratio is 2.0; it must lie between 0"),
        ({"objective": "glm"}, "objective is 'glm'; did you mean 'glmnet'"),
        ({"degree": 0}, "degree is 0"),
        ({"max_iter": 0}, "max_iter is 0"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(mr.UsageError, match=said):
        ElasticNet(**options).fit(np.eye(3), np.arange(3.0))


def test_weighted_rows_have_no_sample_deviation() -> None:
    model = ElasticNet(0.1, objective="spark-lbfgs")
    with pytest.raises(mr.UsageError, match="take objective spark-normal"):
        model.fit_sums(ExactGram.of(np.eye(3), np.array([1.0, 2.0, 3.0])), ["a", "b"])
    with pytest.raises(mr.InputError, match="weights of all rows are zero"):
        Ridge().fit_sums(ExactGram.of(np.eye(3), np.zeros(3)), ["a", "b"])


def test_the_table_shows_what_was_chosen(run_cli: Callable[..., Any]) -> None:
    done = run_cli("fit", "lasso", DATA / "longley.csv", "--target", "y", "--set", "alpha=500", "-q")
    assert done.rc == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["coef"]
    assert lines[1].startswith("x1") and lines[7].startswith("intercept")
    assert any(line.split() == ["converged", "True"] for line in lines)

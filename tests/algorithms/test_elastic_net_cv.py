"""Are path and cross-validation those of scikit-learn and glmnet's formulas, and the folds those of the rows alone?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model

import mapreduce as mr
from algorithms.elastic_net import ElasticNet, Lasso, Ridge
from algorithms.elastic_net_cv import ElasticNetCV, LassoCV, RidgeCV
from algorithms.folds import FoldSums, folds_of
from tests.algorithms.conftest import Engines
from tests.conftest import ROOT

DATA = ROOT / "data"
FOLDS = 5


@pytest.fixture(scope="module")
def diabetes() -> Any:
    frame = pd.read_csv(DATA / "diabetes.csv")
    y = frame.pop("progression")
    return ((frame - frame.mean()) / frame.std()).round(6), y


def chosen(X: Any, y: Any, folds: int = FOLDS, seed: int = 0) -> Any:
    return folds_of(mr.Slices.of(np.column_stack([X, y])), folds, seed)


def splits(X: Any, y: Any) -> list[Any]:
    found = chosen(X, y)
    return [(np.flatnonzero(found != fold), np.flatnonzero(found == fold)) for fold in range(FOLDS)]


@pytest.mark.parametrize("rho", [1.0, 0.5])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_path_and_errors_are_those_of_scikit_learn(rho: float, fit_intercept: bool, diabetes: Any) -> None:
    X, y = diabetes
    model = ElasticNetCV(rho, n_alphas=30, folds=FOLDS, fit_intercept=fit_intercept).fit(X, y)
    peer = linear_model.ElasticNetCV(
        l1_ratio=rho, alphas=30, cv=splits(X, y), fit_intercept=fit_intercept, tol=1e-12, max_iter=10**6
    ).fit(X, y)
    assert model.converged_ and model.gap_ < 1e-13
    # our grid is that of decimals, exact to 40 digits; the peer's that of float logarithms
    assert model.alphas_ == pytest.approx(peer.alphas_, rel=1e-13)
    # the peer stops at a gap of 1e-12 of |y|^2
    assert np.allclose(model.fold_mse_, peer.mse_path_, rtol=1e-6)
    assert model.alpha_ == pytest.approx(peer.alpha_, rel=1e-13)
    assert np.allclose(model.coef_, peer.coef_, rtol=1e-4, atol=1e-4)
    _, path, _ = linear_model.enet_path(
        X - (X.mean() if fit_intercept else 0), y - (y.mean() if fit_intercept else 0),
        l1_ratio=rho, alphas=model.alphas_, tol=1e-13, max_iter=10**6,
    )  # fmt: skip
    assert np.allclose(model.path_coef_, path.T, rtol=1e-4, atol=1e-4)


def test_curve_and_choice_are_those_of_glmnet_s_formulas(diabetes: Any) -> None:
    X, y = diabetes
    models = {choose: LassoCV(n_alphas=40, folds=FOLDS, choose=choose).fit(X, y) for choose in ("min", "1se")}
    model = models["min"]
    rows = np.bincount(chosen(X, y))
    assert model.fold_rows_.tolist() == rows.tolist()
    curve = np.average(model.fold_mse_, axis=1, weights=rows)
    error = np.sqrt(np.average((model.fold_mse_ - curve[:, None]) ** 2, axis=1, weights=rows) / (FOLDS - 1))
    assert model.cv_mse_ == pytest.approx(curve, rel=1e-13)
    assert model.cv_error_ == pytest.approx(error, rel=1e-11)  # deviations cancel some digits of the reference
    best = int(np.argmin(curve))
    assert model.alpha_min_ == model.alphas_[best] == model.alpha_
    assert model.alpha_1se_ == model.alphas_[curve <= curve[best] + error[best]].max() == models["1se"].alpha_
    assert np.count_nonzero(models["1se"].coef_) < np.count_nonzero(model.coef_)


def test_of_several_shares_the_best_is_chosen(diabetes: Any, run_cli: Callable[..., Any]) -> None:
    X, y = diabetes
    shares = [0.1, 0.5, 0.9]
    model = ElasticNetCV(shares, n_alphas=15, folds=FOLDS).fit(X, y)
    each = [ElasticNetCV(share, n_alphas=15, folds=FOLDS).fit(X, y) for share in shares]
    best = min(each, key=lambda one: float(one.cv_mse_.min()))
    peer = linear_model.ElasticNetCV(l1_ratio=shares, alphas=15, cv=splits(X, y), tol=1e-10, max_iter=10**6).fit(X, y)
    assert model.l1_ratio_ == best.l1_ratio == peer.l1_ratio_
    assert model.coef_.tobytes() == best.coef_.tobytes()
    done = run_cli(
        "fit", "elastic_net_cv", DATA / "diabetes.csv", "--target", "progression", "--set", "l1_ratio=0.2,0.8",
        "--set", "n_alphas=4", "--json", "-q",
    )  # fmt: skip
    assert json.loads(done.out)["l1_ratio"] in (0.2, 0.8)
    with pytest.raises(mr.UsageError, match="l1_ratio is 1.5"):
        ElasticNetCV([0.5, 1.5]).fit(X, y)


@pytest.mark.parametrize(("cv", "single"), [(LassoCV, Lasso), (RidgeCV, Ridge)])
@pytest.mark.parametrize("objective", ["sklearn", "glmnet", "spark-lbfgs"])
def test_the_choice_is_what_a_single_fit_gives(cv: Any, single: Any, objective: str, diabetes: Any) -> None:
    X, y = diabetes
    model = cv(n_alphas=12, objective=objective).fit(X, y)
    same = single(model.alpha_, objective=objective).fit(X, y)
    assert model.coef_.tobytes() == same.coef_.tobytes()
    assert model.intercept_ == same.intercept_
    assert model.figures()["r2"] == same.r2_


def test_ridge_is_that_of_scikit_learn(diabetes: Any) -> None:
    X, y = diabetes
    alphas = [0.1, 1.0, 10.0, 100.0]
    model = RidgeCV(alphas=alphas, folds=FOLDS).fit(X, y)
    assert model.alphas_.tolist() == alphas[::-1]
    for number, (train, test) in enumerate(splits(X, y)):
        for alpha, errors in zip(alphas[::-1], model.fold_mse_, strict=True):
            peer = linear_model.Ridge(alpha, solver="svd").fit(X.iloc[train], y.iloc[train])
            error = ((y.iloc[test] - peer.predict(X.iloc[test])) ** 2).mean()
            assert errors[number] == pytest.approx(error, rel=1e-11)
    wide = RidgeCV(n_alphas=20, folds=FOLDS).fit(X, y)
    assert wide.cv_mse_[-1] < wide.cv_mse_[0]
    assert np.abs(wide.path_coef_[0]).max() < 1e-2 * np.abs(wide.path_coef_[-1]).max()


def test_weighted_rows(diabetes: Any, engine: mr.Engine, tmp_path: Path) -> None:
    X, y = diabetes
    weights = np.arange(len(y)) % 4 + 0.5
    X.assign(y=y, w=weights).to_csv(tmp_path / "rows.csv", index=False)
    model = LassoCV(n_alphas=10, folds=FOLDS)
    model.fit(mr.read_csv(tmp_path / "rows.csv", target="y", weights="w"), engine=engine)
    text = [[Decimal(repr(value)) for value in row] for row in X.assign(y=y).to_numpy().tolist()]
    found = folds_of(mr.Slices.of(np.array(text, object)), FOLDS, 0)
    for fold in range(FOLDS):
        train, test = found != fold, found == fold
        for alpha, errors in zip(model.alphas_, model.fold_mse_, strict=True):
            peer = linear_model.Lasso(alpha, tol=1e-12, max_iter=10**6).fit(X[train], y[train], weights[train])
            error = np.average((y[test] - peer.predict(X[test])) ** 2, weights=weights[test])
            assert errors[fold] == pytest.approx(error, rel=1e-6)


def test_folds_belong_to_numbers_not_to_how_they_are_written() -> None:
    written = [["0.5", "1e3", "-7"], ["0.50", "1000", "-7.000"], ["5e-1", "1000.0", "-700e-2"]]
    found = {
        int(folds_of(mr.Slices.of(np.array([[Decimal(cell) for cell in row]], object)), 1000, 3)[0]) for row in written
    }
    found.add(int(folds_of(mr.Slices.of(np.array([[0.5, 1000.0, -7.0]])), 1000, 3)[0]))
    assert len(found) == 1
    beside = np.array([[0.5, 1000.0, -7.0], [0.1, 1e-9, 3e300]])
    assert int(folds_of(mr.Slices.of(beside), 1000, 3)[0]) in found


def test_folds_are_even_and_another_seed_gives_others() -> None:
    rows = np.random.default_rng(1).normal(size=(20_000, 3))
    zero, one = chosen(rows, rows[:, 0], 10, 0), chosen(rows, rows[:, 0], 10, 1)
    counts = np.bincount(zero)
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-squared of 9: exceeded once in a thousand
    both = np.bincount(zero * 10 + one)
    assert ((both - 200) ** 2 / 200).sum() < 149  # of 99, likewise
    assert np.bincount(chosen(np.arange(100.0)[:, None], np.zeros(100), 2)).min() > 30


def test_same_bits_for_any_workers_splits_order_and_files(engines: Engines, tmp_path: Path) -> None:
    head, *rows = (DATA / "diabetes.csv").read_text().splitlines(keepends=True)
    shuffled = [rows[at] for at in np.random.default_rng(2).permutation(len(rows))]
    for number, start in enumerate(range(0, len(rows), 101)):
        (tmp_path / f"part{number}.csv").write_text(head + "".join(shuffled[start : start + 101]))
    found, sums = set(), set()
    for path, used in [
        (DATA / "diabetes.csv", engines[1]), (DATA / "diabetes.csv", engines[3]), (tmp_path / "part*.csv", engines[2])
    ]:  # fmt: skip
        dataset = mr.read_csv(path, target="progression")
        model = LassoCV(n_alphas=8, folds=3).fit(dataset, engine=used)
        found.add((model.path_coef_.tobytes(), model.fold_mse_.tobytes(), model.cv_error_.tobytes(), model.alpha_))
        for size in ("5KB", "1MB"):
            sums.add(used.run(FoldSums(3), dataset, split_size=size).value.digest())
    assert (len(found), len(sums)) == (1, 1)


def test_from_the_command_line(run_cli: Callable[..., Any]) -> None:
    options = ("--target", "progression", "--set", "n_alphas=7", "--set", "folds=3", "--set", "objective=glmnet")
    done = run_cli("fit", "elastic_net_cv", DATA / "diabetes.csv", *options, "--json", "-q")
    assert done.rc == 0, done.err
    page = json.loads(done.out)
    assert page["algorithm"] == "elastic_net_cv"
    assert len(page["path"]["alpha"]) == 7 and page["path"]["nonzero"][0] == 0
    assert page["path"]["alpha"][-1] == pytest.approx(1e-4 * page["path"]["alpha"][0], rel=1e-14)
    assert page["alpha"] in page["path"]["alpha"] and page["converged"] is True
    table = run_cli("fit", "elastic_net_cv", DATA / "diabetes.csv", *options, "-q").out
    assert table.splitlines()[0].split() == ["alpha", "nonzero", "r2", "cv_mse", "cv_error"]
    assert "\nmin " in table
    given = run_cli(
        "fit", "lasso_cv", DATA / "diabetes.csv", "--target", "progression", "--set", "alphas=1,0.1", "--json", "-q"
    )
    assert json.loads(given.out)["path"]["alpha"] == [1.0, 0.1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lasso", {"alpha": 500.0}),
        ("ridge", {"alpha": 3.0, "objective": "glmnet"}),
        ("stepwise_regression", {"criterion": "bic"}),
    ],
)
def test_kept_sums_give_other_regressions_without_their_data(
    name: str, options: dict[str, Any], run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    data, settings = tmp_path / "rows.csv", [f"--set={key}={value}" for key, value in options.items()]
    data.write_bytes((DATA / "longley.csv").read_bytes())
    kept = run_cli("fit", "linear_regression", data, "--target", "y", "--keep-sums", "-o", "kept", "-q")
    assert kept.rc == 0, kept.err
    fresh = json.loads(run_cli("fit", name, data, "--target", "y", *settings, "--json", "-q").out)
    data.unlink()
    done = run_cli("refit", "kept", "--algorithm", name, *settings, "-o", "other", "--json", "-q")
    assert done.rc == 0, done.err
    page = json.loads(done.out)
    assert [page[key] for key in ("coef", "intercept", "r2")] == [fresh[key] for key in ("coef", "intercept", "r2")]
    x1 = json.loads(run_cli("refit", "kept", "--algorithm", "lasso", "--features", "x1,x2", "-o", "x1", "--json").out)
    assert list(x1["coef"]) == ["x1", "x2"]


def test_kept_folds_are_validated_again(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    head, *rows = (DATA / "diabetes.csv").read_text().splitlines(keepends=True)
    (tmp_path / "a.csv").write_text(head + "".join(rows[:200]))
    (tmp_path / "b.csv").write_text(head + "".join(rows[200:]))
    common = ("--target", "progression", "--set", "n_alphas=5", "--set", "folds=3")
    assert run_cli("fit", "lasso_cv", "a.csv", *common, "--keep-sums", "-o", "model", "-q").rc == 0
    page = json.loads(run_cli("refit", "model", "b.csv", "--json", "-q").out)
    fresh = json.loads(run_cli("fit", "lasso_cv", "a.csv", "b.csv", *common, "--json", "-q").out)
    assert page["path"] == fresh["path"] and page["coef"] == fresh["coef"]


@pytest.mark.parametrize("core", ["Haswell", "Prescott"])
def test_same_bits_for_any_blas(core: str) -> None:
    command = [
        sys.executable, "-m", "mapreduce", "fit", "lasso_cv", str(DATA / "diabetes.csv"), "--target", "progression",
        "--set", "n_alphas=12", "--set", "objective=glmnet", "-q",
    ]  # fmt: skip
    told = set()
    for extra in ({}, {"OPENBLAS_CORETYPE": core}):
        environment = {**os.environ, **extra, "PYTHONPATH": str(ROOT)}
        told.add(subprocess.run(command, env=environment, capture_output=True, check=True, timeout=50).stdout)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"folds": 1}, "folds is 1; it must be at least 2"),
        ({"choose": "best"}, "choose is 'best'; choose 'min' or '1se'"),
        ({"eps": 2.0}, "eps 2.0"),
        ({"alphas": []}, r"alphas is \[\]; it must be weights"),
        ({"objective": "spark"}, "objective is 'spark'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(mr.UsageError, match=said):
        ElasticNetCV(**options).fit(np.eye(9), np.arange(9.0))


def test_rows_that_are_all_equal_are_one_fold() -> None:
    with pytest.raises(mr.InputError, match="fall into one fold"):
        LassoCV().fit(np.ones((9, 2)), np.ones(9))


def test_no_fit_reads_the_rows_again(diabetes: Any) -> None:
    X, y = diabetes
    state = FoldSums(FOLDS).map(mr_block(X, y))
    model = ElasticNetCV(1.0, n_alphas=5, folds=FOLDS)
    model.fit_sums(state, list(X.columns), "progression")
    assert model.coef_.tobytes() == ElasticNetCV(1.0, n_alphas=5, folds=FOLDS).fit(X, y).coef_.tobytes()
    assert model.coef_.tobytes() == ElasticNet(model.alpha_, 1.0).fit(X, y).coef_.tobytes()


def mr_block(X: Any, y: Any) -> Any:
    class Rows:
        def exact(self) -> mr.Slices:
            return mr.Slices.of(np.column_stack([X, y]))

        def exact_weights(self) -> None:
            return None

    return Rows()


def test_a_path_that_ends_too_early_says_so(caplog: pytest.LogCaptureFixture, datadir: Path) -> None:
    dataset = mr.read_csv(datadir / "diabetes.csv", target="progression")
    with mr.Engine("inline") as engine, caplog.at_level("WARNING", logger="mapreduce.algorithms"):
        short = LassoCV(alphas=[50.0, 10.0]).fit(dataset, engine=engine)
        assert "smallest weight tried, 10" in caplog.text
        caplog.clear()
        LassoCV(alphas=[50.0, 1.0, 0.0]).fit(dataset, engine=engine)  # nothing is below 0
    assert not caplog.text
    assert "min, 1se" in short.table() or short.alpha_1se_ != short.alpha_min_

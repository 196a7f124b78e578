"""Is least squares that of NIST, scikit-learn and numpy, and does it refuse what has no answer?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mapreduce as mr
from algorithms.linear_regression import GramSums, LinearRegression
from tests.algorithms.conftest import Engines

SPLIT_ROWS = 500


def read(path: Path, target: str) -> tuple[Any, Any]:
    frame = pd.read_csv(path)
    return frame.drop(columns=target).to_numpy(np.float64), frame[target].to_numpy(np.float64)


def close(found: Any, expected: Any, digits: float) -> bool:
    """Whether the worst coefficient has so many correct digits, as NIST counts them."""
    found, expected = np.asarray(found), np.asarray(expected)
    return bool((np.abs(found - expected) <= 10**-digits * np.abs(expected)).all())


@pytest.mark.parametrize(("name", "target"), [("houses.csv", "price"), ("diabetes.csv", "progression")])
@pytest.mark.parametrize("alpha", [0.0, 10.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_coefficients_are_those_of_scikit_learn(
    name: str, target: str, alpha: float, fit_intercept: bool, engine: mr.Engine, datadir: Path
) -> None:
    from sklearn import linear_model

    X, y = read(datadir / name, target)
    peer = linear_model.LinearRegression(fit_intercept=fit_intercept)
    if alpha:
        peer = linear_model.Ridge(alpha, fit_intercept=fit_intercept, solver="svd")
    peer.fit(X, y)
    dataset = mr.read_csv(datadir / name, target=target)
    model = LinearRegression(alpha, fit_intercept).fit(dataset, engine=engine)
    # The Gram matrix squares the condition: 1e7 for houses' longitude and latitude without an intercept.
    assert close(model.coef_, peer.coef_, 9 if fit_intercept else 6)
    assert close(model.intercept_, peer.intercept_, 9)
    assert np.allclose(model.predict(X), peer.predict(X), rtol=1e-9)
    if fit_intercept:
        assert model.r2_ == pytest.approx(peer.score(X, y), abs=1e-12)
        assert model.score(X, y) == pytest.approx(peer.score(X, y), abs=1e-12)


def test_metrics_are_those_of_scikit_learn(engine: mr.Engine, datadir: Path) -> None:
    from sklearn import metrics

    X, y = read(datadir / "diabetes.csv", "progression")
    dataset = mr.read_csv(datadir / "diabetes.csv", target="progression")
    model = LinearRegression().fit(dataset, engine=engine)
    found = engine.run(model.metrics(), dataset).value
    predicted = model.predict(X)
    assert found == pytest.approx(
        {
            "n": len(y),
            "mse": metrics.mean_squared_error(y, predicted),
            "rmse": metrics.root_mean_squared_error(y, predicted),
            "mae": metrics.mean_absolute_error(y, predicted),
            "r2": metrics.r2_score(y, predicted),
        },
        rel=1e-12,
    )


def test_sparse_rows_are_rows(engine: mr.Engine, datadir: Path) -> None:
    from sklearn.datasets import load_svmlight_file
    from sklearn.linear_model import LinearRegression as Peer

    X, y = load_svmlight_file(str(datadir / "linear.libsvm"))
    peer = Peer().fit(X.toarray(), y)
    model = LinearRegression().fit(mr.read_libsvm(datadir / "linear.libsvm"), engine=engine)
    assert close(model.coef_, peer.coef_, 11)
    assert model.feature_names_ == [f"x{number}" for number in range(10)]
    assert np.array_equal(model.predict(X), model.predict(X)) and np.allclose(
        model.predict(X), peer.predict(X.toarray())
    )


def test_a_mean_far_above_the_deviation_costs_no_digits(engine: mr.Engine) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(0, 1, (2000, 3))
    y = X @ [1.0, -2.0, 3.0] + rng.normal(0, 0.1, 2000)
    near, far = LinearRegression().fit(X, y, engine=engine), LinearRegression().fit(X + 1e6, y, engine=engine)
    assert close(far.coef_, near.coef_, 9)  # X + 1e6 itself has lost 6 of 16 digits


def test_sums_are_those_of_all_rows_at_once() -> None:
    rng = np.random.default_rng(4)
    X, y = rng.normal(5, 2, (1000, 4)), rng.normal(100, 1, 1000)
    a, b, c = (GramSums.of(X[part], y[part]) for part in (slice(0, 1), slice(1, 400), slice(400, 1000)))
    Z = np.column_stack([X, y])
    for sums in ((a + b) + c, a + (b + c)):
        assert sums.rows == 1000
        assert np.allclose(sums.mean, Z.mean(axis=0), rtol=1e-14)
        assert np.allclose(sums.scatter, (Z - Z.mean(axis=0)).T @ (Z - Z.mean(axis=0)), rtol=1e-12, atol=1e-10)


def test_same_bits_for_any_number_of_workers(engines: Engines, datadir: Path) -> None:
    dataset = mr.read_csv(datadir / "houses.csv", target="price")
    models = [LinearRegression().fit(dataset, engine=engine) for engine in [*engines.values(), mr.Engine("inline")]]
    bits = {(model.coef_.tobytes(), model.intercept_, model.r2_, model.sigma_) for model in models}
    assert len(bits) == 1


def test_files_and_arrays_give_the_same_model(engine: mr.Engine, datadir: Path, tmp_path: Path) -> None:
    X, y = read(datadir / "longley.csv", "y")
    np.save(tmp_path / "rows.npy", np.column_stack([X, y]))
    from_files = LinearRegression().fit(mr.read_csv(datadir / "longley.csv", target="y"), engine=engine)
    for model in (
        LinearRegression().fit(X, y),
        LinearRegression().fit(mr.read_npy(tmp_path / "rows.npy", target=-1), engine=engine),
    ):
        assert close(model.coef_, from_files.coef_, 8)  # cut into other blocks
    assert from_files.feature_names_ == ["x1", "x2", "x3", "x4", "x5", "x6"]
    assert from_files.target_name_ == "y"


ONE_TO_NINE = np.arange(9.0)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": ONE_TO_NINE, "b": np.full(9, 0.1)}, "column 'b' is constant"),
        ({"a": ONE_TO_NINE, "b": ONE_TO_NINE**2, "c": ONE_TO_NINE * 2 + 3}, "columns 'a', 'c' are collinear"),
        (
            {f"c{number}": ONE_TO_NINE**number for number in range(1, 10)},
            "9 rows, too few to determine 10 coefficients",
        ),
    ],
)
def test_coefficients_that_nothing_determines(columns: dict[str, Any], said: str) -> None:
    frame = pd.DataFrame(columns)
    with pytest.raises(mr.InputError, match=said):
        LinearRegression().fit(frame, ONE_TO_NINE % 4)
    assert np.isfinite(LinearRegression(alpha=0.1).fit(frame, ONE_TO_NINE % 4).coef_).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,y\n1,2,3\n4,,6\n", r"rows\.csv, line 3: column 'b' has no value"),
        ("a,b,y\n1,2,3\n4,nan,6\n", r"rows\.csv, line 3: column 'b' "),
        ("a,b,y\n1,2,3\n4,5,inf\n7,8,9\n", r"rows\.csv, line 3.*(target|'y')"),
        ("a,b,y\n", "the input has no rows to learn from"),
    ],
)
def test_rows_that_cannot_be_learned_from(text: str, said: str, engine: mr.Engine, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises((mr.InputError, mr.UsageError), match=said):
        LinearRegression().fit(mr.read_csv(tmp_path / "rows.csv", target="y"), engine=engine)


def test_a_penalty_is_not_negative() -> None:
    with pytest.raises(mr.UsageError, match="alpha is -1"):
        LinearRegression(-1).fit(np.eye(2), np.ones(2))


def test_from_the_command_line(run_cli: Callable[..., Any], datadir: Path, tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression as Peer

    X, y = read(datadir / "houses.csv", "price")
    peer = Peer().fit(X, y)
    done = run_cli("fit", "linear_regression", datadir / "houses.csv", "--target", "price", "-o", "model")
    assert done.rc == 0
    done = run_cli("predict", "model", datadir / "houses.csv")
    assert np.allclose([float(line) for line in done.out.splitlines()], peer.predict(X), rtol=1e-9)
    done = run_cli("evaluate", "model", datadir / "houses.csv", "-q")
    metrics = dict(line.split("\t") for line in done.out.splitlines())
    assert float(metrics["r2"]) == pytest.approx(peer.score(X, y), abs=1e-12)
    assert done.err == ""

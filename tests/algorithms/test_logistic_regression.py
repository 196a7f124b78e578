"""Is logistic regression that of scikit-learn, to its last digits?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mapreduce as mr
from algorithms.logistic_regression import LogisticRegression, sigmoid
from tests.algorithms.conftest import Engines


@pytest.fixture
def flowers(tmp_path: Path, datadir: Path) -> Path:
    """Two species of iris that overlap, as 1 and 2."""
    frame = pd.read_csv(datadir / "iris.csv")
    frame = frame[frame.species != "setosa"]
    frame.assign(species=frame.species.map({"versicolor": 1, "virginica": 2})).to_csv(
        tmp_path / "flowers.csv", index=False
    )
    return tmp_path / "flowers.csv"


def peer_of(X: Any, y: Any, C: float) -> Any:
    from sklearn import linear_model

    return linear_model.LogisticRegression(C=C, solver="newton-cholesky", tol=1e-14, max_iter=100).fit(X, y)


@pytest.mark.parametrize("C", [0.1, 1.0, 100.0, np.inf])
def test_coefficients_are_those_of_scikit_learn(C: float, engine: mr.Engine, flowers: Path) -> None:
    frame = pd.read_csv(flowers)
    X, y = frame.drop(columns="species").to_numpy(), frame.species.to_numpy()
    peer = peer_of(X, y, C)
    model = LogisticRegression(C, tol=1e-14).fit(mr.read_csv(flowers, target="species"), engine=engine)
    assert model.converged_
    # Both stop where rounding hides the slope; how far theta may lie off is that, times the Hessian's condition.
    assert np.allclose(model.coef_, peer.coef_[0], rtol=1e-11)
    assert model.intercept_ == pytest.approx(peer.intercept_[0], rel=1e-11)
    assert model.classes_.tolist() == [1, 2]
    assert np.array_equal(model.predict(X), peer.predict(X))
    assert np.allclose(model.predict_proba(X), peer.predict_proba(X), rtol=1e-9, atol=1e-14)
    assert model.score(X, y) == peer.score(X, y)


def test_sparse_rows_are_rows(engine: mr.Engine, datadir: Path) -> None:
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(datadir / "digits.libsvm"))
    X, y = X[:, 300:400], y
    peer = peer_of(X.toarray(), y, 0.01)
    model = LogisticRegression(0.01, tol=1e-14).fit(X, y, engine=engine)
    assert np.allclose(model.coef_, peer.coef_[0], rtol=1e-9, atol=1e-14)  # atol: pixels that are always dark


def test_metrics_are_those_of_scikit_learn(engine: mr.Engine, flowers: Path) -> None:
    from sklearn import metrics

    dataset = mr.read_csv(flowers, target="species")
    model = LogisticRegression().fit(dataset, engine=engine)
    frame = pd.read_csv(flowers)
    X, y = frame.drop(columns="species").to_numpy(), frame.species.to_numpy()
    found = engine.run(model.metrics(), dataset).value
    predicted = model.predict(X)
    right = int((predicted == y).sum())
    assert found["n"] == len(y)
    assert found["correct"] == f"{right}/{len(y)}"
    assert found["accuracy"] == right / len(y)
    assert found["confusion"] == metrics.confusion_matrix(y, predicted).tolist()
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, model.predict_proba(X)), rel=1e-13)


def test_same_bits_for_any_number_of_workers(engines: Engines, flowers: Path) -> None:
    dataset = mr.read_csv(flowers, target="species")
    models = [LogisticRegression().fit(dataset, engine=engines[workers]) for workers in (1, 2, 3)]
    with mr.Engine("inline") as inline:
        models.append(LogisticRegression().fit(dataset, engine=inline))
    bits = {(model.coef_.tobytes(), model.intercept_, model.loss_, model.n_iter_) for model in models}
    assert len(bits) == 1


def test_classes_may_be_text(run_cli: Callable[..., Any], tmp_path: Path, datadir: Path) -> None:
    frame = pd.read_csv(datadir / "iris.csv")
    frame = frame[frame.species != "setosa"]
    frame.to_csv(tmp_path / "two.csv", index=False)
    X, y = frame.drop(columns="species").to_numpy(), frame.species.to_numpy()
    peer = peer_of(X, y, 1.0)
    assert LogisticRegression().fit(X, y).predict(X).tolist() == peer.predict(X).tolist()
    done = run_cli("fit", "logistic_regression", "two.csv", "--target", "species", "-o", "model", "-q")
    assert done.rc == 0, done.err
    assert run_cli("predict", "model", "two.csv", "-q").out.split() == peer.predict(X).tolist()
    judged = run_cli("evaluate", "model", "two.csv", "-q").out
    assert f"correct\t{(peer.predict(X) == y).sum()}/100\n" in judged
    assert "recall.virginica\t" in judged
    unknown = run_cli("evaluate", "model", datadir / "iris.csv", "-q")
    assert unknown.rc == 2
    assert "target 'setosa' is none of the classes ['versicolor', 'virginica']" in unknown.err


def test_what_was_not_reached_is_told(flowers: Path) -> None:
    frame = pd.read_csv(flowers)
    model = LogisticRegression(max_iter=2).fit(frame.drop(columns="species"), frame.species)
    assert not model.converged_
    assert model.n_iter_ == 2
    assert model.figures()["gradient_norm"] > model.tol


X = np.array([[0.0], [1.0], [2.0], [3.0]])


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([1, 1, 1, 1], r"1 different values \(1\)"),
        ([0, 1, 2, 3], r"4 different values \(0, 1, 2, 3\)\. Only binary"),
        ([0, 1, np.nan, 0], "Input y contains NaN"),
        (["a", "b", "c", "b"], r"3 different values \(a, b, c\)\. Only binary"),
        ([1j, 1, 1j, 1], "Complex data not supported"),
        ([0, 1], "X has 4 rows"),
    ],
)
def test_targets_that_are_not_two_classes(y: list[Any], said: str) -> None:
    with pytest.raises(mr.InputError, match=said):
        LogisticRegression().fit(X, y)


def test_classes_that_a_line_separates_need_a_penalty() -> None:
    with pytest.raises(mr.InputError, match="set C to a finite value"):
        LogisticRegression(C=np.inf).fit(X, [0, 0, 1, 1])
    assert LogisticRegression(C=1e6).fit(X, [0, 0, 1, 1]).converged_


def test_penalties_are_above_zero() -> None:
    with pytest.raises(mr.UsageError, match="C is 0"):
        LogisticRegression(0).fit(X, [0, 0, 1, 1])


def test_a_class_that_the_model_never_saw(engine: mr.Engine) -> None:
    model = LogisticRegression().fit(X, [0, 1, 0, 1])
    with pytest.raises(mr.InputError, match=r"row 2: target 7 is none of the classes \[0, 1\]"):
        engine.run(model.metrics(), mr.from_arrays(X, np.array([0, 1, 7, 1])))


def test_sigmoid_does_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]


def test_from_the_command_line(run_cli: Callable[..., Any], flowers: Path) -> None:
    frame = pd.read_csv(flowers)
    X, y = frame.drop(columns="species").to_numpy(), frame.species.to_numpy()
    peer = peer_of(X, y, 0.5)
    done = run_cli("fit", "logistic_regression", flowers, "--target", "species", "--set", "C=0.5", "-o", "model", "-q")
    assert done.rc == 0, done.err
    assert [int(line) for line in run_cli("predict", "model", flowers, "-q").out.split()] == peer.predict(X).tolist()
    metrics = dict(line.split("\t") for line in run_cli("evaluate", "model", flowers, "-q").out.splitlines())
    assert float(metrics["accuracy"]) == peer.score(X, y)

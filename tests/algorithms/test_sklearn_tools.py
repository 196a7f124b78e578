"""Do pipelines, searches and cross-validation of scikit-learn work with the estimators as with its own?"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import decomposition, discriminant_analysis, linear_model, naive_bayes
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mapreduce as mr
from algorithms.discriminant import LinearDiscriminantAnalysis
from algorithms.elastic_net import Lasso, Ridge
from algorithms.estimator import Estimator
from algorithms.kmeans import KMeans
from algorithms.linear_regression import LinearRegression
from algorithms.logistic_regression import LogisticRegression
from algorithms.naive_bayes import GaussianNaiveBayes
from algorithms.naive_bayes_categorical import CategoricalNaiveBayes
from algorithms.pca import PCA

ROOT = Path(__file__).resolve().parents[2]
DIABETES = load_diabetes(scaled=False)
X, Y = DIABETES.data, DIABETES.target
IRIS = load_iris()
SPECIES = IRIS.target_names[IRIS.target]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: LinearRegression(), lambda: linear_model.LinearRegression()),
        (lambda: Ridge(2.0), lambda: linear_model.Ridge(2.0)),
        (lambda: Lasso(0.5), lambda: linear_model.Lasso(0.5, tol=1e-12, max_iter=100_000)),
    ],
)
def test_scaled_columns_then_ours(ours: Any, theirs: Any) -> None:
    one, other = (make_pipeline(StandardScaler(), make()) for make in (ours, theirs))
    assert np.allclose(one.fit(X, Y).predict(X), other.fit(X, Y).predict(X), rtol=1e-10)
    folds = KFold(4)
    assert np.allclose(cross_val_score(one, X, Y, cv=folds), cross_val_score(other, X, Y, cv=folds), rtol=1e-8)


def test_components_then_discriminants() -> None:
    one = make_pipeline(PCA(3), LinearDiscriminantAnalysis()).fit(IRIS.data, SPECIES)
    other = make_pipeline(
        decomposition.PCA(3, svd_solver="full"),
        discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr"),
    ).fit(IRIS.data, SPECIES)
    assert one.predict(IRIS.data).tolist() == other.predict(IRIS.data).tolist()
    assert np.allclose(one.predict_proba(IRIS.data), other.predict_proba(IRIS.data), rtol=1e-8, atol=1e-12)
    assert one.score(IRIS.data, SPECIES) == other.score(IRIS.data, SPECIES)


def test_a_penalty_is_searched_for() -> None:
    grid = {"alpha": [0.01, 1.0, 100.0]}
    one = GridSearchCV(Ridge(), grid, cv=KFold(4)).fit(X, Y)
    other = GridSearchCV(linear_model.Ridge(), grid, cv=KFold(4)).fit(X, Y)
    assert one.best_params_ == other.best_params_
    assert np.allclose(one.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"], rtol=1e-8)
    two_classes = np.median(Y) < Y
    strength = {"C": [1e-6, 1.0]}
    first = GridSearchCV(LogisticRegression(), strength, cv=3).fit(X, two_classes)
    second = GridSearchCV(linear_model.LogisticRegression(solver="newton-cholesky"), strength, cv=3).fit(X, two_classes)
    assert first.cv_results_["mean_test_score"].tolist() == second.cv_results_["mean_test_score"].tolist()


def test_a_number_of_components_is_searched_for() -> None:
    grid = {"pca__n_components": [1, 2, 4]}
    one = GridSearchCV(make_pipeline(PCA(), GaussianNaiveBayes()), grid, cv=3).fit(IRIS.data, SPECIES)
    peer = make_pipeline(decomposition.PCA(svd_solver="full"), naive_bayes.GaussianNB())
    other = GridSearchCV(peer, grid, cv=3).fit(IRIS.data, SPECIES)
    assert one.cv_results_["mean_test_score"].tolist() == other.cv_results_["mean_test_score"].tolist()
    assert one.best_params_ == other.best_params_


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_data_frames_by_the_names_of_their_columns(frame: Any) -> None:
    rows = frame({"age": [30.0, 40.0, 50.0, 60.0], "height": [1.7, 1.9, 1.6, 1.8]})
    model = LinearRegression().fit(rows, [1, 2, 3, 5])
    assert model.feature_names_ == ["age", "height"]
    assert model.feature_names_in_.tolist() == ["age", "height"]
    assert np.array_equal(model.predict(rows), model.predict(rows.to_numpy()))
    with pytest.raises(mr.InputError, match="must be in the same order as they were in fit"):
        model.predict(rows[["height", "age"]])
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(rows), model.predict(rows))
    with pytest.raises(mr.InputError, match="must be in the same order"):
        model.partial_fit(rows[["height", "age"]], [1, 2, 3, 5])


def test_columns_of_a_frame_without_names() -> None:
    model = LinearRegression().fit(pd.DataFrame(X[:, :2]), Y)
    assert model.feature_names_ == ["x0", "x1"]
    assert not hasattr(model, "feature_names_in_")
    with pytest.raises(mr.InputError, match="column 1 has no name of text") as caught:
        LinearRegression().fit(pd.DataFrame({"a": [1.0], 1: [2.0]}), [1.0])
    assert isinstance(caught.value, TypeError)


def test_a_saved_model_knows_the_names(tmp_path: Path) -> None:
    frame = pd.DataFrame(X[:, :2], columns=["age", "sex"])
    LinearRegression().fit(frame, Y).save(tmp_path / "named")
    LinearRegression().fit(X[:, :2], Y).save(tmp_path / "bare")
    from algorithms.models import load_model

    with pytest.raises(mr.InputError, match="must be in the same order"):
        load_model(tmp_path / "named").predict(frame[["sex", "age"]])
    bare = load_model(tmp_path / "bare")
    assert not hasattr(bare, "feature_names_in_")
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        bare.predict(frame)


def test_integers_keep_all_their_digits() -> None:
    big = np.array([[2**60], [2**60 + 1], [2**60 + 2]])
    assert LinearRegression().fit(big, [0, 1, 2]).coef_.tolist() == [1.0]  # as floats the rows are all equal


def test_text_is_a_class_and_a_category() -> None:
    frame = pd.DataFrame({"sky": ["blue", "grey", "grey", "blue"], "wind": [1, 0, 1, 0]})
    model = CategoricalNaiveBayes().fit(frame, ["dry", "wet", "wet", "dry"])
    assert model.predict(frame).tolist() == ["dry", "wet", "wet", "dry"]
    assert model.score(frame, ["dry", "wet", "dry", "dry"]) == 0.75
    with pytest.raises(mr.InputError, match="'red', none of the categories"):
        model.predict(pd.DataFrame({"sky": ["red"], "wind": [1]}))


def test_weights_count_when_rows_are_judged() -> None:
    weights = np.arange(len(Y)) % 3
    model = LinearRegression().fit(X, Y, sample_weight=weights)
    peer = linear_model.LinearRegression().fit(X, Y, sample_weight=weights)
    assert np.isclose(model.score(X, Y, sample_weight=weights), peer.score(X, Y, sample_weight=weights), rtol=1e-12)
    parts = LinearRegression().partial_fit(X[:200], Y[:200], sample_weight=weights[:200])
    parts.partial_fit(X[200:], Y[200:], sample_weight=weights[200:])
    assert parts.coef_.tobytes() == model.coef_.tobytes()
    with pytest.raises(mr.InputError, match="zero"):
        LinearRegression().fit(X, Y, sample_weight=np.zeros(len(Y)))


def test_clusters_of_the_rows() -> None:
    model = KMeans(3)
    assert model.fit_predict(IRIS.data).tolist() == model.labels_.tolist() == model.predict(IRIS.data).tolist()


FILES = """
import sys
from importlib import import_module
import mapreduce as mr
import algorithms
from algorithms.estimator import Predictions
with mr.Engine("inline") as engine:
    for name, where in algorithms.ESTIMATORS.items():
        module, _, class_name = where.partition(":")
        estimator = getattr(import_module(module), class_name)()
        features = ["d"] if name == "anova" else list("abcd")
        rows = mr.read_csv(sys.argv[1], target="two" if estimator.needs_target else None, features=features)
        estimator.fit(rows, engine=engine)
        if estimator.kind != "description":
            engine.run(Predictions(estimator), rows)
            engine.run(estimator.metrics(), rows)
        found = [module for module in ("sklearn", "scipy") if module in sys.modules]
        if found:
            sys.exit(f"{name} imports {found}")
"""


def test_files_need_no_scikit_learn(tmp_path: Path) -> None:
    frame = pd.DataFrame(IRIS.data, columns=list("abcd")).round(1).assign(two=IRIS.target > 1)
    frame["two"] = frame.two.astype(int)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    done = subprocess.run(
        [sys.executable, "-c", FILES, str(tmp_path / "rows.csv")],
        cwd=ROOT, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_arrays_are_learned_from_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str] = []
    engine = mr.Engine

    def noted(kind: Any = "local", **how: Any) -> mr.Engine:
        kinds.append(kind)
        return engine(kind, **how)

    monkeypatch.setattr(mr, "Engine", noted)
    models: list[Estimator] = [LinearRegression(), KMeans(2)]
    for model in models:
        model.fit(X, Y)
    assert kinds == ["inline", "inline"]

"""Is discriminant analysis that of scikit-learn, to 11 digits and more?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from sklearn import discriminant_analysis as peers

import mapreduce as mr
from algorithms.classifier import Classifier
from algorithms.discriminant import GaussianDiscriminantAnalysis, LinearDiscriminantAnalysis
from algorithms.discriminant_quadratic import QuadraticDiscriminantAnalysis

Load = Callable[..., Any]
SETS: list[Load] = [datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer]
each_set = pytest.mark.parametrize("load", SETS, ids=[load.__name__[5:] for load in SETS])
DIGITS = 1e-11
"""The peer decomposes rounded matrices, whose condition numbers are up to 1e5 (with columns scaled)."""


def near(ours: Any, theirs: Any) -> bool:
    """To 11 digits of the largest."""
    return bool(np.abs(ours - theirs).max() <= DIGITS * np.abs(theirs).max())


@each_set
@pytest.mark.parametrize("model", [GaussianDiscriminantAnalysis(), LinearDiscriminantAnalysis()])
def test_linear_coefficients(load: Load, model: Any) -> None:
    X, y = load(return_X_y=True)
    peer = peers.LinearDiscriminantAnalysis(store_covariance=True).fit(X, y)
    model.fit(X, y)
    assert near(model.covariance_, peer.covariance_)
    assert near(model.coef_, peer.coef_)
    assert near(model.intercept_, peer.intercept_)
    assert np.array_equal(model.predict(X), peer.predict(X))
    assert near(model.predict_proba(X), peer.predict_proba(X))
    assert near(model.decision_function(X), peer.decision_function(X))


@each_set
def test_priors_and_shrinkage(load: Load) -> None:
    X, y = load(return_X_y=True)
    priors = [0.5, *[0.5 / (len(set(y)) - 1)] * (len(set(y)) - 1)]
    model = LinearDiscriminantAnalysis(priors=priors).fit(X, y)
    assert near(model.predict_proba(X), peers.LinearDiscriminantAnalysis(priors=priors).fit(X, y).predict_proba(X))
    shrunken = LinearDiscriminantAnalysis(0.25, priors).fit(X, y)
    peer = peers.LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.25, priors=priors).fit(X, y)
    assert near(shrunken.covariance_, peer.covariance_)
    assert np.array_equal(shrunken.predict(X), peer.predict(X))
    assert near(shrunken.predict_proba(X), peer.predict_proba(X))


@each_set
def test_coordinates(load: Load) -> None:
    X, y = load(return_X_y=True)
    model, peer = LinearDiscriminantAnalysis().fit(X, y), peers.LinearDiscriminantAnalysis().fit(X, y)
    ours, theirs = model.transform(X), peer.transform(X)
    assert near(ours * np.sign((ours * theirs).sum(axis=0)), theirs)  # a sign is a choice
    assert near(model.explained_variance_ratio_, peer.explained_variance_ratio_)
    assert (model.scalings_.max(axis=0) >= -model.scalings_.min(axis=0)).all()
    assert LinearDiscriminantAnalysis(n_components=1).fit(X, y).transform(X).shape == (len(X), 1)


@each_set
@pytest.mark.parametrize("reg_param", [0.0, 0.125])
def test_quadratic(load: Load, reg_param: float) -> None:
    X, y = load(return_X_y=True)
    model = QuadraticDiscriminantAnalysis(reg_param=reg_param).fit(X, y)
    peer = peers.QuadraticDiscriminantAnalysis(reg_param=reg_param, tol=0).fit(X, y)
    assert np.array_equal(model.predict(X), peer.predict(X))
    assert near(model.decision_function(X), peer.decision_function(X))


def test_coefficients_are_correctly_rounded() -> None:
    """By hand: two classes with variances 1 about 1e9 and 1e9 + 4, so theta = 4 / (2/3), where floats would have lost
    all digits that matter."""
    X = np.array([[-1.0], [0.0], [1.0], [3.0], [4.0], [5.0]]) + 1e9
    model = GaussianDiscriminantAnalysis().fit(X, [0, 0, 0, 1, 1, 1])
    assert model.coef_.tolist() == [[6.0]]
    assert model.intercept_.tolist() == [-6.0 * (1e9 + 2)]


@pytest.mark.parametrize(
    ("model", "X", "y", "said"),
    [
        (
            LinearDiscriminantAnalysis(),
            [[1, 2], [2, 2], [3, 2], [5, 2]],
            [0, 0, 1, 1],
            "'x1' is constant within the cl",
        ),
        (LinearDiscriminantAnalysis(), [[1, 2], [2, 4], [3, 6], [5, 10]], [0, 0, 1, 1], "'x0', 'x1' are collinear"),
        (
            LinearDiscriminantAnalysis(),
            [[1, 2], [2, 5], [3, 2]],
            [0, 0, 1],
            "3 rows of 2 classes, too few.*set shrinkage",
        ),
        (GaussianDiscriminantAnalysis(), [[1], [2]], ["a", "a"], "one class, 'a'"),
        (QuadraticDiscriminantAnalysis(), [[1], [2], [3]], ["a", "a", "b"], "class 'b' has one row, which has no cov"),
        (
            QuadraticDiscriminantAnalysis(),
            [[1, 3], [2, 1], [3, 0], [4, 4]],
            [0, 0, 1, 1],
            "class 0 has 2 rows, too few",
        ),
        (QuadraticDiscriminantAnalysis(), [[1], [1], [3], [4]], [0, 0, 1, 1], "'x0' is constant in class 0.*set reg_p"),
        (LinearDiscriminantAnalysis(), [[1, 2], [1, 2]], [0, 1], "constant within the classes"),
    ],
)
def test_rows_that_cannot_be_learned_from(model: Classifier, X: Any, y: Any, said: str) -> None:
    with pytest.raises(mr.InputError, match=said):
        model.fit(np.array(X, float), y)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (LinearDiscriminantAnalysis(1.5), "shrinkage is 1.5"),
        (LinearDiscriminantAnalysis(n_components=2), "have 1 coordinates at most"),
        (QuadraticDiscriminantAnalysis(reg_param=-1), "reg_param is -1"),
        (GaussianDiscriminantAnalysis([0.0, 1.0]), "priors is .* above 0"),
    ],
)
def test_parameters_that_are_refused(model: Classifier, said: str) -> None:
    with pytest.raises(mr.UsageError, match=said):
        model.fit(np.array([[1.0], [2.0], [3.0], [5.0]]), [0, 0, 1, 1])


@pytest.mark.parametrize(
    "name", ["gaussian_discriminant_analysis", "linear_discriminant_analysis", "quadratic_discriminant_analysis"]
)
def test_from_the_command_line(name: str, run_cli: Callable[..., Any], datadir: Path) -> None:
    """Classes are text."""
    X, y = datasets.load_iris(return_X_y=True)
    species = np.array(["setosa", "versicolor", "virginica"])[y]
    is_quadratic = name.startswith("quadratic")
    peer = (peers.QuadraticDiscriminantAnalysis() if is_quadratic else peers.LinearDiscriminantAnalysis()).fit(
        X, species
    )
    done = run_cli("fit", name, datadir / "iris.csv", "--target", "species", "-o", "model", "-q")
    assert done.rc == 0, done.err
    printed = run_cli("predict", "model", datadir / "iris.csv", "-q").out.split()
    assert printed == peer.predict(X).tolist()
    judged = run_cli("evaluate", "model", datadir / "iris.csv", "-q").out
    assert f"correct\t{int((peer.predict(X) == species).sum())}/150\n" in judged

"""Are principal components those of scikit-learn's full decomposition, and is whitened data white?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets, decomposition

import mapreduce as mr
from algorithms.covariance import Correlation, Covariance
from algorithms.pca import PCA, Whitening

Load = Callable[..., Any]
SETS: list[Load] = [datasets.load_iris, datasets.load_wine, datasets.load_diabetes, datasets.load_breast_cancer]
each_set = pytest.mark.parametrize("load", SETS, ids=[load.__name__[5:] for load in SETS])


def digits(ours: Any, theirs: Any) -> float:
    """How many digits of the largest entry agree in all entries."""
    return float(-np.log10(max(np.abs(ours - theirs).max() / np.abs(theirs).max(), 1e-17)))


@each_set
def test_components_of_scikit_learn(load: Load) -> None:
    X = load().data
    model, peer = PCA().fit(X), decomposition.PCA(svd_solver="full").fit(X)
    # The peer rounds while it centres rows and decomposes them: directions of nearby variances keep fewer digits.
    assert digits(model.components_, peer.components_) >= 13
    for name in ("explained_variance_", "explained_variance_ratio_", "singular_values_"):
        assert digits(getattr(model, name), getattr(peer, name)) >= 14, name
    assert np.allclose(model.mean_, peer.mean_, rtol=1e-14, atol=1e-17)  # some means are nearly 0
    assert digits(model.transform(X), peer.transform(X)) >= 13
    assert digits(model.inverse_transform(model.transform(X)), X) >= 14


@each_set
@pytest.mark.parametrize("wanted", [1, 2, 0.5, 0.9, 0.999])
def test_how_many_components(load: Load, wanted: float) -> None:
    X = load().data
    model = PCA(wanted, whiten=True).fit(X)
    peer = decomposition.PCA(wanted, whiten=True, svd_solver="full").fit(X)
    assert model.components_.shape == peer.components_.shape
    assert digits(model.transform(X), peer.transform(X)) >= 12
    assert model.noise_variance_ == pytest.approx(peer.noise_variance_, rel=1e-12)
    assert digits(model.inverse_transform(model.transform(X)), peer.inverse_transform(peer.transform(X))) >= 13


def test_fewer_rows_than_columns() -> None:
    """Pixels that are always dark, and fewer rows than columns."""
    for X in (datasets.load_digits().data[:200], datasets.load_digits().data[:40]):
        rank = np.linalg.matrix_rank(X - X.mean(axis=0))
        model, peer = PCA().fit(X), decomposition.PCA(svd_solver="full").fit(X)
        assert digits(model.components_[:rank], peer.components_[:rank]) >= 12
        assert digits(model.explained_variance_, peer.explained_variance_) >= 14
        assert (model.explained_variance_[rank:] == 0).all()
        with pytest.raises(mr.InputError, match=f"vary in {rank} directions only.*n_components={rank}"):
            PCA(whiten=True).fit(X)


def test_a_far_offset_costs_no_digit() -> None:
    X = np.array([[3.0, 4.0], [-3.0, -4.0], [-4.0, 3.0], [4.0, -3.0]]) * [[1], [1], [2], [2]] + [1e12, -1e12]
    model = PCA().fit(X)
    assert model.components_.tolist() == [[0.8, -0.6], [0.6, 0.8]]
    assert model.explained_variance_.tolist() == [200 / 3, 50 / 3]


@each_set
@pytest.mark.parametrize("method", ["zca", "pca", "cholesky"])
def test_whitened_columns_are_white(load: Load, method: str) -> None:
    X = load().data
    model = Whitening(method).fit(X)
    Z = model.transform(X)
    assert np.abs(np.cov(Z.T) - np.eye(X.shape[1])).max() < 1e-10  # Z itself is rounded
    assert digits(model.inverse_transform(Z), X) >= 12
    if method == "zca":
        assert np.array_equal(model.whitening_, model.whitening_.T)
    if method == "cholesky":
        assert np.array_equal(model.whitening_, np.tril(model.whitening_))


@each_set
def test_covariance_and_correlation(load: Load) -> None:
    """numpy's in extended precision, rounded: the last bit may still differ."""
    X = load().data.astype(np.longdouble)
    centred = X - X.mean(axis=0)
    S = centred.T @ centred
    assert np.allclose(Covariance().fit(X).covariance_, (S / (len(X) - 1)).astype(float), rtol=2.3e-16)
    assert np.allclose(Covariance(ddof=0).fit(X).covariance_, (S / len(X)).astype(float), rtol=2.3e-16)
    scale = np.sqrt(np.diag(S))
    assert np.allclose(Correlation().fit(X).correlation_, (S / np.outer(scale, scale)).astype(float), rtol=1e-15)


def test_p_of_correlations() -> None:
    from scipy import stats

    X = datasets.load_iris().data
    model = Correlation().fit(X)
    for i in range(4):
        for j in range(i):
            peer = stats.pearsonr(X[:, i], X[:, j])
            assert model.p_[i, j] == model.p_[j, i] == pytest.approx(peer.pvalue, rel=1e-10)


@pytest.mark.parametrize(
    ("model", "X", "said"),
    [
        (PCA(), [[1.0, 2.0]], "1 sample"),
        (PCA(), [[1.0, 2.0], [1.0, 2.0]], "all rows are equal"),
        (Correlation(), [[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]], "column 'x1' is constant"),
        (Whitening(), [[1.0, 2.0], [2.0, 2.0]], "2 rows, too few to whiten 2"),
        (Whitening(), [[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]], "column 'x1' is constant in all rows"),
        (Whitening(), [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]], "columns 'x0', 'x1' are collinear in all rows"),
        (Covariance(ddof=2), [[1.0], [2.0]], "2 rows, too few for ddof=2"),
        (Covariance(), [[1.0], [np.nan]], "holds NaN"),
    ],
)
def test_rows_that_cannot_be_learned_from(model: Any, X: Any, said: str) -> None:
    with pytest.raises(mr.InputError, match=said):
        model.fit(X)


@pytest.mark.parametrize(
    ("model", "said"),
    [(PCA(0), "n_components is 0"), (PCA(1.5), "is 1.5"), (PCA(3), "2 at most"), (Whitening("x"), "choose 'zca'")],
)
def test_parameters_that_are_refused(model: Any, said: str) -> None:
    with pytest.raises(mr.UsageError, match=said):
        model.fit([[1.0, 2.0], [2.0, 1.0], [5.0, 7.0]])


def test_from_the_command_line(run_cli: Callable[..., Any], datadir: Path) -> None:
    X = datasets.load_iris().data
    done = run_cli("fit", "pca", datadir / "iris.csv", "--set", "n_components=0.95", "-o", "model")
    assert done.rc == 0, done.err
    assert "pc1" in done.out
    printed = run_cli("predict", "model", datadir / "iris.csv", "-q").out
    found = np.array([[float(cell) for cell in line.split("\t")] for line in printed.splitlines()])
    assert digits(found, decomposition.PCA(0.95, svd_solver="full").fit(X).transform(X)) >= 13
    judged = dict(
        line.split("\t") for line in run_cli("evaluate", "model", datadir / "iris.csv", "-q").out.splitlines()
    )
    assert float(judged["explained"]) == pytest.approx(sum(PCA(2).fit(X).explained_variance_ratio_), rel=1e-12)
    assert run_cli("fit", "covariance", datadir / "iris.csv", "-o", "cov", "-q").rc == 0
    refused = run_cli("predict", "cov", datadir / "iris.csv")
    assert (refused.rc, "covariance describes rows and predicts nothing" in refused.err) == (2, True)


def test_pipelines_take_it() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    X, y = datasets.load_iris(return_X_y=True)
    ours = make_pipeline(PCA(2), LogisticRegression()).fit(X, y)
    theirs = make_pipeline(decomposition.PCA(2), LogisticRegression()).fit(X, y)
    assert np.array_equal(ours.predict(X), theirs.predict(X))


@each_set
def test_in_floats(load: Load) -> None:
    X = load().data
    exact, model = PCA().fit(X), PCA(solver="float").fit(X)
    assert digits(model.components_[0], exact.components_[0]) >= 13  # those of small variances keep fewer
    assert digits(model.explained_variance_, exact.explained_variance_) >= 14
    assert model.figures()["precision"] == "float64"
    assert exact.figures()["precision"] == "correctly rounded"


def test_very_many_columns_are_refused_before_the_work() -> None:
    X = np.random.default_rng(0).integers(0, 9, (12, 201))
    with pytest.raises(mr.UsageError, match=r"201 columns; .* beyond 200: set solver=float, or take fewer"):
        PCA().fit(X)
    with pytest.raises(mr.UsageError, match="set method=cholesky, which takes up to 500"):
        Whitening().fit(X)
    with pytest.raises(mr.UsageError, match="solver is 'fast'; choose 'exact' or 'float'"):
        PCA(solver="fast").fit(X)
    peer = decomposition.PCA(3, svd_solver="full").fit(X)
    assert digits(PCA(3, solver="float").fit(X).components_, peer.components_) >= 12
    wide = Covariance().fit(X)
    assert wide.covariance_.shape == (201, 201)


def test_sums_that_were_kept_for_more_columns_than_it_takes() -> None:
    X = np.random.default_rng(0).integers(0, 9, (12, 201))
    model = PCA(2, solver="float").fit(X)
    with pytest.raises(mr.UsageError, match="201 columns"):
        PCA(2).fit_sums(model.state_, model.feature_names_)

"""Are the tables of a fit such that a statistician reads in them what was learned?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

import mapreduce as mr
from algorithms.discriminant import LinearDiscriminantAnalysis
from algorithms.discriminant_quadratic import QuadraticDiscriminantAnalysis
from algorithms.linear_regression import LinearRegression
from algorithms.naive_bayes_categorical import CategoricalNaiveBayes
from algorithms.naive_bayes_counts import ComplementNaiveBayes, MultinomialNaiveBayes
from algorithms.pca import Whitening

X, y = load_iris(return_X_y=True)


def lines_of(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_linear_discriminants_have_intercepts_and_shares() -> None:
    model = LinearDiscriminantAnalysis().fit(X, y)
    lines = lines_of(model.table())
    (intercepts,) = [line[1:] for line in lines if line[:1] == ["intercept"]]
    assert np.array(intercepts, float) == pytest.approx(model.intercept_, rel=1e-5)  # six digits are shown
    coordinates = lines[lines.index(["coordinate", "ld1", "ld2"]) + 1 :]
    assert [line[0] for line in coordinates] == ["x0", "x1", "x2", "x3", "share"]
    assert float(coordinates[-1][1]) == pytest.approx(0.9912, rel=1e-4)  # R's lda(): proportion of trace


def test_quadratic_discriminants_have_sizes_of_covariances() -> None:
    model = QuadraticDiscriminantAnalysis().fit(X, y)
    lines = lines_of(model.table())
    assert [line[0] for line in lines[lines.index(["class", "log", "|covariance|"]) + 1 :]] == ["0", "1", "2"]


def test_whitening_shows_its_matrix() -> None:
    lines = lines_of(Whitening().fit(X).table() or "")
    start = lines.index(["whitening", "x0", "x1", "x2", "x3"])
    assert [line[0] for line in lines[start + 1 :]] == ["x0", "x1", "x2", "x3"]
    assert "z1" in (Whitening("pca").fit(X).table() or "")
    wide = np.random.default_rng(0).normal(size=(60, 30))
    assert "whitening" not in (Whitening("cholesky").fit(wide).table() or "")


def test_weights_are_not_called_logarithms() -> None:
    assert "log P" in MultinomialNaiveBayes().fit(X, y).table()
    shown = ComplementNaiveBayes().fit(X, y).table()
    assert ("log P" in shown, "weight" in shown) == (False, True)


def test_a_condition_beyond_floats_is_said_in_words() -> None:
    wide = X.copy()
    wide[0, 0] = 1e300
    assert "condition above 1e16: a solver in floats loses all of 16 digits" in LinearRegression().fit(wide, y).table()


def test_one_row_is_not_one_rows() -> None:
    with pytest.raises(mr.InputError, match="the input has 1 row, too few to determine 5 coefficients"):
        LinearRegression().fit(X[:1], y[:1])


def test_categories_have_their_shares() -> None:
    rows = np.array([["red", "s"], ["red", "m"], ["blue", "s"], ["blue", "s"]])
    text = CategoricalNaiveBayes().fit(rows, np.array(["a", "a", "b", "b"])).table()
    lines = lines_of(text)
    start = lines.index(["P", "of", "x0", "a", "b"])
    assert lines[start + 1 : start + 3] == [["blue", "0.250000", "0.750000"], ["red", "0.750000", "0.250000"]]
    many = np.arange(300)[:, None]
    assert "300 categories of the features" in CategoricalNaiveBayes().fit(many, np.arange(300) % 2).table()

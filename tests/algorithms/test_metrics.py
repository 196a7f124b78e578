"""Are metrics those of scikit-learn, and the same to the last bit however the rows are cut?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

import mapreduce as mr
from algorithms.linear_regression import LinearRegression
from algorithms.naive_bayes_counts import BernoulliNaiveBayes
from tests.conftest import ROOT

HOUSES = ROOT / "data" / "houses.csv"
CUTS: tuple[dict[str, Any], ...] = ({}, {"split_size": "20KB"}, {"split_size": "7KB", "block_size": "1KB"})


def test_a_regression() -> None:
    dataset = mr.read_csv(HOUSES, target="price")
    with mr.Engine("inline") as engine:
        model = LinearRegression().fit(dataset, engine=engine)
        found = [engine.run(model.metrics(), dataset, **cut).value for cut in CUTS]
    assert found[0] == found[1] == found[2]
    table = np.loadtxt(HOUSES, delimiter=",", skiprows=1)
    y, predicted = table[:, -1], model.predict(table[:, :-1])
    assert found[0]["mse"] == pytest.approx(metrics.mean_squared_error(y, predicted), rel=1e-13)
    assert found[0]["mae"] == pytest.approx(metrics.mean_absolute_error(y, predicted), rel=1e-13)
    assert found[0]["r2"] == pytest.approx(metrics.r2_score(y, predicted), rel=1e-13)
    assert found[0]["rmse"] == math.sqrt(found[0]["mse"])


def test_a_classification() -> None:
    draw = np.random.default_rng(5)
    X, y = draw.integers(0, 2, (400, 6)).astype(float), draw.integers(0, 3, 400)
    model = BernoulliNaiveBayes().fit(X, y)
    dataset = mr.from_arrays(X, y)
    found = [mr.run(model.metrics(), dataset, engine="inline", **cut).value for cut in CUTS]
    assert found[0] == found[1] == found[2]
    assert found[0]["log_loss"] == pytest.approx(metrics.log_loss(y, model.predict_proba(X)), rel=1e-13)
    assert found[0]["accuracy"] == metrics.accuracy_score(y, model.predict(X))
    assert found[0]["macro_f1"] == pytest.approx(metrics.f1_score(y, model.predict(X), average="macro"), rel=1e-15)


def test_what_the_model_held_for_impossible_costs_infinitely_much() -> None:
    model = BernoulliNaiveBayes(alpha=0).fit(np.array([[0.0], [1.0]]), np.array([0, 1]))
    found = mr.run(model.metrics(), mr.from_arrays(np.array([[1.0], [1.0]]), np.array([0, 1])), engine="inline").value
    assert found["log_loss"] == math.inf

"""Is k-means that of scikit-learn from the same first centres?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mapreduce as mr
from algorithms.kmeans import KMeans, Survey
from tests.algorithms.conftest import Engines


def peer_of(X: Any, init: Any, **options: Any) -> Any:
    from sklearn import cluster

    return cluster.KMeans(len(init), init=init, n_init=1, algorithm="lloyd", **options).fit(X)


@pytest.mark.parametrize("k", [2, 3, 8])
def test_clusters_are_those_of_scikit_learn(k: int, engine: mr.Engine, datadir: Path) -> None:
    X = pd.read_parquet(datadir / "iris.parquet").to_numpy()
    init = X[:: len(X) // k][:k] + np.random.default_rng(k).normal(0, 0.01, (k, 4))  # so that nothing is equally near
    peer = peer_of(X, init)
    model = KMeans(k, init=init).fit(mr.read_parquet(datadir / "iris.parquet"), engine=engine)
    assert np.allclose(model.cluster_centers_, peer.cluster_centers_, rtol=1e-13)  # sums in another order
    assert model.inertia_ == pytest.approx(peer.inertia_, rel=1e-13)
    assert model.n_iter_ == peer.n_iter_
    assert np.array_equal(model.predict(X), peer.labels_)
    assert model.counts_.tolist() == np.bincount(peer.labels_).tolist()
    assert model.score(X) == pytest.approx(peer.score(X), rel=1e-13)
    found = engine.run(model.metrics(), mr.read_parquet(datadir / "iris.parquet")).value
    assert found["inertia"] == pytest.approx(peer.inertia_, rel=1e-13)


def test_many_points_in_many_splits(engine: mr.Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    X = rng.normal(0, 1, (20_000, 5)) + rng.integers(0, 4, (20_000, 1)) * 3
    np.save(tmp_path / "points.npy", X)
    peer = peer_of(X, X[:6], max_iter=7, tol=0)
    model = KMeans(6, max_iter=7, tol=0, init=X[:6]).fit(mr.read_npy(tmp_path / "points.npy"), engine=engine)
    assert np.allclose(model.cluster_centers_, peer.cluster_centers_, rtol=1e-11, atol=1e-13)
    assert np.array_equal(model.predict(X), peer.labels_)
    assert (model.n_iter_, model.converged_) == (7, False)


def test_same_bits_for_any_number_of_workers(engines: Engines, datadir: Path) -> None:
    dataset = mr.read_csv(datadir / "houses.csv")
    models = [KMeans(5, max_iter=5, seed=3).fit(dataset, engine=engines[workers]) for workers in (1, 2, 3)]
    with mr.Engine("inline") as inline:
        models.append(KMeans(5, max_iter=5, seed=3).fit(dataset, engine=inline))
    assert len({(model.cluster_centers_.tobytes(), model.inertia_, model.n_iter_) for model in models}) == 1


def test_first_centres_depend_on_rows_and_seed_alone(engine: mr.Engine) -> None:
    X = np.random.default_rng(1).normal(size=(500, 3))
    drawn = [
        engine.run(Survey(4, seed), mr.from_arrays(rows), split_size=size).value[4]
        for rows, seed, size in ((X, 1, None), (X[::-1], 1, 1000), (X, 2, None))
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert {tuple(row) for row in drawn[0]} <= {tuple(row) for row in X}


def test_a_centre_without_points_stays() -> None:
    X = np.array([[0.0], [1.0], [10.0]])
    model = KMeans(3, init=[[0.5], [10.0], [100.0]]).fit(X)
    assert model.cluster_centers_.tolist() == [[0.5], [10.0], [100.0]]
    assert model.counts_.tolist() == [2, 1, 0]
    assert model.converged_


def test_first_centres_from_a_file(tmp_path: Path) -> None:
    X = np.array([[0.0, 0.0], [1.0, 1.0], [9.0, 9.0]])
    np.save(tmp_path / "first.npy", X[:2])
    (tmp_path / "first.csv").write_text("0,0\n1,1\n")
    models = [KMeans(2, init=str(tmp_path / name)).fit(X) for name in ("first.npy", "first.csv")]
    assert models[0].cluster_centers_.tolist() == models[1].cluster_centers_.tolist()
    with pytest.raises(mr.UsageError, match="holds 2 centres of 2 features; 3 of 2 are needed"):
        KMeans(3, init=str(tmp_path / "first.npy")).fit(X)
    with pytest.raises(mr.UsageError, match=r"must be 'sample' or a \.npy or \.csv file"):
        KMeans(2, init=str(tmp_path / "none.npy")).fit(X)


@pytest.mark.parametrize(
    ("model", "X", "said"),
    [
        (KMeans(3), [[0.0], [1.0], [1.0]], "2 different rows, too few for 3 clusters"),
        (KMeans(0), [[0.0]], "n_clusters is 0"),
        (KMeans(1), [[0.0], [np.nan]], "row 1: column 0 holds NaN"),
        (KMeans(1), np.zeros((0, 2)), "0 sample"),
    ],
)
def test_input_that_has_no_clusters(model: KMeans, X: Any, said: str) -> None:
    with pytest.raises((mr.InputError, mr.UsageError), match=said):
        model.fit(X)


def test_from_the_command_line(run_cli: Callable[..., Any], datadir: Path, tmp_path: Path) -> None:
    points = datadir / "iris.parquet"
    X = pd.read_parquet(points).to_numpy()
    np.save(tmp_path / "first.npy", X[::60])
    done = run_cli("fit", "kmeans", points, "--set", "n_clusters=3", "--set", "init=first.npy", "-o", "model", "-q")
    assert done.rc == 0, done.err
    peer = peer_of(X, X[::60])
    assert [int(line) for line in run_cli("predict", "model", points, "-q").out.split()] == peer.labels_.tolist()
    metrics = dict(line.split("\t") for line in run_cli("evaluate", "model", points, "-q").out.splitlines())
    assert float(metrics["inertia"]) == pytest.approx(peer.inertia_, rel=1e-13)

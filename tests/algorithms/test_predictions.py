"""Do predictions depend on how the rows were cut? No: each row is answered by itself."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer

import algorithms
import mapreduce as mr
from algorithms.estimator import Predictions
from algorithms.models import load_model
from algorithms.products import product

X, y = load_breast_cancer(return_X_y=True)
MODELS: dict[str, dict[str, Any]] = {
    "linear_regression": {},
    "ridge": {"alpha": 2.0},
    "lasso": {"alpha": 0.1},
    "logistic_regression": {"max_iter": 200},
    "gaussian_naive_bayes": {},
    "multinomial_naive_bayes": {},
    "complement_naive_bayes": {},
    "bernoulli_naive_bayes": {"binarize": 1.0},
    "gaussian_discriminant_analysis": {},
    "linear_discriminant_analysis": {},
    "quadratic_discriminant_analysis": {},
    "kmeans": {"n_clusters": 3, "max_iter": 50},
    "pca": {},
    "whitening": {},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The rows in three files, of 100, 1 and 468."""
    folder = tmp_path_factory.mktemp("rows")
    names = [f"x{number}" for number in range(X.shape[1])]
    paths = []
    for number, rows in enumerate((slice(0, 100), slice(100, 101), slice(101, None))):
        paths.append(str(folder / f"{number}.csv"))
        lines = [
            ",".join(map(repr, [*map(float, row), int(label)])) for row, label in zip(X[rows], y[rows], strict=True)
        ]
        Path(paths[-1]).write_text("\n".join([",".join([*names, "y"]), *lines]) + "\n")
    return paths


def answers(model: Any, rows: Any) -> Any:
    return np.asarray(model.predict(rows) if hasattr(model, "predict") else model.transform(rows))


@pytest.mark.parametrize("name", MODELS)
def test_files_in_parallel_as_arrays_in_one_piece(
    name: str, files: list[str], engines: dict[int, mr.Engine], tmp_path: Path
) -> None:
    module, _, class_name = algorithms.ESTIMATORS[name].partition(":")
    model = getattr(import_module(module), class_name)(**MODELS[name]).fit(
        mr.read_csv(*files, target="y"), engine=engines[3]
    )
    model.save(tmp_path / "model")
    model = load_model(tmp_path / "model")
    rows = mr.read_csv(*files, features=model.feature_names_)
    found = engines[3].run(Predictions(model), rows, output=tmp_path / "out", split_size="7K")
    lines = "".join(path.read_text() for path in found.part_files()).splitlines()
    whole = answers(model, X)
    assert lines == ["\t".join(map(repr, row)) for row in whole.reshape(len(X), -1).tolist()]
    assert np.array_equal(np.concatenate([answers(model, row[None]) for row in X[:50]]), whole[:50])


@pytest.mark.parametrize("shape", [(9, 5, None), (40_000, 3, 2), (70, 30, 600), (0, 4, 2)])
def test_a_product_has_the_same_bits_of_any_rows_and_of_sparse_ones(shape: tuple[int, int, int | None]) -> None:
    rows, columns, wide = shape
    random = np.random.default_rng(3)
    A = random.normal(size=(rows, columns)) * (random.random((rows, columns)) < 0.5)
    W = random.normal(size=columns if wide is None else (columns, wide))
    whole = product(A, W)
    assert np.allclose(whole, A @ W, rtol=0, atol=1e-12)  # sums of 30 terms near 1, added in another order
    cuts = [product(A[a:b], W) for a, b in ((0, 1), (1, 4), (4, rows))]
    assert np.array_equal(np.concatenate(cuts), whole)
    assert np.array_equal(product(csr_array(A), W), whole)

"""Is a model made of exact sums the same model, to its last bit, on any processor, and whatever sums it is made of?

That workers, splits, order, files and formats change nothing: invariance.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr
from algorithms.anova import Anova
from algorithms.covariance import Correlation, Covariance
from algorithms.discriminant import GaussianDiscriminantAnalysis, LinearDiscriminantAnalysis
from algorithms.discriminant_quadratic import QuadraticDiscriminantAnalysis
from algorithms.models import digest_of_model, load_model
from algorithms.naive_bayes import GaussianNaiveBayes
from algorithms.naive_bayes_categorical import CategoricalNaiveBayes
from algorithms.naive_bayes_counts import BernoulliNaiveBayes, ComplementNaiveBayes, MultinomialNaiveBayes
from algorithms.pca import PCA, Whitening
from algorithms.summary import SummaryStatistics
from algorithms.sums_estimator import SumsEstimator
from tests.conftest import ROOT

IRIS = ROOT / "data" / "iris.csv"
MODELS: list[tuple[SumsEstimator, dict[str, Any]]] = [
    (SummaryStatistics([0.1, 0.5]), {}),
    (Covariance(), {}),
    (Correlation(), {}),
    (PCA(), {}),
    (Whitening(), {}),
    (GaussianNaiveBayes(), {"target": "species"}),
    (MultinomialNaiveBayes(), {"target": "species"}),
    (ComplementNaiveBayes(), {"target": "species"}),
    (BernoulliNaiveBayes(binarize=2.0), {"target": "species"}),
    (CategoricalNaiveBayes(), {"target": "species"}),
    (GaussianDiscriminantAnalysis(), {"target": "species"}),
    (LinearDiscriminantAnalysis(), {"target": "species"}),
    (QuadraticDiscriminantAnalysis(), {"target": "species"}),
    (Anova(), {"target": "petal_width", "features": ["species"]}),
]
each = pytest.mark.parametrize(("model", "columns"), MODELS, ids=[model.name for model, _ in MODELS])


def digests(path: str) -> dict[str, str]:
    """The digest of each model of a file."""
    with mr.Engine("inline") as engine:
        return {
            model.name: digest_of_model(model.fit(mr.read_csv(path, **columns), engine=engine))
            for model, columns in MODELS
        }


@pytest.fixture(scope="module")
def usual() -> dict[str, str]:
    return digests(str(IRIS))


@pytest.mark.parametrize(
    ("machine", "hidden"),
    [
        ({"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"}, ""),
        ({"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "2"}, "numba"),
        ({"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F"}, ""),
    ],
    ids=["haswell", "prescott-without-numba", "no-vectors"],
)
def test_any_processor_and_blas(machine: dict[str, str], hidden: str, usual: dict[str, str]) -> None:
    """In a process that takes itself to be on another processor."""
    hide = f"import sys; sys.modules[{hidden!r}] = None; " if hidden else ""
    program = f"{hide}import json, tests.algorithms.test_same_model as t; print(json.dumps(t.digests({str(IRIS)!r})))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        env={**os.environ, **machine},
        capture_output=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == usual


@each
def test_sums_that_were_kept_give_the_same_model(
    model: SumsEstimator, columns: dict[str, Any], usual: dict[str, str], tmp_path: Path
) -> None:
    """Of half of the rows, refitted with the other half; and of more rows, some of which are forgotten."""
    if isinstance(model, SummaryStatistics):
        pytest.skip("quantiles do not follow from sums, nor do ends after a subtraction")
    header, *rows = IRIS.read_text().splitlines()
    parts = {"a.csv": rows[::2], "b.csv": rows[1::2], "c.csv": rows[:20]}
    for name, part in parts.items():
        (tmp_path / name).write_text("\n".join([header, *part]) + "\n")
    with mr.Engine("inline") as engine:
        model.fit(mr.read_csv(tmp_path / "a.csv", **columns), engine=engine, keep_sums=True)
        model.refit(mr.read_csv(tmp_path / "b.csv", tmp_path / "c.csv", **columns), engine=engine)
        assert digest_of_model(model) != usual[model.name]
        model.forget(str(tmp_path / "c.csv"))
    assert digest_of_model(model) == usual[model.name]


@each
def test_merged_models_and_rows_that_come_later(
    model: SumsEstimator, columns: dict[str, Any], usual: dict[str, str], tmp_path: Path
) -> None:
    if isinstance(model, SummaryStatistics):
        with pytest.raises(mr.UsageError, match="quantiles do not follow from sums"):
            SummaryStatistics([0.5]).fit([[1.0]]).merge(SummaryStatistics([0.5]).fit([[2.0]]))
        return
    header, *rows = IRIS.read_text().splitlines()
    models = []
    with mr.Engine("inline") as engine:
        for part in (rows[::2], rows[1::2]):
            (tmp_path / "part.csv").write_text("\n".join([header, *part]) + "\n")
            fresh = type(model)(**model.get_params())
            models.append(fresh.fit(mr.read_csv(tmp_path / "part.csv", **columns), engine=engine))
    assert digest_of_model(models[0].merge(models[1])) == usual[model.name]
    if isinstance(model, Anova):
        return
    X = np.abs(np.random.default_rng(2).normal(size=(60, 3)))
    y = np.repeat(["a", "b", "c"], 20)
    later = type(model)(**model.get_params()).fit(X[:50], y[:50])
    later.partial_fit(X[50:], y[50:])
    assert digest_of_model(later) == digest_of_model(model.fit(X, y))
    with pytest.raises(mr.InputError, match="X has 2 features, but"):
        later.partial_fit(X[:, :2], y)
    later.save(tmp_path / "model")
    with pytest.raises(mr.UsageError, match="holds no sums to add to"):
        load_model(tmp_path / "model").partial_fit(X, y)  # type: ignore[attr-defined]


@each
def test_fewer_columns_from_sums_that_were_kept(model: SumsEstimator, columns: dict[str, Any]) -> None:
    if isinstance(model, Anova):
        pytest.skip("it has one feature")
    fewer = ["petal_width", "sepal_width"]
    options = {} if isinstance(model, SummaryStatistics) else model.get_params()
    one, other = type(model)(**options), type(model)(**options)
    with mr.Engine("inline") as engine:
        one.fit(mr.read_csv(IRIS, **columns), engine=engine, keep_sums=True)
        if columns:
            with pytest.raises(mr.UsageError, match="the classes of one target"):
                one.fit_kept(fewer, "petal_length")
        one.fit_kept(fewer, columns.get("target"))
        other.fit(mr.read_csv(IRIS, **columns, features=fewer), engine=engine)
    assert digest_of_model(one) == digest_of_model(other)

"""Do all estimators keep scikit-learn's conventions, and lose nothing when they are saved?"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import algorithms
import mapreduce as mr
from algorithms import estimator
from algorithms.anova import Anova
from algorithms.covariance import Correlation, Covariance
from algorithms.discriminant import GaussianDiscriminantAnalysis, LinearDiscriminantAnalysis
from algorithms.discriminant_quadratic import QuadraticDiscriminantAnalysis
from algorithms.elastic_net import ElasticNet, Lasso, Ridge
from algorithms.elastic_net_cv import ElasticNetCV, LassoCV, RidgeCV
from algorithms.estimator import Estimator, Predictions
from algorithms.kmeans import KMeans
from algorithms.linear_regression import LinearRegression
from algorithms.logistic_regression import LogisticRegression
from algorithms.models import load_model
from algorithms.naive_bayes import GaussianNaiveBayes
from algorithms.naive_bayes_counts import BernoulliNaiveBayes, ComplementNaiveBayes, MultinomialNaiveBayes
from algorithms.pca import PCA, Whitening
from algorithms.stepwise_regression import StepwiseRegression
from algorithms.summary import SummaryStatistics

ROWS = 60
X = np.abs(np.random.default_rng(8).normal(size=(ROWS, 3)))  # counts, which some learn from, are not below 0
Y = (X @ [1.0, -2.0, 0.5] + np.random.default_rng(9).normal(size=ROWS) > 0).astype(float)
ALL: list[Estimator] = [
    LinearRegression(alpha=0.5, fit_intercept=False),
    Ridge(2.0, objective="glmnet"),
    Lasso(0.01, fit_intercept=False),
    ElasticNet(0.1, 0.25),
    RidgeCV(n_alphas=5, folds=3),
    LassoCV(n_alphas=5, folds=3, choose="1se"),
    ElasticNetCV(alphas=[0.1, 0.01], folds=3),
    StepwiseRegression("forward", criterion="bic"),
    LogisticRegression(C=np.inf),
    KMeans(4, max_iter=3, init=X[:4]),
    GaussianNaiveBayes(var_smoothing=1e-8),
    MultinomialNaiveBayes(0.5),
    ComplementNaiveBayes(norm=True),
    BernoulliNaiveBayes(binarize=0.5),
    GaussianDiscriminantAnalysis([0.25, 0.75]),
    LinearDiscriminantAnalysis(0.125),
    QuadraticDiscriminantAnalysis(reg_param=0.5),
    PCA(2, whiten=True),
    Whitening("cholesky"),
]
DESCRIPTIONS: list[Estimator] = [Covariance(ddof=0), Correlation(), Anova(), SummaryStatistics([0.5])]
OTHERS = {"categorical_naive_bayes"}
"""Those that take no numbers: see the tests of their own."""
each = pytest.mark.parametrize("model", ALL, ids=[model.name for model in ALL])
each_of_all = pytest.mark.parametrize(
    "model", [*ALL, *DESCRIPTIONS], ids=[model.name for model in [*ALL, *DESCRIPTIONS]]
)


def _applied(model: Estimator) -> Callable[[Any], Any]:
    """`predict`, or `transform` of what predicts nothing."""
    found: Callable[[Any], Any] = getattr(model, "transform" if model.kind == "transformer" else "predict")
    return found


def test_the_registry_names_them_all() -> None:
    assert {model.name for model in [*ALL, *DESCRIPTIONS]} | OTHERS == set(algorithms.ESTIMATORS)


@each_of_all
def test_a_saved_model_is_the_model_bit_for_bit(model: Estimator, tmp_path: Path) -> None:
    names = ["a", "b", "ü"]
    frame = pd.DataFrame(X, columns=names)
    if isinstance(model, Anova):
        names, frame = ["group"], pd.DataFrame({"group": np.where(Y, "x", "y")})
    model.fit(frame, pd.Series(Y + X[:, 0], name="y") if model.kind != "classifier" else pd.Series(Y, name="y"))
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert type(loaded) is type(model)
    assert repr(loaded.get_params()) == repr(
        {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in model.get_params().items()}
    )
    assert (loaded.feature_names_, loaded.target_name_) == (names, "y")
    for name in model.learned:
        before, after = getattr(model, name), getattr(loaded, name)
        assert type(before) is type(after), name
        assert np.asarray(before).tobytes() == np.asarray(after).tobytes(), name
        assert np.asarray(before).dtype == np.asarray(after).dtype
    if model.kind == "transformer":
        assert loaded.transform(X).tobytes() == model.transform(X).tobytes()  # type: ignore[attr-defined]
    elif model in ALL:
        assert loaded.predict(X).tobytes() == model.predict(X).tobytes()
    page = json.loads((tmp_path / "model" / "model.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert page["schema"] == 2


def test_what_is_not_finite_is_saved_as_text(tmp_path: Path) -> None:
    model = LinearRegression().fit(X[:2, :1], np.array([1.0, 1.0]))
    assert np.isnan(model.r2_)
    model.save(tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["learned"]["r2_"] == "nan"
    assert np.isnan(load_model(tmp_path).r2_)  # type: ignore[attr-defined]


def test_a_fit_that_does_not_converge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(estimator.logger, "warning", lambda text, *values: told.append(text % values))
    KMeans(1).fit(X)
    assert told == []
    KMeans(4, max_iter=1).fit(X)
    assert told == ["kmeans has not converged after 1 iterations; raise max_iter"]


@each_of_all
def test_scikit_learn_clones_it(model: Estimator) -> None:
    copy = clone(model)
    assert copy is not model
    assert repr(copy.get_params()) == repr(model.get_params())
    assert not hasattr(copy, "feature_names_")


@each
def test_parameters_have_names(model: Estimator) -> None:
    name = next(iter(model.get_params()))
    changed = type(model)().set_params(**{name: 7})
    assert changed.get_params()[name] == 7
    with pytest.raises(mr.UsageError, match=f"did you mean '{name}'"):
        changed.set_params(**{name + "s": 1})


@each_of_all
def test_what_is_not_fitted_says_so(model: Estimator, tmp_path: Path) -> None:
    fresh = type(model)()
    applied: list[Callable[[Any], Any]] = [
        getattr(fresh, name) for name in ("predict", "transform") if hasattr(fresh, name)
    ]
    assert bool(applied) == (model in ALL)
    calls: list[Callable[[], Any]] = [*(partial(each, X) for each in applied), lambda: fresh.save(tmp_path)]
    for call in calls:
        with pytest.raises(mr.UsageError, match="not fitted; call fit first") as caught:
            call()
        assert isinstance(caught.value, NotFittedError)


@each
def test_rows_of_another_width_are_refused(model: Estimator) -> None:
    model.fit(X, Y)
    said = r"X has 2 features, but \w+ is expecting 3 features as input: x0, x1, x2"
    with pytest.raises(mr.InputError, match=said):
        _applied(model)(X[:, :2])


@each
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (X[:, 0], "Expected 2D array, got 1D array instead"),
        ([["a", "b"], ["c", "d"]], "dtype='numeric' is not compatible with arrays of bytes/strings"),
        ([[1.0, {}], [1.0, 2.0]], "must be a string or a real number, not 'dict'"),
        (X * 1j, "Complex data not supported"),
        (X[:0], "minimum of [12] is required"),
        (np.where(np.arange(180).reshape(60, 3) == 100, np.inf, X), "row 33: column 1 holds inf"),
    ],
)
def test_rows_that_are_no_numbers(model: Estimator, rows: Any, said: str) -> None:
    with pytest.raises(mr.InputError, match=said):
        type(model)().fit(rows, Y[: len(rows)])


@each
def test_a_missing_target(model: Estimator, engine: mr.Engine, datadir: Path) -> None:
    if not model.needs_target:
        assert clone(model).fit(X).feature_names_ == ["x0", "x1", "x2"]
        return
    with pytest.raises(mr.UsageError, match="y is missing"):
        type(model)().fit(X)
    with pytest.raises(mr.UsageError, match="no target column is named"):
        type(model)().fit(mr.read_csv(datadir / "longley.csv"), engine=engine)


@each
def test_predictions_are_lines_in_order(model: Estimator, engine: mr.Engine, tmp_path: Path) -> None:
    model.fit(X, Y)
    engine.run(Predictions(model), mr.from_arrays(X), output=tmp_path / "out", split_size=300)
    lines = "".join(path.read_text() for path in sorted((tmp_path / "out").glob("part-*"))).splitlines()
    rows = np.reshape(_applied(model)(X), (len(X), -1)).tolist()
    assert lines == ["\t".join(map(repr, row)) for row in rows]


def test_what_is_no_model(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    with pytest.raises(mr.UsageError, match=r"no model\.json; `mapreduce fit"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(mr.UsageError, match="no model of ours"):
        load_model(tmp_path)
    LinearRegression().fit(X, Y).save(tmp_path)
    next(tmp_path.glob("arrays-*.npz")).write_bytes(b"PK")
    with pytest.raises(mr.UsageError, match="is damaged"):
        load_model(tmp_path)
    done = run_cli("predict", tmp_path, "rows.csv")
    assert done.rc == 2
    assert "Traceback" not in done.err


def test_features_that_the_file_lacks(run_cli: Callable[..., Any], datadir: Path) -> None:
    done = run_cli("fit", "linear_regression", datadir / "longley.csv", "--target", "y", "--features", "x1,x9")
    assert done.rc == 2
    assert "no column 'x9' to serve as feature; did you mean" in done.err
    run_cli("fit", "linear_regression", datadir / "longley.csv", "--target", "y", "--features", "x1,x2", "-o", "model")
    done = run_cli("predict", "model", datadir / "iris.csv")
    assert done.rc == 2
    assert "no column 'x1' to serve as feature" in done.err
    done = run_cli("fit", "linear_regression", datadir / "longley.csv")
    assert done.rc == 2
    assert "--target COLUMN" in done.err


FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=X @ [1.0, 2.0, 3.0])[["a", "y", "b", "c"]]
FILES: dict[str, tuple[Callable[[Path], Any], str | int | None, list[str]]] = {
    "rows.csv": (lambda path: FRAME.to_csv(path, index=False), "y", ["a", "b", "c"]),
    "rows.jsonl": (lambda path: FRAME.to_json(path, orient="records", lines=True), "y", ["a", "b", "c"]),
    "rows.parquet": (FRAME.to_parquet, "y", ["a", "b", "c"]),
    "rows.arrow": (FRAME.to_feather, "y", ["a", "b", "c"]),
    "rows.npy": (lambda path: np.save(path, FRAME.to_numpy()), 1, ["0", "2", "3"]),
    "rows.npz": (lambda path: np.savez(path, X=X, y=FRAME.y), None, ["x0", "x1", "x2"]),
}


@pytest.mark.parametrize("name", FILES)
def test_features_have_the_names_of_the_file(name: str, engine: mr.Engine, tmp_path: Path) -> None:
    write, target, names = FILES[name]
    write(tmp_path / name)
    options: dict[str, Any] = {} if target is None else {"target": target}
    dataset = mr.read(tmp_path / name, **options)
    model = LinearRegression().fit(dataset, engine=engine)
    assert model.feature_names_ == names
    assert model.target_name_ == (None if target is None else str(target))
    assert np.allclose(model.coef_, [1.0, 2.0, 3.0], rtol=1e-8)  # pandas writes 10 digits of JSON


def test_numbered_features_travel_with_the_model(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    FILES["rows.npy"][0](tmp_path / "rows.npy")
    assert run_cli("fit", "linear_regression", "rows.npy", "--target", "1", "-o", "model").rc == 0
    predicted = [float(line) for line in run_cli("predict", "model", "rows.npy", "-q").out.split()]
    assert np.allclose(predicted, FRAME.y)
    assert "r2\t1.0\n" in run_cli("evaluate", "model", "rows.npy", "-q").out

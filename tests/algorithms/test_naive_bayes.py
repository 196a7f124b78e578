"""Is naive Bayes that of scikit-learn, with the same bits for any cut?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from sklearn import naive_bayes as peers

import mapreduce as mr
from algorithms import classifier
from algorithms.classifier import Classifier
from algorithms.models import digest_of_model
from algorithms.naive_bayes import GaussianNaiveBayes, SumsByClass
from algorithms.naive_bayes_categorical import CategoricalNaiveBayes
from algorithms.naive_bayes_counts import BernoulliNaiveBayes, ComplementNaiveBayes, MultinomialNaiveBayes

DIGITS = datasets.load_digits(return_X_y=True)
COUNTING: list[tuple[Classifier, Any]] = [
    (MultinomialNaiveBayes(), peers.MultinomialNB()),
    (MultinomialNaiveBayes(0.25, fit_prior=False), peers.MultinomialNB(alpha=0.25, fit_prior=False)),
    (MultinomialNaiveBayes(class_prior=[0.1] * 10), peers.MultinomialNB(class_prior=[0.1] * 10)),
    (ComplementNaiveBayes(0.5), peers.ComplementNB(alpha=0.5)),
    (ComplementNaiveBayes(norm=True), peers.ComplementNB(norm=True)),
    (BernoulliNaiveBayes(2.0, binarize=5.0), peers.BernoulliNB(alpha=2.0, binarize=5.0)),
]
names = [f"{model.name}-{number}" for number, (model, _) in enumerate(COUNTING)]


@pytest.mark.parametrize(("model", "peer"), COUNTING, ids=names)
def test_counts_are_equal_and_logarithms_to_the_last_bits(model: Any, peer: Any) -> None:
    X, y = DIGITS
    model.fit(X, y)
    peer.fit(X, y)
    assert np.array_equal(model.classes_, peer.classes_)
    assert np.array_equal(model.class_count_, peer.class_count_)
    assert np.array_equal(model.feature_count_, peer.feature_count_)
    # The peer subtracts two rounded logarithms, of up to log 1e5 = 12: it is off by as much as 2 ulp of 12.
    assert np.allclose(model.feature_log_prob_, peer.feature_log_prob_, rtol=1e-15, atol=4e-15)
    assert np.allclose(model.class_log_prior_, peer.class_log_prior_, rtol=1e-15, atol=4e-15)
    assert np.array_equal(model.predict(X), peer.predict(X))
    # The errors of 64 logarithms, each weighted by up to 16.
    assert np.allclose(model.predict_log_proba(X), peer.predict_log_proba(X), rtol=1e-12, atol=64 * 16 * 4e-15)
    assert model.score(X, y) == peer.score(X, y)


@pytest.mark.parametrize("load", [datasets.load_iris, datasets.load_wine, datasets.load_digits])
@pytest.mark.parametrize("options", [{}, {"var_smoothing": 1e-3}])
def test_gaussian_means_and_variances(load: Callable[..., Any], options: dict[str, Any]) -> None:
    X, y = load(return_X_y=True)
    model, peer = GaussianNaiveBayes(**options).fit(X, y), peers.GaussianNB(**options).fit(X, y)
    assert np.array_equal(model.class_prior_, peer.class_prior_)
    assert np.allclose(model.theta_, peer.theta_, rtol=1e-14, atol=0)  # the peer rounds in each addition
    assert np.allclose(model.var_, peer.var_, rtol=1e-13, atol=0)
    assert np.array_equal(model.predict(X), peer.predict(X))
    assert np.allclose(model.joint_log_likelihood(X), peer.predict_joint_log_proba(X), rtol=1e-11)


def test_sparse_and_dense_sums_are_the_same() -> None:
    from scipy.sparse import csr_matrix

    X, y = DIGITS
    for model in (MultinomialNaiveBayes(), BernoulliNaiveBayes(binarize=3.0), ComplementNaiveBayes()):
        dense = digest_of_model(model.fit(X, y))
        assert digest_of_model(model.fit(csr_matrix(X), y)) == dense
        tenths = digest_of_model(model.fit(X / 8, y))  # no whole numbers
        assert digest_of_model(model.fit(csr_matrix(X / 8), y)) == tenths


def test_given_priors() -> None:
    X, y = datasets.load_iris(return_X_y=True)
    priors = [0.1, 0.2, 0.7]
    model, peer = GaussianNaiveBayes(priors).fit(X, y), peers.GaussianNB(priors=priors).fit(X, y)
    assert np.allclose(model.predict_proba(X), peer.predict_proba(X), rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("options", [{}, {"alpha": 0.25, "fit_prior": False}, {"min_categories": 7}])
def test_categories(options: dict[str, Any]) -> None:
    generator = np.random.default_rng(5)
    X, y = generator.integers(0, 5, (300, 4)), generator.integers(0, 3, 300)
    X[X == 3] = 4  # a category that never occurs
    model, peer = CategoricalNaiveBayes(**options).fit(X, y), peers.CategoricalNB(**options).fit(X, y)
    assert model.n_categories_.tolist() == peer.n_categories_.tolist()
    for j in range(4):
        assert np.allclose(model.feature_log_prob_of(j), peer.feature_log_prob_[j], rtol=1e-14, atol=4e-15)
    assert np.array_equal(model.predict(X), peer.predict(X))
    assert np.allclose(model.predict_proba(X), peer.predict_proba(X), rtol=1e-13)


def test_categories_of_text(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    """The same as with numbers for the words, from the file through the command line."""
    rows = [("sunny", "hot", "no"), ("rain", "mild", "yes"), ("sunny", "mild", "yes"), ("rain", "cool", "no")] * 3
    rows += [("grey", "hot", "yes"), ("grey", "cool", "yes")]
    lines = [",".join(row) for row in rows]
    (tmp_path / "days.csv").write_text("\n".join(["sky,air,play", *lines]) + "\n")
    words = [sorted({row[j] for row in rows}) for j in range(2)]
    X = [[words[j].index(row[j]) for j in range(2)] for row in rows]
    peer = peers.CategoricalNB().fit(X, [row[2] for row in rows])
    done = run_cli("fit", "categorical_naive_bayes", "days.csv", "--target", "play", "-o", "model", "-q")
    assert done.rc == 0, done.err
    assert run_cli("predict", "model", "days.csv", "-q").out.split() == peer.predict(X).tolist()
    assert f"n\t{len(rows)}\n" in run_cli("evaluate", "model", "days.csv", "-q").out
    (tmp_path / "new.csv").write_text("sky,air\nsunny,hot\nsnow,cool\n")
    unknown = run_cli("predict", "model", "new.csv", "-q")
    assert unknown.rc == 2
    assert "line 3: column 'sky' holds 'snow', none of the categories that the model knows ('grey', 'r" in unknown.err


def test_a_far_offset_costs_no_digit() -> None:
    """Means near 1e9: where squares are summed in floats, variances would have no digit."""
    X = np.array([[1.0], [2.0], [4.0], [1.0], [3.0], [8.0]]) + 1e9
    model = GaussianNaiveBayes(var_smoothing=0.0).fit(X, [0, 0, 0, 1, 1, 1])
    assert model.var_.ravel().tolist() == [14 / 9, 26 / 3]


def test_logarithms_are_correctly_rounded() -> None:
    """Against logarithms of 64 bits, rounded once more."""
    X, y = DIGITS
    model = MultinomialNaiveBayes().fit(X, y)
    whole = model.feature_count_.sum(axis=1, keepdims=True) + 64
    expected = np.log(np.longdouble(model.feature_count_ + 1) / whole).astype(np.float64)
    assert np.array_equal(model.feature_log_prob_, expected)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_words_of_one_class_only(alpha: float) -> None:
    """Without smoothing a word that a class has never seen rules it out."""
    X, y = [[3, 0, 1], [2, 0, 1], [0, 4, 1]], [0, 0, 1]
    model = MultinomialNaiveBayes(alpha).fit(X, y)
    found = model.predict_proba([[1, 0, 1], [0, 1, 0], [0, 0, 1]])
    assert model.predict([[1, 0, 1], [0, 1, 0]]).tolist() == [0, 1]
    assert (found[:2].max(axis=1) == 1).all() == (alpha == 0)
    assert np.allclose(found.sum(axis=1), 1)


def test_sparse_rows_are_rows(engine: mr.Engine, datadir: Path) -> None:
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(datadir / "digits.libsvm"))
    for model, peer in COUNTING[:1] + COUNTING[3:]:
        fitted = type(model)(**model.get_params()).fit(mr.read_libsvm(datadir / "digits.libsvm"), engine=engine)
        assert np.array_equal(fitted.predict(X), peer.fit(X, y).predict(X))


@pytest.mark.parametrize(
    ("model", "rows", "said"),
    [
        (MultinomialNaiveBayes(), "a,b,y\n1,2,0\n1,-2.5,1\n", r"line 3: column 'b' holds -2.5. Negative values"),
        (GaussianNaiveBayes(), "a,b,y\n1,2,0\n1,3,0\n2,5,1\n", r"class 1.* has one row"),
        (GaussianNaiveBayes(var_smoothing=0), "a,y\n1,0\n1,0\n2,1\n3,1\n", r"'a' is constant in class 0"),
        (ComplementNaiveBayes(0), "a,b,y\n1,2,0\n1,0,1\n", r"column 'b' is 0 in all classes but one"),
        (BernoulliNaiveBayes(binarize=None), "a,b,y\n1,0,0\n1,7,1\n", "holds 7, neither 0 nor 1; set binarize"),
        (MultinomialNaiveBayes(), "a,y\n", "no rows"),
    ],
)
def test_rows_that_cannot_be_learned_from(model: Classifier, rows: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(rows)
    types = {"a": "float", "y": "int"} if rows == "a,y\n" else None
    with mr.Engine("inline") as engine, pytest.raises(mr.InputError, match=said):
        model.fit(mr.read_csv(tmp_path / "rows.csv", target="y", types=types), engine=engine)


def test_a_target_that_names_no_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "MAX_CLASSES", 5)
    X = np.arange(20.0)[:, None]
    with mr.Engine("inline") as engine, pytest.raises(mr.InputError, match="over 5 different values; a classifier nee"):
        engine.run(SumsByClass(), mr.from_arrays(X, np.arange(20)), split_size="50B")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (MultinomialNaiveBayes(-1.0), "alpha is -1.0"),
        (GaussianNaiveBayes(var_smoothing=-1.0), "var_smoothing is -1.0"),
        (GaussianNaiveBayes([0.5, 0.25]), "priors is .*their sum is 1"),
        (GaussianNaiveBayes([0.5, 0.25, 0.25]), "priors has 3 entries, the target has 2 classes"),
    ],
)
def test_parameters_that_are_refused(model: Classifier, said: str) -> None:
    with pytest.raises(mr.UsageError, match=said):
        model.fit([[1.0], [2.0], [3.0], [5.0]], [0, 0, 1, 1])


def test_from_the_command_line(run_cli: Callable[..., Any], datadir: Path) -> None:
    X, y = DIGITS
    done = run_cli(
        "fit", "multinomial_naive_bayes", datadir / "digits.libsvm", "--set", "alpha=0.5", "-o", "model", "-q"
    )
    assert done.rc == 0, done.err
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(datadir / "digits.libsvm"))
    peer = peers.MultinomialNB(alpha=0.5).fit(X, y)
    printed = run_cli("predict", "model", datadir / "digits.libsvm", "-q").out
    assert [int(line) for line in printed.split()] == peer.predict(X).tolist()
    judged = dict(
        line.split("\t") for line in run_cli("evaluate", "model", datadir / "digits.libsvm", "-q").out.splitlines()
    )
    assert judged["correct"] == f"{int((peer.predict(X) == y).sum())}/{len(y)}"

"""Naive Bayes of counts: multinomial, complement and Bernoulli. How often does a word occur in texts of a class?

    map     block   -> n, sum x of each class, exact; Bernoulli: of x > binarize
    reduce  a, b    -> a + b
    finish  with N_kj the sum of column j in class k, and a = alpha, for d columns

    multinomial  P(j | k) = (N_kj + a) / (N_k + a d)                   l_k = log P(k) + sum_j x_j log P(j | k)
    complement   w_kj = -log (N_~kj + a) / (N_~k + a d)                l_k = sum_j x_j w_kj
                 ~k all classes but k; with norm w_kj / sum_j |w_kj|
    Bernoulli    P(j | k) = (N_kj + a) / (n_k + 2 a)                   l_k = log P(k) + sum_j log P(x_j | k)

Counts are exact, and each logarithm is that of an exact ratio, correctly rounded. (A difference of two logarithms, as
elsewhere, has the error of the larger one.)

Sources: C. Manning, P. Raghavan and H. Schuetze, Introduction to Information Retrieval, 2008, chapter 13; J. Rennie et
al., Tackling the Poor Assumptions of Naive Bayes Text Classifiers, ICML 2003.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms.classifier import ByClass, Classifier, decimal, exact_rows, floats_of, logs_of, priors_of
from algorithms.naive_bayes import by_class
from algorithms.products import product
from algorithms.rows import Array, labels_of, matrix_of
from algorithms.sums import ClassSums, ExactSum, Numbers
from algorithms.sums.logarithms import logarithm

EXACT = 2**53
"""Whole numbers whose sum is below it are added by floats without rounding."""


class CountsByClass(ByClass):
    """Number of rows and sum of each column, of each class. Refuses what is below 0."""

    def map(self, block: Any) -> ClassSums:
        X = block.X
        values = X.data if hasattr(X, "tocsr") else X
        if values.size and values.min() < 0:
            self._refuse(block)
        if hasattr(X, "tocsr") and np.array_equal(values, np.rint(values)) and values.sum() < EXACT:
            return _sums_of_sparse(X, labels_of(block))
        return ClassSums.of(exact_rows(block), labels_of(block))

    def _refuse(self, block: Any) -> None:
        X = block.X.toarray() if hasattr(block.X, "toarray") else block.X
        row, column = np.argwhere(X < 0)[0].tolist()
        name = block.feature_names[column] if block.feature_names is not None else column
        raise mr.InputError(
            f"{block.place(row)}: column {name!r} holds {X[row, column]:g}. Negative values in data are no counts. "
            "For such numbers take gaussian_naive_bayes"
        )


class OccurrencesByClass(CountsByClass):
    """Number of rows, and of those in which a column is above the threshold, of each class."""

    def __init__(self, threshold: float | None) -> None:
        self.threshold = threshold

    def map(self, block: Any) -> ClassSums:
        if hasattr(block.X, "tocsr") and self.threshold is not None and self.threshold >= 0:
            above = block.X.copy()
            above.data = (above.data > self.threshold).astype(np.float64)
            return _sums_of_sparse(above, labels_of(block))
        values = matrix_of(block, block.feature_names)
        if self.threshold is None and not np.isin(values, (0, 1)).all():
            row, column = np.argwhere(~np.isin(values, (0, 1)))[0].tolist()
            name = block.feature_names[column] if block.feature_names is not None else column
            raise mr.InputError(
                f"{block.place(row)}: column {name!r} holds {values[row, column]:g}, neither 0 nor 1; set binarize to "
                "the threshold above which a number counts as 1"
            )
        return ClassSums.of((values > (self.threshold or 0)).astype(np.int64), labels_of(block))


class _CountBayes(Classifier):
    """What the three share: priors, smoothing, and sums of each class."""

    takes_counts: ClassVar[bool] = True
    learned: ClassVar[tuple[str, ...]] = (
        "classes_", "class_count_", "feature_count_", "class_log_prior_", "feature_log_prob_",
    )  # fmt: skip

    feature_count_: Array
    class_log_prior_: Array
    feature_log_prob_: Array

    alpha: float
    fit_prior: bool
    class_prior: list[float] | None

    _title: ClassVar[str] = "log P"
    """What feature_log_prob_ is, above its table."""

    def check_parameters(self) -> None:
        if not 0 <= self.alpha < float("inf"):
            raise mr.UsageError(f"alpha is {self.alpha}; it must be 0 or more")

    def fold(self) -> mr.Fold:
        return CountsByClass()

    def width(self, state: ClassSums) -> int:
        return len(next(iter(state.states.values())).numbers)

    def learn(self, state: ClassSums) -> None:
        labels = self._take_classes({label: sums.rows for label, sums in state.states.items()})
        counts = [state.states[label].sums() for label in labels]
        self.feature_count_ = floats_of(counts)
        even = None if self.fit_prior else [1] * len(labels)
        self.class_log_prior_ = logs_of(priors_of(even or self.class_count_.tolist(), self.class_prior, "class_prior"))
        self._weigh(counts, decimal(self.alpha))

    def _weigh(self, counts: list[list[Fraction]], alpha: Fraction) -> None:
        """Set `feature_log_prob_`."""
        raise NotImplementedError

    def figures(self) -> dict[str, Any]:
        labels = self.classes_.tolist()
        return {
            **super().figures(),
            "class_log_prior": dict(zip(labels, self.class_log_prior_.tolist(), strict=True)),
            "feature_log_prob": by_class(labels, self.feature_names_, self.feature_log_prob_),
        }

    def table(self) -> str:
        return self._table(np.exp(self.class_log_prior_), {self._title: self.feature_log_prob_})


class MultinomialNaiveBayes(_CountBayes):
    """Naive Bayes of counts, such as words of a text.

    alpha: added to each count (Laplace 1, Lidstone below), so that no word makes a class impossible; 0 for none
    fit_prior: whether classes are as probable as they are frequent; else all are equally probable
    class_prior: probabilities of the classes in their order, instead

    Learned are classes_, class_count_ and class_log_prior_ (classes,), feature_count_ and feature_log_prob_ (classes,
    features).
    """

    name: ClassVar[str] = "multinomial_naive_bayes"

    def __init__(self, alpha: float = 1.0, fit_prior: bool = True, class_prior: list[float] | None = None) -> None:
        self.alpha = alpha
        self.fit_prior = fit_prior
        self.class_prior = class_prior

    def _weigh(self, counts: list[list[Fraction]], alpha: Fraction) -> None:
        self.feature_log_prob_ = np.array([_shares(row, alpha) for row in counts])

    def joint_log_likelihood(self, X: Any) -> Array:
        return np.asarray(_weighted(self._rows(X), self.feature_log_prob_) + self.class_log_prior_)


class ComplementNaiveBayes(_CountBayes):
    """Naive Bayes that judges a class by the rows of all others: better where classes are of unequal size.

    alpha: added to each count; 0 for none
    fit_prior: only looked at where there is one class
    class_prior: only looked at where there is one class
    norm: whether the weights of a class are divided by their sum

    Learned are as for multinomial naive Bayes; feature_log_prob_ are the weights.
    """

    name: ClassVar[str] = "complement_naive_bayes"
    _title: ClassVar[str] = "weight"

    def __init__(
        self,
        alpha: float = 1.0,
        fit_prior: bool = True,
        class_prior: list[float] | None = None,
        norm: bool = False,
    ) -> None:
        self.alpha = alpha
        self.fit_prior = fit_prior
        self.class_prior = class_prior
        self.norm = norm

    def _weigh(self, counts: list[list[Fraction]], alpha: Fraction) -> None:
        columns = range(len(counts[0]))
        total = [sum((row[j] for row in counts), Fraction(0)) for j in columns]
        weights = []
        for row in counts:
            others = [total[j] - row[j] + alpha for j in columns]
            whole = sum(others, Fraction(0))
            self._check_known(others)
            logs = [logarithm(value / whole) for value in others]
            divisor = sum(logs, Fraction(0)) if self.norm else Fraction(-1)
            weights.append([value / divisor if divisor else Fraction(0) for value in logs])
        self.feature_log_prob_ = floats_of(weights)

    def _check_known(self, others: list[Fraction]) -> None:
        for name, value in zip(self.feature_names_, others, strict=True):
            if not value:
                raise mr.InputError(
                    f"column {name!r} is 0 in all classes but one, so its weight there is infinite; set alpha above 0"
                )

    def joint_log_likelihood(self, X: Any) -> Array:
        found = _weighted(self._rows(X), self.feature_log_prob_)
        return np.asarray(found + self.class_log_prior_ if len(self.classes_) == 1 else found)


class BernoulliNaiveBayes(_CountBayes):
    """Naive Bayes of what is there or not: absence counts too.

    alpha: added to each count; 0 for none
    binarize: the threshold above which a number counts as 1; none where all are 0 or 1
    fit_prior: whether classes are as probable as they are frequent; else all are equally probable
    class_prior: probabilities of the classes in their order, instead

    Learned are as for multinomial naive Bayes, and feature_log_absence_, log(1 - P(j | k)).
    """

    name: ClassVar[str] = "bernoulli_naive_bayes"
    takes_counts: ClassVar[bool] = False
    learned: ClassVar[tuple[str, ...]] = (*_CountBayes.learned, "feature_log_absence_")

    feature_log_absence_: Array

    def __init__(
        self,
        alpha: float = 1.0,
        binarize: float | None = 0.0,
        fit_prior: bool = True,
        class_prior: list[float] | None = None,
    ) -> None:
        self.alpha = alpha
        self.binarize = binarize
        self.fit_prior = fit_prior
        self.class_prior = class_prior

    def fold(self) -> mr.Fold:
        return OccurrencesByClass(self.binarize)

    def _weigh(self, counts: list[list[Fraction]], alpha: Fraction) -> None:
        rows = self.class_count_.tolist()
        shares = [[(value + alpha) / (n + 2 * alpha) for value in row] for n, row in zip(rows, counts, strict=True)]
        self.feature_log_prob_ = np.array([logs_of(row) for row in shares])
        self.feature_log_absence_ = np.array([logs_of(1 - value for value in row) for row in shares])

    def joint_log_likelihood(self, X: Any) -> Array:
        rows = self._rows(X)
        rows = rows.toarray() if hasattr(rows, "toarray") else rows
        there = rows.astype(np.float64) if self.binarize is None else (rows > self.binarize).astype(np.float64)
        with_it, without = self.feature_log_prob_, self.feature_log_absence_
        return np.asarray(_weighted(there, with_it) + _weighted(1 - there, without) + self.class_log_prior_)


def _sums_of_sparse(X: Any, labels: Any) -> ClassSums:
    """Of whole numbers in a sparse matrix: what is 0 costs nothing."""
    labels, zeros = np.asarray(labels), [0] * X.shape[1]
    found = {}
    for label in np.unique(labels).tolist():
        rows = X[np.flatnonzero(labels == label)]
        sums = np.asarray(rows.sum(axis=0)).ravel().astype(np.int64).tolist()
        found[label] = ExactSum(rows.shape[0], Numbers.of(sums, zeros, zeros))
    return ClassSums(found)


def _shares(counts: list[Fraction], alpha: Fraction) -> Array:
    """Logarithms of (count + alpha) / their sum; -inf of nothing."""
    whole = sum(counts, Fraction(0)) + alpha * len(counts)
    return logs_of((value + alpha) / whole if whole else Fraction(0) for value in counts)


def _weighted(X: Any, logs: Array) -> Array:
    """X logs', where 0 times -inf is 0."""
    if np.isfinite(logs).all():
        return product(X, logs.T)
    finite = np.where(np.isfinite(logs), logs, 0.0)
    impossible = product(X, np.isinf(logs).T.astype(np.float64))
    return np.asarray(np.where(impossible > 0, -np.inf, product(X, finite.T)))

"""Gaussian naive Bayes: within a class each feature is normal, and independent of the others.

    P(x | k) = prod_j N(x_j; theta_kj, var_kj)

    map     block   -> n, sum x, sum x^2 of each class, exact
    reduce  a, b    -> a + b
    finish  theta_k = sum x / n_k,   var_k = sum x^2 / n_k - theta_k^2 + e,   P(k) = n_k / n
            e = var_smoothing times the largest variance of a feature over all rows: no variance is 0
            l_k = log P(k) - sum_j (log(2 pi var_kj) + (x_j - theta_kj)^2 / var_kj) / 2;   predicted is the greatest

The sums are exact, so squares may be summed uncentred: means, variances and priors are correctly rounded, and have the
same bits however the rows were cut.

Sources: C.-T. Chu et al., Map-Reduce for Machine Learning on Multicore, NIPS 2006, section 3; T. Hastie, R. Tibshirani
and J. Friedman, The Elements of Statistical Learning, 2nd edition 2009, section 6.6.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms.classifier import ByClass, Classifier, decimal, exact_rows, floats_of, priors_of
from algorithms.rows import Array, labels_of
from algorithms.sums import ClassSums, ExactSum, to_float


class SumsByClass(ByClass):
    """Number of rows, sum and sum of squares of each column, of each class."""

    def map(self, block: Any) -> ClassSums:
        Z = exact_rows(block)
        return ClassSums.of(Z.beside(Z.times(Z)), labels_of(block))


class GaussianNaiveBayes(Classifier):
    """Naive Bayes with normal features.

    priors: probabilities of the classes in their order; none for their shares of the rows
    var_smoothing: share of the largest variance of a feature that is added to each variance

    Learned are classes_, class_count_ and class_prior_ (classes,), theta_ and var_ (classes, features), the means and
    variances, and epsilon_, what was added to the variances.
    """

    name: ClassVar[str] = "gaussian_naive_bayes"
    least_rows: ClassVar[int] = 2
    learned: ClassVar[tuple[str, ...]] = ("classes_", "class_count_", "class_prior_", "theta_", "var_", "epsilon_")

    class_prior_: Array
    theta_: Array
    var_: Array
    epsilon_: float

    def __init__(self, priors: list[float] | None = None, var_smoothing: float = 1e-9) -> None:
        self.priors = priors
        self.var_smoothing = var_smoothing

    def check_parameters(self) -> None:
        if not 0 <= self.var_smoothing < math.inf:
            raise mr.UsageError(f"var_smoothing is {self.var_smoothing}; it must be 0 or more")

    def fold(self) -> mr.Fold:
        return SumsByClass()

    def width(self, state: ClassSums) -> int:
        return len(next(iter(state.states.values())).numbers) // 2

    def cut_class(self, state: ExactSum, features: Sequence[int]) -> ExactSum:
        width = len(state.numbers) // 2
        return state.pick([*features, *(width + j for j in features)])

    def learn(self, state: ClassSums) -> None:
        labels = self._take_classes({label: sums.rows for label, sums in state.states.items()})
        for label in labels:
            if state.states[label].rows == 1:
                raise mr.InputError(
                    f"class {label!r} has one row, which has no variance; add rows of it, or leave it out"
                )
        classes = [_moments(state.states[label]) for label in labels]
        total = state.states[labels[0]]
        for label in labels[1:]:
            total = total + state.states[label]
        epsilon = decimal(self.var_smoothing) * max(_moments(total)[1])
        self._check_variances(labels, [variances for _, variances in classes], epsilon)
        self.theta_ = floats_of(means for means, _ in classes)
        self.var_ = floats_of([value + epsilon for value in variances] for _, variances in classes)
        self.epsilon_ = to_float(epsilon)
        priors = priors_of(self.class_count_.tolist(), self.priors, "priors")
        self.class_prior_ = np.array([float(value) for value in priors])

    def _check_variances(self, labels: list[Any], variances: list[list[Fraction]], epsilon: Fraction) -> None:
        for label, row in zip(labels, variances, strict=True):
            for name, value in zip(self.feature_names_, row, strict=True):
                if not value + epsilon:
                    raise mr.InputError(
                        f"column {name!r} is constant in class {label!r}, so it has no variance there; leave the "
                        "column out (--features), or raise var_smoothing"
                    )

    def joint_log_likelihood(self, X: Any) -> Array:
        X = self._rows(X)
        X = X.toarray() if hasattr(X, "toarray") else X
        found = np.empty((len(X), len(self.classes_)))
        prior = np.log(self.class_prior_)
        for k, (mean, variance) in enumerate(zip(self.theta_, self.var_, strict=True)):
            constant = prior[k] - 0.5 * np.log(2 * math.pi * variance).sum()
            found[:, k] = constant - 0.5 * ((X - mean) ** 2 / variance).sum(axis=1)
        return found

    def figures(self) -> dict[str, Any]:
        labels = self.classes_.tolist()
        return {
            **super().figures(),
            "prior": dict(zip(labels, self.class_prior_.tolist(), strict=True)),
            "mean": by_class(labels, self.feature_names_, self.theta_),
            "variance": by_class(labels, self.feature_names_, self.var_),
            "epsilon": self.epsilon_,
        }

    def table(self) -> str:
        return self._table(self.class_prior_, {"mean": self.theta_, "deviation": np.sqrt(self.var_)})


def by_class(labels: list[Any], names: list[str], rows: Array) -> dict[Any, dict[str, float]]:
    """Rows of figures under the labels of their classes."""
    return {label: dict(zip(names, row, strict=True)) for label, row in zip(labels, rows.tolist(), strict=True)}


def _moments(sums: ExactSum) -> tuple[list[Fraction], list[Fraction]]:
    """Means and variances of the columns."""
    found = [value / sums.rows for value in sums.sums()]
    half = len(found) // 2
    return found[:half], [square - mean * mean for mean, square in zip(found[:half], found[half:], strict=True)]

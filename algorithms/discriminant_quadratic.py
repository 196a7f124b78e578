"""Quadratic discriminant analysis: classes are normal, each with a mean and a covariance of its own.

    log P(k | x) = log P(k) - log |Sigma_k| / 2 - |W_k (x - mu_k)|^2 / 2 + what is the same for all k
    W_k Sigma_k W_k' = 1

    map     block   -> n, sum x, sum xx' of each class, exact                       (as in discriminant.py)
    reduce  a, b    -> a + b
    finish  Sigma_k = (1 - r) sum (x - mu_k)(x - mu_k)' / n_k + r 1,   r = reg_param

W is lower triangular, the inverse of Cholesky's factor: a sum of squares loses no digit where x Sigma^-1 x would. Its
entries and the determinants' logarithms are correctly rounded.

Sources: T. Hastie, R. Tibshirani and J. Friedman, The Elements of Statistical Learning, 2nd edition 2009, section 4.3;
J. Friedman, Regularized Discriminant Analysis, 1989.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms import tables
from algorithms.classifier import decimal, floats_of
from algorithms.discriminant import Discriminant
from algorithms.products import product
from algorithms.rows import Array
from algorithms.sums import ClassSums, to_float
from algorithms.sums.fixed_point import Singular, Whitening, whiten
from algorithms.sums.scatter import Scatter, no_inverse, towards_identity


class QuadraticDiscriminantAnalysis(Discriminant):
    """Quadratic discriminant analysis.

    priors: probabilities of the classes in their order; none for their shares of the rows
    reg_param: 0 to 1, how far each covariance is moved towards the identity

    Learned are classes_, class_count_ and priors_ (classes,), means_ (classes, features), and of the covariances
    whitening_ (classes, features, features) and log_determinant_ (classes,).
    """

    name: ClassVar[str] = "quadratic_discriminant_analysis"
    learned: ClassVar[tuple[str, ...]] = (
        "classes_", "class_count_", "priors_", "means_", "whitening_", "log_determinant_",
    )  # fmt: skip

    whitening_: Array
    log_determinant_: Array

    def __init__(self, priors: list[float] | None = None, reg_param: float = 0.0) -> None:
        self.priors = priors
        self.reg_param = reg_param

    def check_parameters(self) -> None:
        if not 0 <= self.reg_param <= 1:
            raise mr.UsageError(f"reg_param is {self.reg_param}; it must be from 0 to 1")

    def learn(self, state: ClassSums) -> None:
        scatters, _ = self._take_scatters(state)
        found = [self._whiten(label, scatter) for label, scatter in zip(self.classes_.tolist(), scatters, strict=True)]
        self.whitening_ = np.array([floats_of(each.rows) for each in found])
        self.log_determinant_ = np.array([to_float(each.log_determinant) for each in found])

    def _whiten(self, label: Any, scatter: Scatter) -> Whitening:
        if scatter.rows == 1:
            raise mr.InputError(
                f"class {label!r} has one row, which has no covariance; add rows of it, or leave it out"
            )
        if not self.reg_param and scatter.rows <= len(scatter.mean):
            raise mr.InputError(
                f"class {label!r} has {scatter.rows} rows, too few for the covariance of {len(scatter.mean)} columns; "
                "add rows, take fewer columns (--features), or set reg_param"
            )
        covariance = scatter.over(scatter.rows)
        if self.reg_param:
            share = decimal(self.reg_param)
            covariance = towards_identity(covariance, share, Fraction(1))
        found = whiten(covariance)
        if isinstance(found, Singular):
            raise no_inverse(found, self.feature_names_, f"in class {label!r}", "set reg_param")
        return found

    def joint_log_likelihood(self, X: Any) -> Array:
        X = self._rows(X)
        X = X.toarray() if hasattr(X, "toarray") else X
        found = np.empty((len(X), len(self.classes_)))
        for k, (mean, W, logs) in enumerate(zip(self.means_, self.whitening_, self.log_determinant_, strict=True)):
            found[:, k] = np.log(self.priors_[k]) - 0.5 * (logs + (product(X - mean, W.T) ** 2).sum(axis=1))
        return found

    def decision_function(self, X: Any) -> Array:
        """log P(k | x), but for what is the same for all k: (rows, classes); of two classes the difference (rows,)."""
        found = self.joint_log_likelihood(X)
        return found[:, 1] - found[:, 0] if len(self.classes_) == 2 else found

    def figures(self) -> dict[str, Any]:
        labels = self.classes_.tolist()
        return {
            **super().figures(),
            "log_determinant": dict(zip(labels, self.log_determinant_.tolist(), strict=True)),
        }

    def table(self) -> str:
        logs = zip(map(str, self.classes_.tolist()), self.log_determinant_.tolist(), strict=True)
        return f"{super().table()}\n{tables.columns(['class', 'log |covariance|'], logs)}"

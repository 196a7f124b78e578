"""Logistic regression: P(y = 1 | x) = s(b + theta'x), s(z) = 1 / (1 + exp(-z)), by Newton's method.

    map     block, theta -> loss, gradient and Hessian of the block at theta
    reduce  a, b         -> a + b
    then    theta <- theta - t H^-1 g, with t halved until the loss falls; again, until the gradient is nearly zero

Minimised is sum log(1 + exp(z)) - y z + |theta|^2 / (2 C) with z = b + theta'x, the intercept not penalised:
scikit-learn's objective, divided by C. With p = s(z) and a = (1, x), the sums over the rows are

    gradient  sum (p - y) a        Hessian  sum p (1 - p) a a'

The rows are parsed once and stay with the workers (`engine.cache`); an iteration ships only theta.

Source: C.-T. Chu et al., Map-Reduce for Machine Learning on Multicore, NIPS 2006, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

import mapreduce as mr
from algorithms.estimator import Estimator
from algorithms.metrics import ClassificationMetrics, accuracy
from algorithms.products import product
from algorithms.rows import Array, classes_of, dense, labels_of, matrix_of, no_rows

MAX_CLASSES = 1000
ACCEPTED_SLOPE = 1e-4
"""Armijo's constant: how much of the slope's promise a step must keep."""
SHORTEST_STEP = 1e-10
ROUNDING = 1e-14
"""A step that promises less of the loss than this share cannot be told from rounding."""
SEPARATED = 1e-6
"""Loss a row at which the classes count as separated without error."""


@dataclass(frozen=True, slots=True)
class NewtonSums:
    """Loss, gradient (d + 1,) and Hessian (d + 1, d + 1) at one theta, summed over rows; the intercept stands first."""

    loss: float
    gradient: Array
    hessian: Array

    def __add__(self, other: Self) -> Self:
        return type(self)(self.loss + other.loss, self.gradient + other.gradient, self.hessian + other.hessian)


class LogisticStep(mr.Fold):
    """Loss, gradient and Hessian at `theta`; a row counts as positive if its target equals `positive`."""

    def __init__(self, theta: Array, positive: Any) -> None:
        self.theta = theta
        self.positive = positive

    def map(self, block: Any) -> NewtonSums:
        X = dense(block)
        A = np.column_stack([np.ones(len(X)), X])
        y = (labels_of(block) == self.positive).astype(np.float64)
        z = A @ self.theta
        p = sigmoid(z)
        gradient = A.T @ (p - y)
        A *= np.sqrt(p * (1 - p))[:, None]
        return NewtonSums(losses(z, y), gradient, A.T @ A)

    def reduce(self, a: NewtonSums, b: NewtonSums) -> NewtonSums:
        return a + b


class Classes(mr.Fold):
    """The different values of the target, ascending, and the number of rows and features."""

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names = names

    def map(self, block: Any) -> tuple[Array, int, int]:
        X = matrix_of(block, self.names)
        return np.unique(labels_of(block)), *X.shape

    def zero(self) -> tuple[Array, int, int]:
        raise no_rows()

    def reduce(self, a: Any, b: Any) -> tuple[Array, int, int]:
        classes = np.union1d(a[0], b[0])
        if len(classes) > MAX_CLASSES:
            raise mr.InputError(
                f"the target has over {MAX_CLASSES} different values; logistic regression needs classes"
            )
        return classes, a[1] + b[1], a[2]


class LogisticRegression(Estimator):
    """Binary logistic regression with L2 penalty |theta|^2 / (2 C). The greater class is the positive one.

    C: inverse weight of the penalty; inf for none
    max_iter: most Newton steps
    tol: largest component of the gradient, divided by the number of rows, at which the fit has converged

    Learned are coef_ (features,), intercept_, classes_ (2,), n_ (rows), n_iter_, converged_, gradient_norm_ and loss_.
    """

    name: ClassVar[str] = "logistic_regression"
    kind: ClassVar[str] = "classifier"
    least_rows: ClassVar[int] = 2
    learned: ClassVar[tuple[str, ...]] = (
        "coef_", "intercept_", "classes_", "n_", "n_iter_", "converged_", "gradient_norm_", "loss_",
    )  # fmt: skip

    coef_: Array
    intercept_: float
    classes_: Any
    n_: int
    n_iter_: int
    converged_: bool
    gradient_norm_: float
    loss_: float

    def __init__(self, C: float = 1.0, max_iter: int = 100, tol: float = 1e-8) -> None:
        self.C = C
        self.max_iter = max_iter
        self.tol = tol

    def _fit(self, engine: mr.Engine, dataset: mr.Dataset, names: Any, observer: Any) -> None:
        if not self.C > 0:
            raise mr.UsageError(f"C is {self.C}; it must be above 0 (inf for no penalty)")
        rows = engine.cache(dataset)
        classes, self.n_, features = engine.run(Classes(names.known), rows, observer=observer).value
        if len(classes) != 2:
            shown = ", ".join(map(str, classes_of(classes[:5].tolist()))) + (", ..." if len(classes) > 5 else "")
            raise mr.InputError(
                f"the target has {len(classes)} different values ({shown}). Only binary classification is supported. "
                "For more classes take a naive Bayes or linear_discriminant_analysis"
            )
        self.classes_ = classes_of(classes.tolist())
        self._minimise(
            lambda theta: engine.run(LogisticStep(theta, classes[1]), rows, observer=observer).value, features
        )
        if np.isinf(self.C) and self.loss_ <= SEPARATED * self.n_:
            raise mr.InputError(
                "the classes can be separated without error, so without a penalty larger coefficients are always "
                "better; set C to a finite value"
            )
        self.feature_names_ = names.of(features)

    def _minimise(self, sums_at: Callable[[Array], NewtonSums], features: int) -> None:
        """Newton's method with step halving. The gradient's norm per row, at the end, is the certificate."""
        penalty = np.full(features + 1, 1 / self.C)
        penalty[0] = 0.0
        theta = np.zeros(features + 1)
        sums = sums_at(theta)
        loss = sums.loss
        last_norm = np.inf
        self.converged_ = False
        for self.n_iter_ in range(self.max_iter + 1):
            gradient = sums.gradient + penalty * theta
            self.gradient_norm_ = float(np.abs(gradient).max()) / self.n_
            direction = -solve(sums.hessian + np.diag(penalty), gradient)
            slope = float(gradient @ direction)
            blind = -slope <= ROUNDING * loss  # the loss cannot judge the step any more, but the gradient can
            if self.gradient_norm_ <= self.tol or (blind and self.gradient_norm_ > last_norm / 2):
                self.converged_ = True
                break
            if self.n_iter_ == self.max_iter:
                break
            last_norm = self.gradient_norm_
            step = 1.0
            while True:
                tried = theta + step * direction
                sums = sums_at(tried)
                now = sums.loss + 0.5 * float(penalty @ tried**2)
                if blind or now <= loss + ACCEPTED_SLOPE * step * slope or step < SHORTEST_STEP:
                    break
                step /= 2
            theta, loss = tried, now
        self.intercept_, self.coef_, self.loss_ = float(theta[0]), theta[1:], float(loss)

    def decision_function(self, X: Any) -> Array:
        """b + theta'x of each row: (rows,)."""
        return np.asarray(product(self._rows(X), self.coef_) + self.intercept_)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of both classes: (rows, 2)."""
        positive = sigmoid(self.decision_function(X))
        return np.column_stack([1 - positive, positive])

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities of both classes, without cancellation where one is nearly 1: (rows, 2)."""
        z = self.decision_function(X)
        small = np.log1p(np.exp(-np.abs(z)))
        return np.column_stack([np.minimum(-z, 0) - small, np.minimum(z, 0) - small])

    def predict(self, X: Any) -> Array:
        """The more probable class of each row: (rows,)."""
        positive = self.decision_function(X) > 0
        return np.asarray(self.classes_[positive.astype(int)])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows of arrays X and y that are predicted rightly."""
        return accuracy(self.predict(X), y, sample_weight)

    def metrics(self) -> mr.Fold:
        return ClassificationMetrics(self)

    def figures(self) -> dict[str, Any]:
        return {
            "coef": dict(zip(self.feature_names_, self.coef_.tolist(), strict=True)),
            "intercept": self.intercept_,
            "classes": self.classes_.tolist(),
            "n": self.n_,
            "iterations": self.n_iter_,
            "converged": self.converged_,
            "gradient_norm": self.gradient_norm_,
            "loss": self.loss_,
        }


def solve(H: Array, g: Array) -> Array:
    """x of H x = g for a symmetric, positive semidefinite H; of several the shortest."""
    try:
        return np.asarray(np.linalg.solve(H, g))
    except np.linalg.LinAlgError:  # columns are collinear, and no penalty decides between them
        return np.asarray(np.linalg.lstsq(H, g, rcond=None)[0])


def losses(z: Array, y: Array) -> float:
    """sum log(1 + exp(z)) - y z, without overflow, and without cancellation where the model is right."""
    return float((np.log1p(np.exp(-np.abs(z))) + (np.maximum(z, 0) - y * z)).sum())


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), without overflow for any z."""
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1 / (1 + small), small / (1 + small)))

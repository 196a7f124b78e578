"""Linear discriminant analysis: classes are normal with means of their own and one covariance for all.

    P(x | k) = N(x; mu_k, Sigma)      so log P(k | x) is linear in x, but for what is the same for all k

    map     block   -> n, sum x, sum xx' of each class, exact
    reduce  a, b    -> a + b
    finish  mu_k = sum x / n_k,   S_k = sum (x - mu_k)(x - mu_k)',   P(k) = n_k / n

        Sigma = sum_k S_k / n,    theta_k = Sigma^-1 (mu_k - m),    m = sum_k P(k) mu_k
        b_k = log P(k) - (mu_k + m)'theta_k / 2

With a shrinkage s, for d columns, Sigma = sum_k P(k) ((1 - s) S_k / n_k + s 1 tr S_k / (n_k d)).

The sums are exact; what follows is computed in integers (sums/fixed_point.py), and every coefficient is correctly
rounded. So a model has the same bits however the rows were cut, whatever BLAS and processor there are.

`transform` gives the coordinates in which classes lie farthest apart: the eigenvectors of the means' scatter, in units
of Sigma (Fisher 1936).

Sources: A. Ng, CS229 lecture notes, part IV; T. Hastie, R. Tibshirani and J. Friedman, The Elements of Statistical
Learning, 2nd edition 2009, section 4.3.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms import tables
from algorithms.classifier import MOST_SHOWN, ByClass, Classifier, decimal, exact_rows, floats_of, priors_of
from algorithms.naive_bayes import by_class
from algorithms.products import product
from algorithms.projection import Projection
from algorithms.rows import Array, labels_of
from algorithms.sums import ClassSums, ExactGram, to_float
from algorithms.sums.fixed_point import Singular, Whitening, eigen, root, whiten
from algorithms.sums.logarithms import logarithm
from algorithms.sums.scatter import Scatter, no_inverse, towards_identity, weighted_sum


class GramByClass(ByClass):
    """Number of rows, sum x and sum xx' of each class."""

    def map(self, block: Any) -> ClassSums:
        return ClassSums.of(exact_rows(block), labels_of(block), ExactGram.of)


class Discriminant(Classifier):
    """What discriminant analyses share: the sums of each class, their means and priors."""

    priors_: Array
    means_: Array
    priors: list[float] | None

    def fold(self) -> mr.Fold:
        return GramByClass()

    def width(self, state: ClassSums) -> int:
        return int(next(iter(state.states.values())).columns)

    def _take_scatters(self, state: ClassSums) -> tuple[list[Scatter], list[Fraction]]:
        """Scatter and prior of each class; sets `classes_`, `class_count_`, `means_` and `priors_`."""
        labels = self._take_classes({label: gram.rows for label, gram in state.states.items()})
        if len(labels) < 2:
            raise mr.InputError(f"the target has one class, {labels[0]!r}; discriminant analysis needs at least 2")
        scatters = [Scatter.of(state.states[label]) for label in labels]
        priors = priors_of([scatter.rows for scatter in scatters], self.priors, "priors")
        self.means_ = floats_of(scatter.mean for scatter in scatters)
        self.priors_ = np.array([to_float(prior) for prior in priors])
        return scatters, priors

    def figures(self) -> dict[str, Any]:
        labels = self.classes_.tolist()
        return {
            **super().figures(),
            "prior": dict(zip(labels, self.priors_.tolist(), strict=True)),
            "mean": by_class(labels, self.feature_names_, self.means_),
        }

    def table(self) -> str:
        return self._table(self.priors_, {"mean": self.means_})


class LinearDiscriminant(Discriminant):
    """What the two linear ones share."""

    learned: ClassVar[tuple[str, ...]] = (
        "classes_", "class_count_", "priors_", "means_", "covariance_", "coef_", "intercept_",
    )  # fmt: skip

    covariance_: Array
    coef_: Array
    intercept_: Array

    def _covariance(self, scatters: list[Scatter], priors: list[Fraction]) -> list[list[Fraction]]:
        """Sigma."""
        share = Fraction(1, sum(scatter.rows for scatter in scatters))
        return weighted_sum([scatter.S for scatter in scatters], [share] * len(scatters))

    def learn(self, state: ClassSums) -> None:
        self._solve(*self._take_scatters(state))

    def _solve(self, scatters: list[Scatter], priors: list[Fraction]) -> tuple[Whitening, list[list[Fraction]]]:
        """Set covariance and coefficients; the whitening, and the classes' means from the mean of all."""
        covariance = self._covariance(scatters, priors)
        found = whiten(covariance)
        if isinstance(found, Singular):
            free = sum(scatter.rows for scatter in scatters) - len(scatters)
            if 0 < free < len(covariance):
                raise mr.InputError(
                    f"the input has {free + len(scatters)} rows of {len(scatters)} classes, too few for the covariance "
                    f"of {len(covariance)} columns; add rows, take fewer columns (--features), or {self._remedy}"
                )
            raise no_inverse(found, self.feature_names_, "within the classes", self._remedy)
        apart = _apart(scatters, priors)
        center = [mean - a for mean, a in zip(scatters[0].mean, apart[0], strict=True)]
        theta = [found.inverse_times(vector) for vector in apart]
        b = [
            logarithm(prior) - sum(t * (a / 2 + m) for t, a, m in zip(slope, vector, center, strict=True))
            for prior, slope, vector in zip(priors, theta, apart, strict=True)
        ]
        if len(priors) == 2:  # one function tells two classes apart
            theta, b = [[x - y for x, y in zip(theta[1], theta[0], strict=True)]], [b[1] - b[0]]
        self.covariance_, self.coef_ = floats_of(covariance), floats_of(theta)
        self.intercept_ = np.array([to_float(value) for value in b])
        return found, apart

    _remedy: ClassVar[str] = "take linear_discriminant_analysis with a shrinkage"

    def decision_function(self, X: Any) -> Array:
        """b_k + theta_k'x: (rows, classes); of two classes the difference (rows,)."""
        found = np.asarray(product(self._rows(X), self.coef_.T) + self.intercept_)
        return found[:, 0] if len(self.classes_) == 2 else found

    def joint_log_likelihood(self, X: Any) -> Array:
        found = self.decision_function(X)
        return np.column_stack([np.zeros(len(found)), found]) if found.ndim == 1 else found

    def figures(self) -> dict[str, Any]:
        labels = self.classes_.tolist()[-len(self.coef_) :]
        return {
            **super().figures(),
            "coef": by_class(labels, self.feature_names_, self.coef_),
            "intercept": dict(zip(labels, self.intercept_.tolist(), strict=True)),
        }

    def table(self) -> str:
        return self._table(
            self.priors_, {"mean": self.means_, "coefficient": np.column_stack([self.coef_, self.intercept_])}
        )


class GaussianDiscriminantAnalysis(LinearDiscriminant):
    """Gaussian discriminant analysis with one covariance, the most likely one.

    priors: probabilities of the classes in their order; none for their shares of the rows

    Learned are classes_, class_count_ and priors_ (classes,), means_ (classes, features), covariance_ (features,
    features), coef_ (classes, features) and intercept_ (classes,); of two classes coef_ and intercept_ have one row,
    the second against the first.
    """

    name: ClassVar[str] = "gaussian_discriminant_analysis"

    def __init__(self, priors: list[float] | None = None) -> None:
        self.priors = priors


class LinearDiscriminantAnalysis(LinearDiscriminant, Projection):
    """Linear discriminant analysis, also as a projection.

    shrinkage: 0 to 1, how far the covariance of each class is moved towards a multiple of the identity; none for not
    priors: probabilities of the classes in their order; none for their shares of the rows
    n_components: how many coordinates `transform` gives; none for all, one less than there are classes

    Learned are what gaussian discriminant analysis learns, xbar_ (features,), the mean of the classes' means,
    scalings_ (features, coordinates) and explained_variance_ratio_ (coordinates,), the share of the means' scatter.
    """

    name: ClassVar[str] = "linear_discriminant_analysis"
    learned: ClassVar[tuple[str, ...]] = (
        *LinearDiscriminant.learned,
        "xbar_",
        "scalings_",
        "explained_variance_ratio_",
    )
    _remedy: ClassVar[str] = "set shrinkage"

    xbar_: Array
    scalings_: Array
    explained_variance_ratio_: Array

    def __init__(
        self,
        shrinkage: float | None = None,
        priors: list[float] | None = None,
        n_components: int | None = None,
    ) -> None:
        self.shrinkage = shrinkage
        self.priors = priors
        self.n_components = n_components

    def check_parameters(self) -> None:
        if self.shrinkage is not None and not 0 <= self.shrinkage <= 1:
            raise mr.UsageError(f"shrinkage is {self.shrinkage}; it must be from 0 to 1")
        if self.n_components is not None and self.n_components < 1:
            raise mr.UsageError(f"n_components is {self.n_components}; it must be at least 1")

    def _covariance(self, scatters: list[Scatter], priors: list[Fraction]) -> list[list[Fraction]]:
        if self.shrinkage is None:
            return super()._covariance(scatters, priors)
        share = decimal(self.shrinkage)
        size = range(len(scatters[0].mean))
        matrices = []
        for scatter in scatters:
            level = sum((scatter.S[j][j] for j in size), Fraction(0)) / scatter.rows / len(size)
            matrices.append(towards_identity(scatter.over(scatter.rows), share, level))
        return weighted_sum(matrices, priors)

    def learn(self, state: ClassSums) -> None:
        scatters, priors = self._take_scatters(state)
        most = min(len(priors) - 1, len(self.feature_names_))
        if self.n_components is not None and self.n_components > most:
            raise mr.UsageError(
                f"n_components is {self.n_components}; {len(priors)} classes of {len(self.feature_names_)} features "
                f"have {most} coordinates at most"
            )
        found, apart = self._solve(scatters, priors)
        center = [mean - a for mean, a in zip(scatters[0].mean, apart[0], strict=True)]
        self.xbar_ = np.array([to_float(value) for value in center])
        self._project(found, apart, priors, most)

    def _project(self, found: Whitening, apart: list[list[Fraction]], priors: list[Fraction], most: int) -> None:
        """Set `scalings_`: W'v for the eigenvectors v of YY', Y = sqrt(P(k)) W (mu_k - m), by those of Y'Y."""
        weighed = [[root(p) * value for value in found.times(a)] for p, a in zip(priors, apart, strict=True)]
        inner = [[sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0)) for b in weighed] for a in weighed]
        values = eigen(inner)
        vectors = []
        for value, weights in zip(values.values[:most], values.vectors, strict=False):
            if value:
                v = [
                    sum((w * y for w, y in zip(weights, column, strict=True)), Fraction(0))
                    for column in zip(*weighed, strict=True)
                ]
                scaling = [part / root(value) for part in _transposed_times(found, v)]
                vectors.append([-part for part in scaling] if max(scaling, key=abs) < 0 else scaling)
        if not vectors:
            raise mr.InputError("the means of all classes are equal: nothing tells them apart")
        whole = sum(values.values, Fraction(0))
        kept = self.n_components or len(vectors)
        self.scalings_ = floats_of(vectors[:kept]).T
        self.explained_variance_ratio_ = np.array([to_float(value / whole) for value in values.values[:kept] if value])

    def transform(self, X: Any) -> Array:
        """Coordinates in which the covariance within classes is 1, the one that tells most apart first."""
        return product(np.asarray(self._rows(X) - self.xbar_), self.scalings_)

    @property
    def component_names_(self) -> list[str]:
        return [f"ld{number}" for number in range(1, self.scalings_.shape[1] + 1)]

    def figures(self) -> dict[str, Any]:
        return {**super().figures(), "explained_variance_ratio": self.explained_variance_ratio_.tolist()}

    def table(self) -> str:
        if len(self.feature_names_) > MOST_SHOWN:
            return super().table()
        rows = [
            *zip(self.feature_names_, *self.scalings_.T.tolist(), strict=True),
            ["share", *self.explained_variance_ratio_.tolist()],
        ]
        return f"{super().table()}\n{tables.columns(['coordinate', *self.component_names_], rows)}"


def _apart(scatters: list[Scatter], priors: list[Fraction]) -> list[list[Fraction]]:
    """The classes' means from their mean."""
    means = [scatter.mean for scatter in scatters]
    center = [
        sum((p * m for p, m in zip(priors, column, strict=True)), Fraction(0)) for column in zip(*means, strict=True)
    ]
    return [[value - middle for value, middle in zip(mean, center, strict=True)] for mean in means]


def _transposed_times(found: Whitening, vector: list[Fraction]) -> list[Fraction]:
    return [
        sum((row[j] * v for row, v in zip(found.rows, vector, strict=True) if row[j]), Fraction(0))
        for j in range(len(vector))
    ]

"""In which directions do rows vary most? Principal components, the eigenvectors of the covariance.

    map     block   -> n, sum x, sum xx', exact                                       (transformer.py)
    reduce  a, b    -> a + b
    finish  C = sum (x - m)(x - m)' / (n - 1) = V diag(l) V',   l_1 >= l_2 >= ...
            transform  z = V'(x - m), of the first n_components;  whiten  z_i / sqrt(l_i)

C is exact, and its eigenvectors are computed in integers (sums/fixed_point.py): components, variances and shares are
correctly rounded, with the same bits for any cut, BLAS and processor. Of a component the entry that is largest in size
is positive, as in scikit-learn; of equal ones the first. Where eigenvalues are equal, directions among theirs are
arbitrary; here they are still the same each time. That takes 2 s for 100 columns, 20 s for 200, and is refused beyond:
`solver=float` has LAPACK do it in floats from the same exact C, rounded, so that last bits depend on the machine
and directions of small variance keep fewer digits.

Whitening keeps all directions and makes their variances 1: z = W (x - m), W C W' = 1. Of all such W

    zca  V diag(l)^-1/2 V'   moves rows least        pca  diag(l)^-1/2 V'        cholesky  lower triangular

Sources: K. Pearson, On Lines and Planes of Closest Fit, 1901; A. Kessy, A. Lewin and K. Strimmer, Optimal Whitening and
Decorrelation, 2018.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms import tables
from algorithms.classifier import decimal, floats_of
from algorithms.products import product
from algorithms.rows import Array
from algorithms.sums import ExactGram, to_float
from algorithms.sums.equations import to_root
from algorithms.sums.fixed_point import Eigen, Singular, eigen, float_eigen, root, times, whiten
from algorithms.sums.scatter import no_inverse
from algorithms.transformer import Limit, Transformer

MOST_WHITENED = 20
"""Columns whose whitening stands in the table."""
MOST_SHOWN = 8
"""Components whose weights stand in the table; JSON has them all."""


MOST_EIGENVECTORS = 200
"""Columns whose eigenvectors take 20 s in integers."""
MOST_PIVOTS = 500
"""Columns whose covariance takes as long to invert."""
_FEWER = "take fewer columns (--features)"


class PCA(Transformer):
    """Principal component analysis.

    n_components: how many components are kept; below 1 the share of the variance that they must explain; none for all
    whiten: whether transformed columns are divided by their standard deviations
    solver: 'exact' for the same, correctly rounded bits on any machine; 'float' where columns are very many

    Learned are components_ (components, features), mean_ (features,), explained_variance_, explained_variance_ratio_
    and singular_values_ (components,), noise_variance_, the mean variance of what was left out, and n_ (rows).
    """

    name: ClassVar[str] = "pca"
    learned: ClassVar[tuple[str, ...]] = (
        "components_", "mean_", "explained_variance_", "explained_variance_ratio_", "singular_values_",
        "noise_variance_", "n_",
    )  # fmt: skip

    components_: Array
    explained_variance_: Array
    explained_variance_ratio_: Array
    singular_values_: Array
    noise_variance_: float

    def __init__(self, n_components: int | float | None = None, whiten: bool = False, solver: str = "exact") -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.solver = solver

    def limit(self) -> Limit | None:
        return None if self.solver == "float" else Limit(MOST_EIGENVECTORS, f"set solver=float, or {_FEWER}")

    def check_parameters(self) -> None:
        if self.solver not in ("exact", "float"):
            raise mr.UsageError(f"solver is {self.solver!r}; choose 'exact' or 'float'")
        wanted = self.n_components
        if wanted is not None and (wanted <= 0 or (wanted > 1 and wanted != int(wanted))):
            raise mr.UsageError(
                f"n_components is {wanted}; it is a whole number of components, or a share of the variance below 1"
            )

    def learn(self, state: ExactGram) -> None:
        scatter = self._scatter(state)
        free = scatter.rows - 1
        found = (eigen if self.solver == "exact" else float_eigen)(scatter.over(free))
        total = sum(found.values, Fraction(0))
        if not total:
            raise mr.InputError("all rows are equal: there is no direction in which they vary")
        kept = self._how_many(found.values, total, min(scatter.rows, len(scatter.mean)))
        values = found.values[:kept]
        self.mean_ = np.array([to_float(value) for value in scatter.mean])
        self.components_ = floats_of(found.vectors[:kept])
        self.explained_variance_ = np.array([to_float(value) for value in values])
        self.explained_variance_ratio_ = np.array([to_float(value / total) for value in values])
        self.singular_values_ = np.array([to_root(value * free) for value in values])
        left = found.values[kept : min(scatter.rows, len(scatter.mean))]
        self.noise_variance_ = to_float(sum(left, Fraction(0)) / len(left)) if left else 0.0

    def _how_many(self, values: list[Fraction], total: Fraction, most: int) -> int:
        if self.n_components is None:
            kept = most
        elif self.n_components < 1:
            share = decimal(self.n_components) * total
            kept = 1 + sum(sum_ <= share for sum_ in accumulate(values[: most - 1]))
        else:
            kept = int(self.n_components)
        if kept > most:
            raise mr.UsageError(f"n_components is {kept}; {self.n_} rows of {len(values)} columns have {most} at most")
        if self.whiten and not values[kept - 1]:
            varying = sum(value > 0 for value in values)
            raise mr.InputError(
                f"rows vary in {varying} directions only, so {kept} cannot be whitened; set n_components={varying}"
            )
        return kept

    def transform(self, X: Any) -> Array:
        """Rows in the components' coordinates: (rows, components)."""
        found = product(self._dense(X) - self.mean_, self.components_.T)
        return found / np.sqrt(self.explained_variance_) if self.whiten else found

    def inverse_transform(self, Z: Any) -> Array:
        """The rows nearest to those that were transformed: (rows, features)."""
        Z = np.asarray(Z, np.float64)
        found = Z * np.sqrt(self.explained_variance_) if self.whiten else Z
        return np.asarray(product(found, self.components_) + self.mean_)

    def figures(self) -> dict[str, Any]:
        names = self.component_names_
        return {
            "n": self.n_,
            "explained_variance": dict(zip(names, self.explained_variance_.tolist(), strict=True)),
            "explained_variance_ratio": dict(zip(names, self.explained_variance_ratio_.tolist(), strict=True)),
            "noise_variance": self.noise_variance_,
            "precision": "correctly rounded" if self.solver == "exact" else "float64",
            "components": {
                name: dict(zip(self.feature_names_, row, strict=True))
                for name, row in zip(names, self.components_.tolist(), strict=True)
            },
        }

    @property
    def component_names_(self) -> list[str]:
        return [f"pc{number}" for number in range(1, len(self.components_) + 1)]

    def table(self) -> str:
        shares = self.explained_variance_ratio_.tolist()
        deviations = np.sqrt(self.explained_variance_).tolist()
        explained = zip(self.component_names_, deviations, shares, accumulate(shares), strict=True)
        weights = zip(self.feature_names_, *self.components_[:MOST_SHOWN].tolist(), strict=True)
        return (
            f"{self.n_} rows\n\n{tables.columns(['component', 'deviation', 'share', 'sum of shares'], explained)}\n"
            f"{tables.columns(['weights', *self.component_names_[:MOST_SHOWN]], weights)}"
        )


class Whitening(Transformer):
    """Whitening: columns without correlation, of variance 1.

    method: zca, pca or cholesky

    Learned are whitening_ (features, features), W; coloring_, its inverse; mean_ (features,) and n_ (rows).
    """

    name: ClassVar[str] = "whitening"
    learned: ClassVar[tuple[str, ...]] = ("whitening_", "coloring_", "mean_", "n_")

    whitening_: Array
    coloring_: Array

    def __init__(self, method: str = "zca") -> None:
        self.method = method

    def check_parameters(self) -> None:
        if self.method not in ("zca", "pca", "cholesky"):
            raise mr.UsageError(f"method is {self.method!r}; choose 'zca', 'pca' or 'cholesky'")

    def limit(self) -> Limit:
        if self.method == "cholesky":
            return Limit(MOST_PIVOTS, _FEWER)
        return Limit(MOST_EIGENVECTORS, f"set method=cholesky, which takes up to {MOST_PIVOTS}, or {_FEWER}")

    def learn(self, state: ExactGram) -> None:
        scatter = self._scatter(state)
        if scatter.rows <= len(scatter.mean):
            raise mr.InputError(
                f"the input has {scatter.rows} rows, too few to whiten {len(scatter.mean)} columns; take more rows or "
                "fewer columns (--features)"
            )
        C = scatter.over(scatter.rows - 1)
        lower = whiten(C)
        if isinstance(lower, Singular):
            raise no_inverse(lower, self.feature_names_, "in all rows", "take pca with n_components")
        if self.method == "cholesky":
            W, back = lower.rows, times(C, transposed(lower.rows))  # C W' = W^-1
        else:
            found = eigen(C)
            if not found.values[-1]:
                raise mr.InputError(
                    "the variances of the columns lie too far apart for eigenvectors; give columns units in which they "
                    "are alike, or set method=cholesky"
                )
            W, back = _along(found, symmetric=self.method == "zca")
        self.mean_ = np.array([to_float(value) for value in scatter.mean])
        self.whitening_, self.coloring_ = floats_of(W), floats_of(back)

    def transform(self, X: Any) -> Array:
        """W (x - m) of each row: (rows, features)."""
        return product(self._dense(X) - self.mean_, self.whitening_.T)

    def inverse_transform(self, Z: Any) -> Array:
        """The rows that were transformed: (rows, features)."""
        return np.asarray(product(np.asarray(Z, np.float64), self.coloring_.T) + self.mean_)

    def figures(self) -> dict[str, Any]:
        names = self.feature_names_
        return {
            "n": self.n_,
            "mean": dict(zip(names, self.mean_.tolist(), strict=True)),
            "whitening": self.whitening_.tolist(),
        }

    def table(self) -> str:
        means = tables.columns(["column", "mean"], zip(self.feature_names_, self.mean_.tolist(), strict=True))
        text = f"{self.n_} rows\n\n{means}"
        if len(self.feature_names_) > MOST_WHITENED:
            return text
        rows = self.feature_names_ if self.method == "zca" else [f"z{j + 1}" for j in range(len(self.whitening_))]
        weights = [[name, *row] for name, row in zip(rows, self.whitening_.tolist(), strict=True)]
        return f"{text}\n{tables.columns(['whitening', *self.feature_names_], weights)}"


def _along(found: Eigen, *, symmetric: bool) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
    """W and its inverse from eigenvectors."""
    W = _each_times(found.vectors, [root(1 / value) for value in found.values])
    back = transposed(_each_times(found.vectors, [root(value) for value in found.values]))
    if not symmetric:
        return W, back
    return times(transposed(found.vectors), W), times(back, found.vectors)


def _each_times(rows: list[list[Fraction]], factors: list[Fraction]) -> list[list[Fraction]]:
    return [[value * factor for value in row] for row, factor in zip(rows, factors, strict=True)]


def transposed(rows: list[list[Fraction]]) -> list[list[Fraction]]:
    return [list(column) for column in zip(*rows, strict=True)]

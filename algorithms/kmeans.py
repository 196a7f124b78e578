"""k-means: centres c_1 .. c_k that minimise the sum of squared distances of the points to their nearest centre.

    map     block, centres -> for each centre the sum and number of the points nearest to it, and the cost
    reduce  a, b           -> a + b
    then    each centre moves to its points' mean; again, until none moves further than the tolerance

The points are parsed once and stay with the workers (`engine.cache`); an iteration ships only the centres.
A centre without points stays where it is. Of equally near centres the first takes the point.

Sources: S. Lloyd, Least Squares Quantization in PCM, 1982; W. Zhao, H. Ma and Q. He, Parallel K-Means Clustering Based
on MapReduce, 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

import mapreduce as mr
from algorithms.estimator import Estimator
from algorithms.metrics import Metrics
from algorithms.rows import Array, dense, matrix_of, no_rows


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """Of the points nearest to each centre: sums (k, d), counts (k,); and the cost of all, their squared distances."""

    sums: Array
    counts: Any
    cost: float

    @classmethod
    def of(cls, X: Array, centers: Array) -> Self:
        nearest = mr.assign_nearest(X, centers)
        return cls(nearest.sums, nearest.counts, nearest.cost)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.sums + other.sums, self.counts + other.counts, self.cost + other.cost)


class KMeansStep(mr.Fold):
    """One iteration: the sums of each centre's points."""

    def __init__(self, centers: Array) -> None:
        self.centers = centers

    def map(self, block: Any) -> ClusterSums:
        return ClusterSums.of(dense(block), self.centers)

    def reduce(self, a: ClusterSums, b: ClusterSums) -> ClusterSums:
        return a + b


class Survey(mr.Fold):
    """What is known before the first iteration: number of rows, variance, and k rows drawn by a seeded hash of the row.

    A row's draw depends on its values and the seed alone, so the same rows are drawn however the input is cut.
    """

    def __init__(self, k: int, seed: int, names: Sequence[str] | None = None) -> None:
        self.k = k
        self.seed = seed
        self.names = names

    def map(self, block: Any) -> Any:
        X = matrix_of(block, self.names)
        mean = X.mean(axis=0)
        return self._draw(len(X), mean, ((X - mean) ** 2).sum(axis=0), row_hashes(X, self.seed), X)

    def reduce(self, a: Any, b: Any) -> Any:
        rows = a[0] + b[0]
        step = b[1] - a[1]
        mean = a[1] + step * (b[0] / rows)
        scatter = a[2] + b[2] + step**2 * (a[0] * b[0] / rows)
        return self._draw(rows, mean, scatter, np.concatenate([a[3], b[3]]), np.concatenate([a[4], b[4]]))

    def zero(self) -> Any:
        raise no_rows()

    def _draw(self, rows: int, mean: Array, scatter: Array, hashes: Array, X: Array) -> Any:
        """Keep the k different rows with the smallest hashes."""
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        first = np.concatenate([[True], hashes[1:] != hashes[:-1]])
        order = order[first][: self.k]
        return rows, mean, scatter, hashes[first][: self.k], np.array(X[order])


def row_hashes(X: Array, seed: int) -> Any:
    """A 64-bit hash of each row's values and the seed (splitmix64 over the columns)."""
    bits = np.ascontiguousarray(X + 0.0).view(np.uint64)
    hashed = np.full(len(X), (seed * 0x9E3779B97F4A7C15 + 1) % 2**64, np.uint64)
    for column in bits.T:
        hashed ^= column
        hashed = (hashed ^ (hashed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        hashed = (hashed ^ (hashed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashed ^= hashed >> np.uint64(31)
    return hashed


class KMeans(Estimator):
    """k-means by Lloyd's iteration.

    n_clusters: how many centres, k
    max_iter: most iterations
    tol: squared movement of all centres together, against the mean variance of the features, that ends the fit
    init: first centres: sample (k rows drawn by the seed), or a .npy or .csv file of k rows; in Python also an array
    seed: draws the rows of init=sample

    Learned are cluster_centers_ (k, features), counts_ (k,), inertia_ (the sum of squared distances), n_ (rows),
    n_iter_ and converged_.
    """

    name: ClassVar[str] = "kmeans"
    kind: ClassVar[str] = "clusterer"
    needs_target: ClassVar[bool] = False
    learned: ClassVar[tuple[str, ...]] = ("cluster_centers_", "inertia_", "n_iter_", "converged_", "n_", "counts_")

    cluster_centers_: Array
    counts_: Array
    inertia_: float
    n_iter_: int
    converged_: bool
    n_: int
    labels_: Any

    def __init__(
        self, n_clusters: int = 8, max_iter: int = 300, tol: float = 1e-4, init: Any = "sample", seed: int = 0
    ) -> None:
        self.n_clusters = n_clusters
        self.max_iter = max_iter
        self.tol = tol
        self.init = init
        self.seed = seed

    def fit(self, X: Any, y: Any = None, **how: Any) -> Self:
        """As any estimator; of arrays also labels_ (rows,), each row's centre."""
        super().fit(X, y, **how)
        self.labels_ = None if isinstance(X, mr.Dataset) else self.predict(X)
        return self

    def fit_predict(self, X: Any, y: Any = None) -> Any:
        """Of arrays: learn, and tell each row's centre."""
        return self.fit(X).labels_

    def _fit(self, engine: mr.Engine, dataset: mr.Dataset, names: Any, observer: Any) -> None:
        if self.n_clusters < 1 or self.max_iter < 1:
            raise mr.UsageError(
                f"n_clusters is {self.n_clusters} and max_iter {self.max_iter}; both must be at least 1"
            )
        points = engine.cache(dataset)
        survey = Survey(self.n_clusters, self.seed, names.known)
        self.n_, _, scatter, _, drawn = engine.run(survey, points, observer=observer).value
        centers = self._first_centers(drawn)
        enough = self.tol * float(scatter.mean()) / self.n_
        self.converged_ = False
        for self.n_iter_ in range(1, self.max_iter + 1):
            sums = engine.run(KMeansStep(centers), points, observer=observer).value
            moved = np.where(sums.counts[:, None] > 0, sums.sums / np.maximum(sums.counts, 1)[:, None], centers)
            shift = float(((moved - centers) ** 2).sum())
            centers = moved
            if shift <= enough:
                self.converged_ = True
                break
        if shift > 0:  # the sums are those of the centres before they moved
            sums = engine.run(KMeansStep(centers), points, observer=observer).value
        self.cluster_centers_, self.inertia_, self.counts_ = centers, float(sums.cost), sums.counts
        self.feature_names_ = names.of(centers.shape[1])

    def _first_centers(self, drawn: Array) -> Array:
        if isinstance(self.init, str) and self.init == "sample":
            if len(drawn) < self.n_clusters:
                raise mr.InputError(
                    f"the input has {len(drawn)} different rows, too few for {self.n_clusters} clusters"
                )
            return drawn
        from_file = isinstance(self.init, str | Path)
        centers = _read_centers(str(self.init)) if from_file else np.array(self.init, np.float64, ndmin=2)
        if centers.shape != (self.n_clusters, drawn.shape[1]):
            raise mr.UsageError(
                f"{self.init if from_file else 'init'} holds {centers.shape[0]} centres of {centers.shape[1]} "
                f"features; {self.n_clusters} of {drawn.shape[1]} are needed"
            )
        return centers

    def predict(self, X: Any) -> Any:
        """The number of each row's nearest centre: (rows,) int64."""
        return mr.nearest(self._dense(X), self.cluster_centers_)

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the cost of arrays X: greater is better, as for other estimators."""
        return -mr.assign_nearest(self._dense(X), self.cluster_centers_).cost

    def _dense(self, X: Any) -> Array:
        X = self._rows(X)
        return np.asarray(X.toarray() if hasattr(X, "toarray") else X)

    def metrics(self) -> mr.Fold:
        return ClusterCost(self)

    def figures(self) -> dict[str, Any]:
        return {
            "n": self.n_,
            "inertia": self.inertia_,
            "iterations": self.n_iter_,
            "converged": self.converged_,
            "counts": self.counts_.tolist(),
            "centers": self.cluster_centers_.tolist(),
        }


class ClusterCost(Metrics):
    """The cost of given centres on new rows."""

    def map(self, block: Any) -> ClusterSums:
        return ClusterSums.of(self.model._rows(matrix_of(block)), self.model.cluster_centers_)

    def reduce(self, a: ClusterSums, b: ClusterSums) -> ClusterSums:
        return a + b

    def finish(self, sums: ClusterSums) -> dict[str, Any]:
        rows = int(sums.counts.sum())
        return {"n": rows, "inertia": sums.cost, "mean_squared_distance": sums.cost / rows}


def _read_centers(path: str) -> Array:
    if not Path(path).is_file():
        raise mr.UsageError(f"init is {path!r}; it must be 'sample' or a .npy or .csv file of centres")
    try:
        loaded = (
            np.load(path, allow_pickle=False) if path.endswith(".npy") else np.loadtxt(path, delimiter=",", ndmin=2)
        )
    except ValueError as error:
        raise mr.UsageError(f"{path} holds no table of numbers: {error}") from None
    return np.atleast_2d(np.asarray(loaded, np.float64))

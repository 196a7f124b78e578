"""Which centre is nearest to each row? One fused pass of k-means: labels, sums by centre, counts, cost.

The distance is sum_j (x_j - c_j)^2, added in order of j; ties go to the lowest index; sums and cost add in row order.
Both paths use these very operations, so they agree bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.kernels.load import Kernels, kernels_of

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]
    Labels = np.ndarray[Any, np.dtype[np.int32]]

_LANES = 8  # as in source_nearest.py
_ROWS = 2048  # of the library path at once: its distances stay in the cache


class Assignment(NamedTuple):
    """Of the rows nearest to each of k centres: sums (k, d), counts (k,); cost: the sum of squared distances."""

    sums: Floats
    counts: np.ndarray[Any, np.dtype[np.int64]]
    cost: float


def assign_nearest(X: Floats, centers: Floats, out_labels: Labels | None = None) -> Assignment:
    """Assign each row of X (n, d) to the nearest of centers (k, d); labels go to `out_labels` (n,) if given.

    A row with NaN goes to centre 0 at cost inf: refuse NaN earlier.
    """
    import numpy as np

    X, centers = np.ascontiguousarray(X, np.float64), np.ascontiguousarray(centers, np.float64)
    if X.ndim != 2 or centers.ndim != 2 or X.shape[1] != centers.shape[1] or not len(centers):
        raise ValueError(f"rows of shape {X.shape}, centres of shape {centers.shape}: columns must agree")
    labels = np.empty(len(X), np.int32) if out_labels is None else out_labels
    if labels.shape != (len(X),) or labels.dtype != np.int32 or not labels.flags.carray:
        raise ValueError(f"labels of {labels.dtype}, shape {labels.shape}; give int32, shape {(len(X),)}")
    kernels = kernels_of("nearest")
    return _by_numpy(X, centers, labels) if kernels is None else _compiled(kernels, X, centers, labels)


def _compiled(kernels: Kernels, X: Floats, centers: Floats, labels: Labels) -> Assignment:
    import numpy as np

    (n, d), k = X.shape, len(centers)
    padded = -(-k // _LANES) * _LANES
    across = np.full((d, padded), np.inf)
    across[:, :k] = centers.T
    sums, counts, cost = np.zeros((k, d)), np.zeros(k, np.int64), np.zeros(1)
    least, best = np.empty(_LANES), np.empty(_LANES, np.int64)
    kernels["assign_rows"](
        X.ctypes.data, n, d, across.ctypes.data, padded, labels.ctypes.data, sums.ctypes.data,
        counts.ctypes.data, least.ctypes.data, best.ctypes.data, cost.ctypes.data,
    )  # fmt: skip
    return Assignment(sums, counts, float(cost[0]))


def _by_numpy(X: Floats, centers: Floats, labels: Labels) -> Assignment:
    import numpy as np

    sums, counts, cost = np.zeros(centers.shape), np.zeros(len(centers), np.int64), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(X), _ROWS):
            rows = X[start : start + _ROWS]
            distances = np.zeros((len(rows), len(centers)))
            for j in range(X.shape[1]):
                difference = rows[:, j, None] - centers[:, j]
                distances += difference * difference
            distances[np.isnan(distances)] = np.inf
            nearest = distances.argmin(axis=1)
            labels[start : start + len(rows)] = nearest
            np.add.at(sums, nearest, rows)  # row by row
            counts += np.bincount(nearest, minlength=len(centers))
            least = distances[np.arange(len(rows)), nearest]
            cost = float(np.cumsum(np.concatenate([[cost], least]))[-1])  # cumsum adds one by one; sum adds in pairs
    return Assignment(sums, counts, cost)

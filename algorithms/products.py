"""How are rows multiplied by what was learned, so that a row's answer does not depend on the rows beside it?

    X W,  X (rows, features), W (features, columns) or (features,):   x_1 w_1, + x_2 w_2, + x_3 w_3, ...

in this order for each row. BLAS adds in another one at the end of a block than within, and another on other processors;
then predictions would have other bits when files are cut elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

TILE = 2**15
"""Sums that are in the making at once: they stay in the processor's cache."""


def product(X: Any, W: Array) -> Array:
    """X W in floats, each row by itself; X may be sparse."""
    if hasattr(X, "tocsr"):
        return np.asarray(X.tocsr() @ W)  # adds in the order of the columns, too
    weights = W.reshape(len(W), -1, 1)
    found = np.empty((len(X), weights.shape[1]))
    tile = max(1, TILE // max(1, weights.shape[1]))
    for start in range(0, len(X), tile):
        columns = np.ascontiguousarray(X[start : start + tile].T, np.float64)
        sums = np.zeros((weights.shape[1], columns.shape[1]))
        terms = np.empty_like(sums)
        for x, w in zip(columns, weights, strict=True):
            sums += np.multiply(w, x, out=terms)
        found[start : start + tile] = sums.T
    return found.reshape(len(X), *W.shape[1:])

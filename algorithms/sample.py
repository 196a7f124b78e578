"""Which few rows stand for all? Those whose hash is smallest: a fair draw, and the same for any order and any cut.

    map     block   -> the k rows with the smallest hashes of their numbers and the seed
    reduce  a, b    -> the k smallest of both

Source: P. Efraimidis and P. Spirakis, Weighted Random Sampling with a Reservoir, 2006, of which this is the case of
equal weights; the hash stands for the random number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import mapreduce as mr
from algorithms.rows import Array, dense, no_rows

MULTIPLIER = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows drawn from `rows` of them: hashes ascend; X is (drawn, features), y (drawn,), or empty."""

    rows: int
    hashes: Any
    X: Array
    y: Array


class Sample(mr.Fold):
    """At most `size` rows, with their target if `target`."""

    def __init__(self, size: int, seed: int = 0, *, target: bool = True) -> None:
        self.size = size
        self.seed = seed
        self.target = target

    def map(self, block: Any) -> Drawn:
        X = dense(block)
        y = np.asarray(block.y) if self.target else np.zeros(0)
        hashes = hashed(np.column_stack([X, y]) if self.target else X, self.seed)
        return self._smallest(len(X), hashes, X, y)

    def reduce(self, a: Drawn, b: Drawn) -> Drawn:
        hashes = np.concatenate([a.hashes, b.hashes])
        return self._smallest(a.rows + b.rows, hashes, np.vstack([a.X, b.X]), np.concatenate([a.y, b.y]))

    def zero(self) -> Drawn:
        raise no_rows()

    def _smallest(self, rows: int, hashes: Any, X: Array, y: Array) -> Drawn:
        order = np.lexsort([*X.T, hashes])[: self.size]  # equal hashes: by their numbers, so that no order shows
        return Drawn(rows, hashes[order], X[order], y[order] if len(y) else y)


def hashed(rows: Array, seed: int) -> Any:
    """A hash of each row's numbers (rows,) uint64."""
    words = (np.ascontiguousarray(rows, np.float64) + 0.0).view(np.uint64)  # + 0.0: -0.0 is 0.0
    state = np.full(len(rows), (seed + 1) * MULTIPLIER % 2**64, np.uint64)
    for column in words.T:
        state = (state ^ column) * np.uint64(MULTIPLIER)
        state ^= state >> np.uint64(29)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    return state ^ (state >> np.uint64(32))

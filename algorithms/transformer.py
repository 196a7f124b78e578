"""What do estimators share that predict no target? The Gram of the features, and what is done with it.

    map     block   -> n, sum x, sum xx', exact
    reduce  a, b    -> a + b

A transformer maps rows to rows; a description says something of the rows and is applied to none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms.classifier import exact_rows
from algorithms.metrics import Metrics
from algorithms.projection import Projection
from algorithms.rows import Array, no_rows
from algorithms.sums import ExactGram
from algorithms.sums.scatter import Scatter
from algorithms.sums_estimator import SumsEstimator


@dataclass(frozen=True, slots=True)
class Limit:
    """How many columns there may be, and what to do where there are more."""

    columns: int
    remedy: str

    def check(self, columns: int) -> None:
        if columns > self.columns:
            raise mr.UsageError(
                f"{columns} columns; what follows from their sums is computed in long integers, which takes minutes "
                f"beyond {self.columns}: {self.remedy}"
            )


class GramOfFeatures(mr.Fold):
    """Number of rows, sum x and sum xx'. Raises UsageError at the first rows, if they are wider than `limit` says."""

    def __init__(self, limit: Limit | None = None) -> None:
        self._limit = limit  # not part of what it sums

    def map(self, block: Any) -> ExactGram:
        rows = exact_rows(block)
        if self._limit is not None:
            self._limit.check(rows.columns)
        return ExactGram.of(rows)

    def reduce(self, a: ExactGram, b: ExactGram) -> ExactGram:
        return a + b

    def zero(self) -> ExactGram:
        raise no_rows()


class GramEstimator(SumsEstimator):
    """An estimator that learns from the Gram of the features."""

    needs_target: ClassVar[bool] = False
    least_rows: ClassVar[int] = 2

    n_: int

    def limit(self) -> Limit | None:
        """How many columns can be learned from in reasonable time."""
        return None

    def fold(self) -> mr.Fold:
        return GramOfFeatures(self.limit())

    def width(self, state: ExactGram) -> int:
        return state.columns

    def cut(self, state: ExactGram, columns: Sequence[int]) -> ExactGram:
        return state.pick([column for column in columns if column < state.columns])  # the target has no part in it

    def _scatter(self, state: ExactGram) -> Scatter:
        """Raises InputError for a single row."""
        if state.rows < 2:
            raise mr.InputError(f"the input has {state.rows} row; nothing varies in one: at least 2 are needed")
        if limit := self.limit():  # sums that were kept or merged
            limit.check(state.columns)
        self.n_ = state.rows
        return Scatter.of(state)


class Description(SumsEstimator):
    """Says something of the rows; there is nothing to predict."""

    kind: ClassVar[str] = "description"

    def answers(self, block: Any) -> Any:
        """Raises UsageError."""
        raise mr.UsageError(f"{self.name} describes rows and predicts nothing; see its figures")

    def metrics(self) -> mr.Fold:
        """Raises UsageError."""
        raise mr.UsageError(f"{self.name} describes rows and predicts nothing, so there is nothing to judge")


class Transformer(GramEstimator, Projection):
    """Maps rows to rows: `transform`, and back by `inverse_transform`. `predict` on the command line prints them."""

    kind: ClassVar[str] = "transformer"

    mean_: Array

    def inverse_transform(self, Z: Any) -> Array:
        raise NotImplementedError

    def answers(self, block: Any) -> list[str]:
        return ["\t".join(map(repr, row)) for row in np.asarray(self.transform(self.features_of(block))).tolist()]

    def metrics(self) -> mr.Fold:
        return Reconstruction(self)

    def _dense(self, X: Any) -> Array:
        X = self._rows(X)
        return np.asarray(X.toarray() if hasattr(X, "toarray") else X)


class Reconstruction(Metrics):
    """How well rows can be had back from what they are transformed to: mean squared distance, and the share of their
    scatter about the model's mean that is kept."""

    def map(self, block: Any) -> Array:
        X = self.model._dense(block.X)
        back = self.model.inverse_transform(np.asarray(self.model.transform(X)))
        return np.array([len(X), ((X - back) ** 2).sum(), ((X - self.model.mean_) ** 2).sum()])

    def reduce(self, a: Array, b: Array) -> Array:
        return a + b

    def finish(self, sums: Array) -> dict[str, Any]:
        rows, lost, scatter = sums.tolist()
        kept = 1 - lost / scatter if scatter > 0 else float("nan")
        return {"n": int(rows), "mean_squared_distance": lost / rows, "explained": kept}

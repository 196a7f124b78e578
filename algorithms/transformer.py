"""What do estimators share that predict no target? The Gram of the features, and what is done with it.

    map     block   -> n, sum x, sum xx', exact
    reduce  a, b    -> a + b

A transformer maps rows to rows; a description says something of the rows and is applied to none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms.classifier import exact_rows
from algorithms.metrics import Metrics
from algorithms.rows import Array, no_rows
from algorithms.sums import ExactGram
from algorithms.sums.scatter import Scatter
from algorithms.sums_estimator import SumsEstimator


class GramOfFeatures(mr.Fold):
    """Number of rows, sum x and sum xx'."""

    def map(self, block: Any) -> ExactGram:
        return ExactGram.of(exact_rows(block))

    def reduce(self, a: ExactGram, b: ExactGram) -> ExactGram:
        return a + b

    def zero(self) -> ExactGram:
        raise no_rows()


class GramEstimator(SumsEstimator):
    """An estimator that learns from the Gram of the features."""

    needs_target: ClassVar[bool] = False
    least_rows: ClassVar[int] = 2

    n_: int

    def fold(self) -> mr.Fold:
        return GramOfFeatures()

    def width(self, state: ExactGram) -> int:
        return state.columns

    def cut(self, state: ExactGram, columns: Sequence[int]) -> ExactGram:
        return state.pick([column for column in columns if column < state.columns])  # the target has no part in it

    def _scatter(self, state: ExactGram) -> Scatter:
        """Raises InputError for a single row."""
        if state.rows < 2:
            raise mr.InputError(f"the input has {state.rows} row; nothing varies in one: at least 2 are needed")
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


class Transformer(GramEstimator):
    """Maps rows to rows: `transform`, and back by `inverse_transform`. `predict` on the command line prints them."""

    kind: ClassVar[str] = "transformer"

    mean_: Array

    def transform(self, X: Any) -> Array:
        raise NotImplementedError

    def inverse_transform(self, Z: Any) -> Array:
        raise NotImplementedError

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        """Of arrays: learn, and transform the same rows."""
        return self.fit(X).transform(X)

    def answers(self, block: Any) -> list[str]:
        return ["\t".join(map(repr, row)) for row in self.transform(self.features_of(block)).tolist()]

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
        back = self.model.inverse_transform(self.model.transform(X))
        return np.array([len(X), ((X - back) ** 2).sum(), ((X - self.model.mean_) ** 2).sum()])

    def reduce(self, a: Array, b: Array) -> Array:
        return a + b

    def finish(self, sums: Array) -> dict[str, Any]:
        rows, lost, scatter = sums.tolist()
        kept = 1 - lost / scatter if scatter > 0 else float("nan")
        return {"n": int(rows), "mean_squared_distance": lost / rows, "explained": kept}

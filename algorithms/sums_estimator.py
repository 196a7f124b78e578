"""Which estimators need the data once only? Those whose model follows from exact sums of the rows.

    fit     state = sum over blocks of fold().map(block), one pass        model = learn(state)

What is kept, merged, taken away or cut to fewer columns is the state; `learn` reads no row. So a model can be fitted
again from stored sums: to new rows, without a file's rows, to another target or penalty.
"""

from __future__ import annotations

from typing import Any

import mapreduce as mr
from algorithms.estimator import Estimator
from algorithms.sums.states import State


class SumsEstimator(Estimator):
    """An estimator that learns from one state. A subclass gives `fold`, `width` and `learn`."""

    def check_parameters(self) -> None:
        """Raises UsageError for parameters that no data can suit; called before any row is read."""

    def fold(self) -> mr.Fold:
        """A fold over blocks whose partials are states, and whose value is their sum."""
        raise NotImplementedError

    def width(self, state: Any) -> int:
        """How many features the rows of this state have."""
        raise NotImplementedError

    def learn(self, state: Any) -> None:
        """Set all of `learned`; `feature_names_` and `target_name_` are set. Raises InputError."""
        raise NotImplementedError

    def fit_sums(self, state: State, names: list[str], target: str | None = None) -> None:
        """Learn from sums of rows of these features, wherever they come from."""
        self.check_parameters()
        self.feature_names_, self.target_name_ = names, target
        self.learn(state)

    def _fit(self, engine: mr.Engine, dataset: mr.Dataset, names: Any, observer: Any) -> None:
        self.check_parameters()
        state = engine.run(self.fold(), dataset, observer=observer).value
        self.fit_sums(state, names.of(self.width(state)), self.target_name_)

"""What does scikit-learn ask of an estimator with `transform`? Names of the new columns, and data frames on request."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Self

import numpy as np

import mapreduce as mr
from algorithms.estimator import Estimator
from algorithms.rows import Array


class Projection(Estimator):
    """An estimator that maps rows to rows. A subclass gives `transform` and `component_names_`."""

    _sklearn_output_config: dict[str, str]
    """What `set_output` asked for, where scikit-learn's `clone` looks for it."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "transform" in cls.__dict__:
            cls.transform = _shown(cls.transform)  # type: ignore[assignment, method-assign]

    @property
    def component_names_(self) -> list[str]:
        """Names of the columns that `transform` makes: here as many as there are features."""
        return [f"{self.name}{number}" for number in range(1, self.n_features_in_ + 1)]

    def transform(self, X: Any) -> Any:
        """New rows of arrays X (rows, features): (rows, components)."""
        raise NotImplementedError

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Of arrays: learn, and transform the same rows."""
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """The names of the new columns, as scikit-learn asks for them. Raises InputError for other features."""
        self._check_fitted()
        if input_features is not None:
            given = list(map(str, input_features))
            if len(given) != self.n_features_in_:
                raise mr.InputError(
                    f"input_features should have length equal to number of features ({self.n_features_in_}), got "
                    f"{len(given)}"
                )
            if self._has_names and given != self.feature_names_:
                raise mr.InputError(
                    "input_features is not equal to feature_names_in_: "
                    f"the model was fitted with {', '.join(self.feature_names_)}"
                )
        return np.array(self.component_names_, object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """What `transform` gives: 'default' for arrays, 'pandas' or 'polars' for data frames; None leaves it."""
        if transform not in (None, "default", "pandas", "polars"):
            raise mr.UsageError(f"transform is {transform!r}; choose 'default', 'pandas' or 'polars'")
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def _framed(self, Z: Array, X: Any) -> Any:
        """Z, made of X, as it was asked for."""
        wanted = getattr(self, "_sklearn_output_config", {}).get("transform")
        if wanted is None and "sklearn" in sys.modules:
            wanted = sys.modules["sklearn"].get_config()["transform_output"]
        if wanted == "pandas":
            import pandas as pd

            return pd.DataFrame(
                Z, index=X.index if isinstance(X, pd.DataFrame) else None, columns=self.component_names_
            )
        if wanted == "polars":
            import polars as pl

            return pl.DataFrame(Z, schema=self.component_names_, orient="row")
        return Z


def _shown(transform: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @wraps(transform)
    def shown(self: Projection, X: Any) -> Any:
        return self._framed(transform(self, X), X)

    return shown

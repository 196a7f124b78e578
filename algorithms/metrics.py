"""How well does a model do? Folds over rows whose target is known."""

from __future__ import annotations

from typing import Any

import numpy as np

import mapreduce as mr
from algorithms.rows import Array


class Metrics(mr.Fold):
    """Base of the folds that judge a model by rows with a known target."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def zero(self) -> Any:
        raise mr.InputError("the input has no rows to judge the model by")


class RegressionMetrics(Metrics):
    """Errors of a regression: n, MSE, RMSE, MAE and R2 = 1 - sum (y - f)^2 / sum (y - mean y)^2."""

    def map(self, block: Any) -> Array:
        y = block.y
        error = y - self.model.predict(block.X)
        mean = y.mean()
        return np.array([len(y), error @ error, np.abs(error).sum(), mean, ((y - mean) ** 2).sum()])

    def reduce(self, a: Array, b: Array) -> Array:
        rows = a[0] + b[0]
        step = b[3] - a[3]
        scatter = a[4] + b[4] + step * step * a[0] * b[0] / rows
        return np.array([rows, a[1] + b[1], a[2] + b[2], a[3] + step * b[0] / rows, scatter])

    def finish(self, sums: Array) -> dict[str, float]:
        rows, squares, absolutes, _, scatter = sums.tolist()
        return {
            "n": int(rows),
            "mse": squares / rows,
            "rmse": float(np.sqrt(squares / rows)),
            "mae": absolutes / rows,
            "r2": 1 - squares / scatter if scatter > 0 else float("nan"),
        }

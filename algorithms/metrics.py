"""How well does a model do? Folds over rows whose target is known.

    regression       MSE = sum (y - f)^2 / n,  MAE = sum |y - f| / n,  R2 = 1 - sum (y - f)^2 / sum (y - mean y)^2
    classification   with c_tp rows of class t that are predicted as p:  accuracy = sum_k c_kk / n, an exact ratio
                     precision_k = c_kk / sum_t c_tk,  recall_k = c_kk / sum_p c_kp,  F1_k their harmonic mean
                     log-loss = -sum log P(y | x) / n

Macro averages are means over the classes, those that nobody is in among them; a ratio of 0 to 0 counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import mapreduce as mr
from algorithms.rows import labels_of, target_of
from algorithms.sums import ExactGram, ExactSum, to_float
from algorithms.sums.equations import to_root


class Metrics(mr.Fold):
    """Base of the folds that judge a model by rows with a known target."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def zero(self) -> Any:
        raise mr.InputError("the input has no rows to judge the model by")


@dataclass(frozen=True, slots=True)
class ErrorSums:
    """Exact sums of e = y - f and y with their products, and of |e|."""

    products: ExactGram
    sizes: ExactSum

    def __add__(self, other: ErrorSums) -> ErrorSums:
        return ErrorSums(self.products + other.products, self.sizes + other.sizes)


class RegressionMetrics(Metrics):
    """Errors of a regression: n, MSE, RMSE, MAE and R2 = 1 - sum (y - f)^2 / sum (y - mean y)^2.

    An error is rounded once, as a float; their sums are exact, so the metrics have the same bits for any cut.
    """

    def map(self, block: Any) -> ErrorSums:
        y = target_of(block)
        error = y - self.model.predict(self.model.features_of(block))
        return ErrorSums(ExactGram.of(np.column_stack([error, y])), ExactSum.of(np.abs(error)))

    def reduce(self, a: ErrorSums, b: ErrorSums) -> ErrorSums:
        return a + b

    def finish(self, sums: ErrorSums) -> dict[str, float]:
        rows = sums.products.rows
        full = sums.products.matrix()
        squares, scatter = full[1][1], full[2][2] - full[0][2] ** 2 / rows
        return {
            "n": rows,
            "mse": to_float(squares / rows),
            "rmse": to_root(squares / rows),
            "mae": to_float(sums.sizes.sums()[0] / rows),
            "r2": to_float(1 - squares / scatter) if scatter else float("nan"),
        }


class ClassificationMetrics(Metrics):
    """Counts of true by predicted class, and the log-loss, of a model with `classes_`."""

    def map(self, block: Any) -> tuple[Any, ExactSum]:
        classes = self.model.classes_
        truth = self._numbers_of(block, classes)
        X = self.model.features_of(block)
        logs = self.model.predict_log_proba(X)
        predicted = np.searchsorted(classes, self.model.predict(X))
        size = len(classes)
        confusion = np.bincount(size * truth + predicted, minlength=size * size).reshape(size, size)
        losses = -logs[np.arange(len(truth)), truth]
        bound = np.isfinite(losses)
        return confusion, ExactSum.of(np.column_stack([np.where(bound, losses, 0.0), ~bound]))

    def _numbers_of(self, block: Any, classes: Any) -> Any:
        """Which class each row is in, by its place among the classes. Raises InputError for another one."""
        labels = labels_of(block)
        if (classes.dtype.kind == "U") != (labels.dtype.kind in "UO"):
            raise mr.InputError(
                f"the target holds {'text' if labels.dtype.kind in 'UO' else 'numbers'}, such as {_shown(labels[0])}; "
                f"the model's classes are {_shown(classes)}"
            )
        unknown = ~np.isin(labels, classes)
        if unknown.any():
            row = int(np.argmax(unknown))
            raise mr.InputError(
                f"{block.place(row)}: target {_shown(labels[row])} is none of the classes {_shown(classes)}"
            )
        return np.searchsorted(classes, labels)

    def reduce(self, a: Any, b: Any) -> tuple[Any, ExactSum]:
        return a[0] + b[0], a[1] + b[1]

    def finish(self, sums: Any) -> dict[str, Any]:
        confusion, losses = sums
        loss, boundless = losses.sums()
        rows, correct = int(confusion.sum()), int(np.trace(confusion))
        right, said, true = (np.diag(confusion).tolist(), *(confusion.sum(axis=axis).tolist() for axis in (0, 1)))
        precision = [_ratio(value, whole) for value, whole in zip(right, said, strict=True)]
        recall = [_ratio(value, whole) for value, whole in zip(right, true, strict=True)]
        f1 = [_ratio(2 * value, a + b) for value, a, b in zip(right, said, true, strict=True)]
        labels = self.model.classes_.tolist()
        return {
            "n": rows,
            "accuracy": correct / rows,
            "correct": f"{correct}/{rows}",
            "log_loss": math.inf if boundless else to_float(loss / rows),
            "macro_precision": _mean(precision),
            "macro_recall": _mean(recall),
            "macro_f1": _mean(f1),
            "precision": dict(zip(labels, map(float, precision), strict=True)),
            "recall": dict(zip(labels, map(float, recall), strict=True)),
            "f1": dict(zip(labels, map(float, f1), strict=True)),
            "confusion": confusion.tolist(),
        }


def accuracy(predicted: Any, truth: Any, weights: Any = None) -> float:
    """The share of rows of arrays whose class is the predicted one, as scikit-learn takes it."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(truth, predicted, sample_weight=weights))


def r2(predicted: Any, truth: Any, weights: Any = None) -> float:
    """R2 of predictions of arrays, as scikit-learn takes it."""
    from sklearn.metrics import r2_score

    return float(r2_score(truth, predicted, sample_weight=weights))


def _ratio(part: int, whole: int) -> Fraction:
    return Fraction(part, whole) if whole else Fraction(0)


def _mean(values: Sequence[Fraction]) -> float:
    return float(sum(values, Fraction(0)) / len(values))


def _shown(values: Any) -> str:
    """A label, or some of several; whole numbers without a point."""
    if getattr(values, "ndim", 0):
        return f"[{', '.join(map(_shown, values[:10]))}{', ...' if len(values) > 10 else ''}]"
    return repr(str(values)) if isinstance(values, str) else f"{values:.17g}"

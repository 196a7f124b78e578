"""What do the classifiers that learn from sums share? Class labels, priors, and predicting by the most probable class.

    P(k | x) = exp(l_k - log sum_j exp l_j),    l_k = log P(k) + log p(x | k)

A subclass gives l in `joint_log_likelihood`. What does not depend on the class may be left out of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np

import mapreduce as mr
from algorithms import tables
from algorithms.metrics import ClassificationMetrics, accuracy
from algorithms.rows import Array, classes_of, no_rows
from algorithms.sums import ClassSums, to_float
from algorithms.sums.logarithms import to_log
from algorithms.sums_estimator import SumsEstimator

MAX_CLASSES = 10_000
"""A target of more different values is a number to predict, not a class."""
MOST_SHOWN = 60
"""Features up to which a table has a line for each; JSON has them all."""


class ByClass(mr.Fold):
    """Base of the folds whose partials are a state for each class."""

    def reduce(self, a: ClassSums, b: ClassSums) -> ClassSums:
        joined = a + b
        if len(joined.states) > MAX_CLASSES:
            raise mr.InputError(f"the target has over {MAX_CLASSES} different values; a classifier needs classes")
        return joined

    def zero(self) -> ClassSums:
        raise no_rows()


class Classifier(SumsEstimator):
    """An estimator whose target is a class."""

    kind: ClassVar[str] = "classifier"
    takes_many_classes: ClassVar[bool] = True

    classes_: Any
    """(classes,), ascending."""
    class_count_: Any

    def joint_log_likelihood(self, X: Any) -> Array:
        """log P(k) + log p(x | k), or as much of it as depends on k: (rows, classes)."""
        raise NotImplementedError

    def cut_class(self, state: Any, features: Sequence[int]) -> Any:
        """The state of one class with these features alone."""
        return state.pick(features)

    def cut(self, state: ClassSums, columns: Sequence[int]) -> ClassSums:
        *features, target = columns
        if target != self.width(state):
            raise mr.UsageError(
                f"the sums of {self.name} are those of the classes of one target; fit it to another one afresh"
            )
        return ClassSums({label: self.cut_class(each, features) for label, each in state.states.items()})

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> Self:
        """As any estimator of sums. `classes` is scikit-learn's, and not needed: a new class is learned as it comes."""
        return super().partial_fit(X, y)

    def predict(self, X: Any) -> Any:
        """The most probable class of each row: (rows,); of several the first."""
        found = self.joint_log_likelihood(X)
        return self.classes_[np.argmax(found, axis=1)]

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the classes' probabilities: (rows, classes)."""
        found = self.joint_log_likelihood(X)
        found = found - found.max(axis=1, keepdims=True)
        return np.asarray(found - np.log(np.exp(found).sum(axis=1, keepdims=True)))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes: (rows, classes)."""
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows of arrays X and y that are predicted rightly."""
        return accuracy(self.predict(X), y, sample_weight)

    def metrics(self) -> mr.Fold:
        return ClassificationMetrics(self)

    def figures(self) -> dict[str, Any]:
        labels = self.classes_.tolist()
        return {
            "n": int(self.class_count_.sum()),
            "classes": labels,
            "count": dict(zip(labels, self.class_count_.tolist(), strict=True)),
        }

    def _table(self, priors: Array, features: Mapping[str, Array]) -> str:
        """The classes, and figures (classes, features), or with an intercept beside, by their titles; where there are
        many features, without them."""
        labels = [str(label) for label in self.classes_]
        head = tables.columns(
            ["class", "n", "prior"], zip(labels, self.class_count_.tolist(), priors.tolist(), strict=True)
        )
        if len(self.feature_names_) > MOST_SHOWN:
            return f"{int(self.class_count_.sum())} rows, {len(self.feature_names_)} features\n\n{head}"
        names = [*self.feature_names_, "intercept"]
        parts = [
            tables.columns([title, *labels[-len(rows) :]], zip(names, *rows.tolist(), strict=False))
            for title, rows in features.items()
        ]
        return "\n".join([f"{int(self.class_count_.sum())} rows\n", head, *parts])

    def _take_classes(self, counts: dict[Any, int]) -> list[Any]:
        """Set `classes_` and `class_count_`; the labels in their order."""
        labels = sorted(counts)
        self.classes_ = classes_of(labels)
        self.class_count_ = np.array([counts[label] for label in labels], np.int64)
        return labels


def exact_rows(block: Any) -> mr.Slices:
    """X of a block as exact numbers. Raises InputError for NaN and infinity, naming the place."""
    slices: mr.Slices = block.exact(target=False)
    return slices


def priors_of(counts: Sequence[int], given: Iterable[float] | None, name: str) -> list[Fraction]:
    """P(k): as given, else the share of the class among the rows. Raises UsageError for what are no probabilities."""
    if given is None:
        return [Fraction(count, sum(counts)) for count in counts]
    priors = [decimal(value) for value in given]
    if len(priors) != len(counts):
        raise mr.UsageError(f"{name} has {len(priors)} entries, the target has {len(counts)} classes; give one a class")
    if min(priors) <= 0 or abs(sum(priors, Fraction(0)) - 1) > Fraction(1, 10**8):
        raise mr.UsageError(f"{name} is {list(map(float, priors))}; probabilities are above 0, and their sum is 1")
    return priors


def logs_of(values: Iterable[Fraction]) -> Array:
    return np.array([to_log(value) for value in values])


def floats_of(rows: Iterable[Iterable[Fraction]]) -> Array:
    """Correctly rounded: (rows, columns)."""
    return np.array([[to_float(value) for value in row] for row in rows])


def decimal(value: Any) -> Fraction:
    """A parameter as the decimal that its user wrote: 0.1 is a tenth."""
    return Fraction(repr(float(value)))

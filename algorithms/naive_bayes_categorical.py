"""Categorical naive Bayes: within a class each feature takes each of its categories with a probability of its own.

    map     block   -> how often each category of each feature occurs in each class
    reduce  a, b    -> a + b
    finish  P(c | k, j) = (N_kjc + a) / (n_k + a |C_j|),   C_j the categories of feature j,  a = alpha
            l_k = log P(k) + sum_j log P(x_j | k, j)

Categories are text or numbers, whichever the column holds; where they are the whole numbers from 0 on, as scikit-learn
wants them, numbers in between that never occur count among them as there. Each logarithm is that of an exact ratio,
correctly rounded.

Source: C. Manning, P. Raghavan and H. Schuetze, Introduction to Information Retrieval, 2008, chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

import mapreduce as mr
from algorithms import tables
from algorithms.classifier import ByClass, Classifier, decimal, logs_of, priors_of
from algorithms.rows import Array, labels_of
from algorithms.sums import ClassSums, Counts

MOST_LISTED = 200
"""Categories whose shares stand in the table; JSON has them all."""
MOST_CATEGORIES = 100_000
"""A feature of more different values is a number, or a name of each row."""


class CategoriesByClass(ByClass):
    """Counts of the categories, of each feature (by its number), of each class."""

    def map(self, block: Any) -> ClassSums:
        labels, columns = np.asarray(labels_of(block)), block.categories()
        found = {}
        for label in np.unique(labels).tolist():
            rows = labels == label
            found[label] = ClassSums({j: Counts.of(_plain(column[rows])) for j, column in enumerate(columns)})
        return ClassSums(found)


class CategoricalNaiveBayes(Classifier):
    """Naive Bayes with features that are categories.

    alpha: added to each count; 0 for none
    fit_prior: whether classes are as probable as they are frequent; else all are equally probable
    class_prior: probabilities of the classes in their order, instead
    min_categories: how many categories a feature of whole numbers has at least

    Learned are classes_, class_count_ and class_log_prior_ (classes,), n_categories_ (features,), categories_, those of
    one feature after the other, and feature_log_prob_ (classes, categories).
    """

    name: ClassVar[str] = "categorical_naive_bayes"
    takes_categories: ClassVar[bool] = True
    learned: ClassVar[tuple[str, ...]] = (
        "classes_", "class_count_", "class_log_prior_", "n_categories_", "categories_", "feature_log_prob_",
    )  # fmt: skip

    class_log_prior_: Array
    n_categories_: Any
    categories_: list[Any]
    feature_log_prob_: Array

    def __init__(
        self,
        alpha: float = 1.0,
        fit_prior: bool = True,
        class_prior: list[float] | None = None,
        min_categories: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.fit_prior = fit_prior
        self.class_prior = class_prior
        self.min_categories = min_categories

    def check_parameters(self) -> None:
        if not 0 <= self.alpha < float("inf"):
            raise mr.UsageError(f"alpha is {self.alpha}; it must be 0 or more")

    def fold(self) -> mr.Fold:
        return CategoriesByClass()

    def width(self, state: ClassSums) -> int:
        return len(next(iter(state.states.values())).states)

    def cut_class(self, state: ClassSums, features: Sequence[int]) -> ClassSums:
        return ClassSums({number: state.states[j] for number, j in enumerate(features)})

    def learn(self, state: ClassSums) -> None:
        labels = self._take_classes({label: each.states[0].rows for label, each in state.states.items()})
        even = None if self.fit_prior else [1] * len(labels)
        self.class_log_prior_ = logs_of(priors_of(even or self.class_count_.tolist(), self.class_prior, "class_prior"))
        alpha, every, logs = decimal(self.alpha), [], []
        for j, name in enumerate(self.feature_names_):
            counts = [state.states[label].states[j].counts for label in labels]
            categories = self._categories(name, sorted({category for each in counts for category in each}))
            every.append(categories)
            logs.append([_log_shares([each.get(category, 0) for category in categories], alpha) for each in counts])
        self.n_categories_ = np.array([len(each) for each in every], np.int64)
        self.categories_ = [category for each in every for category in each]
        self.feature_log_prob_ = np.hstack([np.array(each) for each in logs])

    def _categories(self, name: str, found: list[Any]) -> list[Any]:
        if len(found) > MOST_CATEGORIES:
            raise mr.InputError(
                f"column {name!r} has {len(found)} different values, too many for categories; leave it out (--features)"
            )
        whole = all(isinstance(value, int) and value >= 0 for value in found)
        if not whole or found[-1] >= MOST_CATEGORIES:
            return found
        return list(range(max(found[-1] + 1, self.min_categories or 0)))

    def feature_log_prob_of(self, feature: int) -> Array:
        """log P(c | k) of one feature: (classes, categories)."""
        start = int(self.n_categories_[:feature].sum())
        return self.feature_log_prob_[:, start : start + int(self.n_categories_[feature])]

    def features_of(self, block: Any) -> Any:
        return self._numbers_of(block.categories(), block.place)

    def joint_log_likelihood(self, X: Any) -> Array:
        if not isinstance(X, _Numbers):
            X = self._numbers_of(list(self._rows(X).T), lambda row: f"row {row}")
        found = np.tile(self.class_log_prior_, (len(X[0]), 1))
        for numbers in X:
            found += self.feature_log_prob_[:, numbers].T
        return found

    def _numbers_of(self, columns: Sequence[Any], place: Callable[[int], str]) -> _Numbers:
        """Where the category of each row stands among all, for each feature. Raises InputError for unknown ones."""
        found, start = _Numbers(), 0
        for name, column, size in zip(self.feature_names_, columns, self.n_categories_.tolist(), strict=True):
            known = {category: start + number for number, category in enumerate(self.categories_[start : start + size])}
            values = _plain(column)
            unknown = next((row for row, value in enumerate(values) if value not in known), None)
            if unknown is not None:
                shown = ", ".join(map(repr, list(known)[:5])) + (", ..." if size > 5 else "")
                raise mr.InputError(
                    f"{place(unknown)}: column {name!r} holds {values[unknown]!r}, none of the categories that "
                    f"the model knows ({shown}); leave such rows out, or fit with some of them"
                )
            found.append([known[value] for value in values])
            start += size
        return found

    def figures(self) -> dict[str, Any]:
        labels = self.classes_.tolist()
        start, logs = 0, {}
        for name, size in zip(self.feature_names_, self.n_categories_.tolist(), strict=True):
            logs[name] = {
                label: dict(zip(self.categories_[start : start + size], row[start : start + size], strict=True))
                for label, row in zip(labels, self.feature_log_prob_.tolist(), strict=True)
            }
            start += size
        return {
            **super().figures(),
            "class_log_prior": dict(zip(labels, self.class_log_prior_.tolist(), strict=True)),
            "feature_log_prob": logs,
        }

    def table(self) -> str:
        text = self._table(np.exp(self.class_log_prior_), {})
        if len(self.categories_) > MOST_LISTED:
            return f"{text}\n{len(self.categories_)} categories of the features\n"
        labels = [str(label) for label in self.classes_.tolist()]
        start = 0
        for name, size in zip(self.feature_names_, self.n_categories_.tolist(), strict=True):
            shares = np.exp(self.feature_log_prob_[:, start : start + size]).tolist()
            categories = map(str, self.categories_[start : start + size])
            text += f"\n{tables.columns([f'P of {name}', *labels], zip(categories, *shares, strict=True))}"
            start += size
        return text


class _Numbers(list[list[int]]):
    """Rows as the model knows them: of each feature, where the rows' categories stand among all."""


def _log_shares(counts: list[int], alpha: Fraction) -> Array:
    whole = sum(counts) + alpha * len(counts)
    return logs_of((count + alpha) / whole for count in counts)


def _plain(column: Any) -> list[Any]:
    """Categories as Python's values; whole numbers as integers, so that 1 and 1.0 are one."""
    return [
        int(value) if not isinstance(value, str) and float(value).is_integer() else value
        for value in np.asarray(column).tolist()
    ]

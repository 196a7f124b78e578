"""What do all estimators share? Parameters, and fitting from files or arrays.

Conventions are scikit-learn's: the constructor only stores its parameters, `fit` returns self, what is learned ends in
an underscore. So `sklearn.base.clone`, Pipeline and GridSearchCV work. `fit` also takes what scikit-learn cannot: a
dataset of files larger than memory.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

import mapreduce as mr
from algorithms.models import save_model
from algorithms.rows import rows_of

logger = logging.getLogger("mapreduce.algorithms")


class Estimator:
    """Base of the estimators. A subclass names its parameters in the constructor and what it learns in `learned`."""

    name: ClassVar[str]
    kind: ClassVar[str]
    """regressor, classifier, clusterer or transformer, as scikit-learn says; description of what predicts nothing."""
    needs_target: ClassVar[bool] = True
    takes_categories: ClassVar[bool] = False
    """Whether its features name classes, and may be text."""
    takes_counts: ClassVar[bool] = False
    """Whether its features must not be below 0."""
    takes_many_classes: ClassVar[bool] = False
    """Whether a classifier tells more than two classes apart."""
    least_rows: ClassVar[int] = 1
    """Fewer rows in arrays say nothing, whatever the parameters."""
    learned: ClassVar[tuple[str, ...]] = ()
    """Learned attributes that make the model: arrays, numbers, strings or lists of strings."""

    feature_names_: list[str]
    target_name_: str | None
    lineage_: Mapping[str, Any] = MappingProxyType({})
    """What files it was made from, and by which code: see `Engine.lineage`."""

    predict: Callable[[Any], Any]
    """Predictions (rows,) for an array X (rows, features). Descriptions and transformers have none."""
    _sample_weight: Any = None
    """Weights of the rows of arrays, while they are learned from."""
    _has_names: bool = False
    """Whether the input named its columns."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor parameters by name (scikit-learn's protocol)."""
        return {name: getattr(self, name) for name in _parameters(type(self))}

    def set_params(self, **parameters: Any) -> Self:
        known = _parameters(type(self))
        for name, value in parameters.items():
            if name not in known:
                raise mr.UsageError(f"{type(self).__name__} has no parameter {name!r}; {mr.near(name, known)}")
            setattr(self, name, value)
        return self

    def fit(self, X: Any, y: Any = None, *, engine: mr.Engine | None = None, observer: Any = None) -> Self:
        """Learn from a dataset, or from arrays X (rows, features) and y (rows,).

        Without an `engine`, files are read by one worker per CPU, arrays in this process. Raises UsageError where a
        target is missing, InputError for data that cannot be learned from.
        """
        names: Sequence[str] | None
        if isinstance(X, mr.Dataset):
            dataset = self.reads(X).resolved()
            names = dataset.feature_names()
            self.target_name_ = dataset.target_name()
        else:
            from algorithms.arrays import names_of

            names = names_of(X)
            self.target_name_ = getattr(y, "name", None)
            dataset = self.reads(self._arrays(X, y))
        from_files = isinstance(X, mr.Dataset)
        with (
            nullcontext(engine) if engine is not None else mr.Engine("local" if from_files else "inline") as used,
            ThreadPoolExecutor(1) as aside,
        ):
            lineage = aside.submit(used.lineage, self, dataset) if from_files else None
            self._fit(used, dataset, _Names(names), observer)
            self.lineage_ = lineage.result() if lineage is not None else {}
        self._has_names = names is not None
        if not getattr(self, "converged_", True):
            taken = getattr(self, "n_iter_", "all")
            logger.warning("%s has not converged after %s iterations; raise max_iter", self.name, taken)
        return self

    def reads(self, dataset: mr.Dataset) -> mr.Dataset:
        """The dataset as this estimator reads it: the target of a classifier may be text, and so may the features of
        one that takes categories."""
        if self.kind == "classifier":
            dataset = dataset.with_labels()
        return dataset.with_categories() if self.takes_categories else dataset

    def _arrays(self, X: Any, y: Any, *, is_known: bool = False) -> mr.Dataset:
        """Arrays as a dataset, checked. `is_known`: they must have the model's features. Raises UsageError where there
        is no y but should be, InputError."""
        from algorithms.arrays import checked_rows, checked_target

        rows = checked_rows(X, self, is_known=is_known)
        target = checked_target(y, self, rows.shape[0]) if self.needs_target else None
        return mr.from_arrays(rows, target, weights=self._sample_weight)

    def _fit(self, engine: mr.Engine, dataset: mr.Dataset, names: _Names, observer: Any) -> None:
        """Learn; sets `feature_names_` and all of `learned`."""
        raise NotImplementedError

    def answers(self, block: Any) -> Any:
        """What is told of each row of a block, in order: numbers or text."""
        return self.predict(self.features_of(block))

    def features_of(self, block: Any) -> Any:
        """The rows of a block as `predict` takes them. Raises InputError for NaN and infinity, naming the place."""
        return rows_of(block, self.feature_names_)

    def metrics(self) -> mr.Fold:
        """A fold over blocks with a target, whose value is a dictionary of metrics."""
        raise NotImplementedError

    def figures(self) -> dict[str, Any]:
        """What a person wants to see of the fitted model, ready for JSON."""
        raise NotImplementedError

    def table(self) -> str | None:
        """The figures as a statistician expects to see them, in lines (see algorithms/tables.py). None: a line each."""
        return None

    @property
    def n_features_in_(self) -> int:
        return len(self.feature_names_)

    @property
    def feature_names_in_(self) -> Any:
        """The names of the features as scikit-learn has them: only where the input named its columns."""
        if not self._has_names:
            raise AttributeError("feature_names_in_: the input had no names of columns")
        return np.array(self.feature_names_, object)

    def save(self, folder: str | Path) -> None:
        """Write the model; the folder is made. Floats keep all their bits."""
        self._check_fitted()
        save_model(self, folder)

    def _rows(self, X: Any) -> Any:
        """X as a matrix of floats with the model's features. Raises UsageError before `fit`, InputError for other
        features, NaN and infinity."""
        self._check_fitted()
        if not self.takes_categories and _is_plain(X, len(self.feature_names_)):  # as those of files are
            return X
        from algorithms.arrays import checked_rows

        rows = checked_rows(X, self, is_known=True)
        return rows if self.takes_categories else rows.astype(np.float64, copy=False)

    def _check_fitted(self) -> None:
        if not hasattr(self, "feature_names_"):
            from algorithms.arrays import NotFitted

            raise NotFitted(f"this {type(self).__name__} is not fitted; call fit first")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_names_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags, TransformerTags

        known = self.kind in ("classifier", "regressor", "clusterer")
        return Tags(
            estimator_type=self.kind if known else None,
            target_tags=TargetTags(required=self.needs_target),
            transformer_tags=TransformerTags() if hasattr(self, "transform") else None,
            classifier_tags=(
                ClassifierTags(multi_class=self.takes_many_classes, poor_score=self.takes_counts)  # by what is no count
                if self.kind == "classifier"
                else None
            ),
            regressor_tags=RegressorTags() if self.kind == "regressor" else None,
            input_tags=InputTags(
                sparse=not self.takes_categories, positive_only=self.takes_counts, categorical=self.takes_categories
            ),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"


class _Names:
    """Names of features, where the input has any."""

    def __init__(self, names: Any) -> None:
        self.known = None if names is None else [str(name) for name in names]

    def of(self, features: int) -> list[str]:
        """As many names: x0, x1, ... where none are known."""
        return self.known if self.known is not None else [f"x{number}" for number in range(features)]


class Predictions(mr.Job):
    """The prediction of a model for each row, or the transformed row, in input order, a line each."""

    output_format = "text"
    reduce = None

    def __init__(self, model: Estimator) -> None:
        self.model = model

    def map_block(self, block: Any) -> tuple[Any, Any]:
        answers = self.model.answers(block)
        return answers, [None] * len(answers)


def _is_plain(X: Any, width: int) -> bool:
    """Whether X is a matrix of finite floats of this width."""
    if type(X) is not np.ndarray and getattr(X, "format", None) != "csr":
        return False
    return X.dtype == np.float64 and X.ndim == 2 and X.shape[1] == width and bool(np.isfinite(X.sum()))


def _parameters(cls: type) -> list[str]:
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return []
    return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]  # type: ignore[misc]

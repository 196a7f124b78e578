"""What do all estimators share? Parameters, fitting from files or arrays, saving without pickles.

Conventions are scikit-learn's: the constructor only stores its parameters, `fit` returns self, what is learned ends in
an underscore. So `sklearn.base.clone`, Pipeline and GridSearchCV work. `fit` also takes what scikit-learn cannot: a
dataset of files larger than memory.

A saved model is a folder of two files. `model.json` holds algorithm, parameters, names and figures; `arrays.npz` the
learned arrays, bit for bit. Loading needs no pickle. JSON has no inf and NaN: they are strings, such as "inf".
"""

from __future__ import annotations

import inspect
import json
import logging
import math
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

import algorithms
import mapreduce as mr
from algorithms.rows import Array, checked_matrix, checked_target

SCHEMA = 1

NOT_FINITE = ("inf", "-inf", "nan")

logger = logging.getLogger("mapreduce.algorithms")


class Estimator:
    """Base of the estimators. A subclass names its parameters in the constructor and what it learns in `learned`."""

    name: ClassVar[str]
    kind: ClassVar[str]
    """regressor, classifier or clusterer, as scikit-learn says."""
    needs_target: ClassVar[bool] = True
    learned: ClassVar[tuple[str, ...]] = ()
    """Learned attributes that make the model: arrays, numbers, strings or lists of strings."""

    feature_names_: list[str]
    target_name_: str | None

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
        if isinstance(X, mr.Dataset):
            dataset = X.resolved()
            names = dataset.feature_names()
            target = X.options.get("target")
            self.target_name_ = None if target is None else str(target)
        else:
            names = getattr(X, "columns", None)  # of a data frame
            self.target_name_ = getattr(y, "name", None)
            X = checked_matrix(X)
            dataset = mr.from_arrays(X, checked_target(y, rows=X.shape[0]) if self.needs_target else None)
        if engine is not None:
            self._fit(engine, dataset, _Names(names), observer)
        else:
            with mr.Engine("local" if isinstance(X, mr.Dataset) else "inline") as made:
                self._fit(made, dataset, _Names(names), observer)
        if not getattr(self, "converged_", True):
            taken = getattr(self, "n_iter_", "all")
            logger.warning("%s has not converged after %s iterations; raise max_iter", self.name, taken)
        return self

    def _fit(self, engine: mr.Engine, dataset: mr.Dataset, names: _Names, observer: Any) -> None:
        """Learn; sets `feature_names_` and all of `learned`."""
        raise NotImplementedError

    def predict(self, X: Any) -> Any:
        """Predictions (rows,) for an array X (rows, features)."""
        raise NotImplementedError

    def metrics(self) -> mr.Fold:
        """A fold over blocks with a target, whose value is a dictionary of metrics."""
        raise NotImplementedError

    def figures(self) -> dict[str, Any]:
        """What a person wants to see of the fitted model, ready for JSON."""
        raise NotImplementedError

    @property
    def n_features_in_(self) -> int:
        return len(self.feature_names_)

    def save(self, folder: str | Path) -> None:
        """Write the model; the folder is made. Floats keep all their bits."""
        self._check_fitted()
        folder = Path(folder)
        values = {name: getattr(self, name) for name in self.learned}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        header = {
            "schema": SCHEMA,
            "algorithm": self.name,
            "parameters": self.get_params(),
            "feature_names": self.feature_names_,
            "target_name": self.target_name_,
            "learned": {name: value for name, value in values.items() if name not in arrays},
            "figures": self.figures(),
        }
        text = json.dumps(_plain(header), indent=2, allow_nan=False) + "\n"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "model.json").unlink(missing_ok=True)  # an older one does not belong to these arrays
            np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
            (folder / "model.json").write_text(text, encoding="utf-8")  # last: a folder that has it is whole
        except OSError as error:
            raise mr.ResourceError(f"the model cannot be written to {folder}: {error.strerror}") from error

    def _rows(self, X: Any) -> Any:
        """X as a matrix with the model's features. Raises UsageError before `fit`, InputError for another width."""
        self._check_fitted()
        X = X if hasattr(X, "tocsr") else np.asarray(X, np.float64)
        if X.ndim != 2 or X.shape[1] != len(self.feature_names_):
            raise mr.InputError(
                f"X has shape {X.shape}; the model takes (rows, {len(self.feature_names_)}), its features are "
                f"{', '.join(self.feature_names_[:10])}{', ...' if len(self.feature_names_) > 10 else ''}"
            )
        return X

    def _check_fitted(self) -> None:
        if not hasattr(self, "feature_names_"):
            raise mr.UsageError(f"this {type(self).__name__} is not fitted; call fit first")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_names_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type=self.kind,
            target_tags=TargetTags(required=self.needs_target),
            classifier_tags=ClassifierTags(multi_class=False) if self.kind == "classifier" else None,
            regressor_tags=RegressorTags() if self.kind == "regressor" else None,
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


def load_model(folder: str | Path) -> Estimator:
    """Read a saved model. Raises UsageError for what is none."""
    path = Path(folder, "model.json")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        where = algorithms.ESTIMATORS[header["algorithm"]]
    except (FileNotFoundError, NotADirectoryError):
        raise mr.UsageError(
            f"{folder} is no model: it has no model.json; `mapreduce fit ... -o {folder}` makes one"
        ) from None
    except OSError as error:
        raise mr.UsageError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise mr.UsageError(f"{path} is no model of ours: {error}; fit it again") from None
    if header.get("schema") != SCHEMA:
        raise mr.UsageError(f"{path} has schema {header.get('schema')}, this version reads {SCHEMA}; fit it again")
    module, _, class_name = where.partition(":")
    try:
        model: Estimator = getattr(import_module(module), class_name)(**_numbers(header["parameters"]))
        model.feature_names_ = list(header["feature_names"])
        model.target_name_ = header["target_name"]
        with np.load(Path(folder, "arrays.npz"), allow_pickle=False) as arrays:
            learned = {**_numbers(header["learned"]), **{name: arrays[name] for name in arrays.files}}
        for name in model.learned:
            setattr(model, name, learned[name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise mr.UsageError(f"{folder} is damaged: {error}; fit it again") from None
    return model


class Predictions(mr.Job):
    """The prediction of a model for each row, in input order, a line each."""

    output_format = "text"
    reduce = None

    def __init__(self, model: Estimator) -> None:
        self.model = model

    def map_block(self, block: Any) -> tuple[Any, Any]:
        predicted = self.model.predict(block.X)
        return predicted, [None] * len(predicted)


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


def _parameters(cls: type) -> list[str]:
    return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]  # type: ignore[misc]


def _plain(value: Any) -> Any:
    """The value as strict JSON has it: numpy's as Python's own, inf, NaN and anything else as text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    return value if value is None or isinstance(value, int | str) else str(value)


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    """The same with numbers for the words that stand for them."""
    return {name: float(value) if value in NOT_FINITE else value for name, value in values.items()}

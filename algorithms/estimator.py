"""What do all estimators share? Parameters, fitting from files or arrays, saving without pickles.

Conventions are scikit-learn's: the constructor only stores its parameters, `fit` returns self, what is learned ends in
an underscore. `fit` also takes what scikit-learn cannot: a dataset of files larger than memory.

A saved model is a folder: `model.json` (algorithm, parameters, names, figures) and `arrays.npz`. Loading needs no pickle.
"""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

import algorithms
import mapreduce as mr

SCHEMA = 1
Array = np.ndarray[Any, np.dtype[np.float64]]


class Estimator:
    """Base of the estimators. A subclass names its parameters in the constructor and what it learns in `learned`."""

    name: ClassVar[str]
    needs_target: ClassVar[bool] = True
    learned: ClassVar[tuple[str, ...]] = ()
    """Learned attributes that make the model: arrays, numbers, strings or lists of strings."""

    feature_names_: list[str]

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
            dataset = X
        else:
            X, y = _checked_arrays(X, y, needs_target=self.needs_target)
            dataset = mr.from_arrays(X, y)
        if engine is not None:
            self._fit(engine, dataset, observer)
        else:
            with mr.Engine("local" if isinstance(X, mr.Dataset) else "inline") as made:
                self._fit(made, dataset, observer)
        return self

    def _fit(self, engine: mr.Engine, dataset: mr.Dataset, observer: Any) -> None:
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

    def save(self, folder: str | Path) -> None:
        """Write the model; the folder is made. Floats keep all their bits."""
        self._check_fitted()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        values = {name: getattr(self, name) for name in self.learned}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        header = {
            "schema": SCHEMA,
            "algorithm": self.name,
            "parameters": self.get_params(),
            "feature_names": self.feature_names_,
            "learned": {name: value for name, value in values.items() if name not in arrays},
            "figures": self.figures(),
        }
        (folder / "model.json").write_text(json.dumps(header, indent=2, default=_plain) + "\n")
        np.savez(folder / "arrays.npz", **arrays)

    def _check_fitted(self) -> None:
        if not hasattr(self, "feature_names_"):
            raise mr.UsageError(f"this {type(self).__name__} is not fitted; call fit first")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"


def load_model(folder: str | Path) -> Estimator:
    """Read a saved model. Raises UsageError for what is none."""
    path = Path(folder, "model.json")
    try:
        header = json.loads(path.read_text())
        where = algorithms.ESTIMATORS[header["algorithm"]]
    except FileNotFoundError:
        raise mr.UsageError(
            f"{folder} is no model: it has no model.json; `mapreduce fit ... -o {folder}` makes one"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise mr.UsageError(f"{path} is no model of ours: {error}; fit it again") from None
    if header.get("schema") != SCHEMA:
        raise mr.UsageError(f"{path} has schema {header.get('schema')}, this version reads {SCHEMA}; fit it again")
    module, _, class_name = where.partition(":")
    model: Estimator = getattr(import_module(module), class_name)(**header["parameters"])
    model.feature_names_ = list(header["feature_names"])
    with np.load(Path(folder, "arrays.npz"), allow_pickle=False) as arrays:
        for name in arrays.files:
            setattr(model, name, arrays[name])
    for name, value in header["learned"].items():
        setattr(model, name, value)
    return model


class Predictions(mr.Job):
    """The predictions of a model for each row, in input order."""

    reduce = None

    def __init__(self, model: Estimator) -> None:
        self.model = model

    def map_block(self, block: Any) -> tuple[Any, Any]:
        predicted = self.model.predict(block.X)
        return predicted, [None] * len(predicted)


class RegressionMetrics(mr.Fold):
    """Errors of a regression: n, MSE, RMSE, MAE and R2 = 1 - sum (y - f)^2 / sum (y - mean y)^2."""

    def __init__(self, model: Estimator) -> None:
        self.model = model

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
    """numpy values as JSON's own."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _checked_arrays(X: Any, y: Any, *, needs_target: bool) -> tuple[Array, Array | None]:
    X = np.ascontiguousarray(X, np.float64)
    if X.ndim != 2:
        raise mr.InputError(f"X has {X.ndim} dimensions; it must have 2: rows and features")
    if not np.isfinite(X).all():
        raise mr.InputError("X holds NaN or infinity; drop or impute these rows first")
    if not needs_target:
        return X, None
    if y is None:
        raise mr.UsageError("y is missing; pass the target of each row")
    y = np.ascontiguousarray(y, np.float64)
    if y.shape != (len(X),):
        raise mr.InputError(f"y has shape {y.shape}; X has {len(X)} rows, so it must be ({len(X)},)")
    return X, y


def names_of(dataset: mr.Dataset, features: int) -> list[str]:
    """Names of the dataset's features; x0, x1, ... where its format has none."""
    names = dataset.feature_names()
    return list(names) if names is not None else [f"x{number}" for number in range(features)]


def check_block(X: Array, block: Any) -> None:
    """Raise InputError if a block holds NaN or infinity."""
    if not np.isfinite(X).all():
        row = int(np.argmin(np.isfinite(X).all(axis=1)))
        raise mr.InputError(f"{block.place(row)}: the row holds NaN or infinity; drop or impute such rows first")

"""How is a model kept in files? As JSON and arrays: nothing has to be unpickled to load it.

A saved model is a folder of two files. `model.json` holds algorithm, parameters, names and figures; `arrays.npz` the
learned arrays, bit for bit. JSON has no inf and NaN: they are strings, such as "inf".
"""

from __future__ import annotations

import json
import math
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import algorithms
import mapreduce as mr

if TYPE_CHECKING:
    from algorithms.estimator import Estimator

SCHEMA = 1

NOT_FINITE = ("inf", "-inf", "nan")


def save_model(model: Estimator, folder: str | Path) -> None:
    """Write a fitted model; the folder is made. Floats keep all their bits. Raises ResourceError."""
    folder = Path(folder)
    values = {name: getattr(model, name) for name in model.learned}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    header = {
        "schema": SCHEMA,
        "algorithm": model.name,
        "parameters": model.get_params(),
        "feature_names": model.feature_names_,
        "target_name": model.target_name_,
        "learned": {name: value for name, value in values.items() if name not in arrays},
        "figures": model.figures(),
    }
    text = json.dumps(_plain(header), indent=2, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").unlink(missing_ok=True)  # an older one does not belong to these arrays
        np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
        (folder / "model.json").write_text(text, encoding="utf-8")  # last: a folder that has it is whole
    except OSError as error:
        raise mr.ResourceError(f"the model cannot be written to {folder}: {error.strerror}") from error


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

"""How is a model kept in files? As JSON and arrays: nothing has to be unpickled to load it.

```text
model/
  model.json                 algorithm, parameters, names, figures, lineage; it names the files below
  arrays-1f0c....npz         the learned arrays, bit for bit; named by their content
  sums-93ab....bin           the sums of each split, where they are kept
```

`model.json` is replaced at once, when the others rest beside it: so a folder holds the old model or the new one, whole.
JSON has no inf and NaN: they are strings, such as "inf". `digest` is the model's own: the SHA-256 of all but its
lineage and its sums, which tell how it was made.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import algorithms
import mapreduce as mr
from algorithms.kept_sums import KeptSums, name_of_bytes

if TYPE_CHECKING:
    from algorithms.estimator import Estimator

SCHEMA = 2

HEADER, NEW = "model.json", ".new-"
NOT_FINITE = ("inf", "-inf", "nan")


def digest_of_model(model: Estimator) -> str:
    """The same for equal models, however and from whichever files they were made."""
    header, arrays = _parts(model)
    return _digest(header, _packed(arrays))


def save_model(model: Estimator, folder: str | Path) -> None:
    """Write a fitted model; the folder is made. Floats keep all their bits. Raises ResourceError."""
    folder = Path(folder)
    header, arrays = _parts(model)
    packed = _packed(arrays)
    kept = getattr(model, "kept_sums_", None)
    contents = {f"arrays-{name_of_bytes(packed)}.npz": packed}
    page = {**header, "digest": _digest(header, packed), "arrays": next(iter(contents))}
    if kept is not None:
        sums = kept.to_bytes()
        page["sums"] = f"sums-{name_of_bytes(sums)}.bin"
        contents[page["sums"]] = sums
    page["lineage"] = {**model.lineage_, "options": _options_digest(header)}
    text = json.dumps(_plain(page), indent=2, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in {**contents, HEADER: text.encode()}.items():  # the header last: then the model is there
            _replace(folder / name, data)
        for pattern in ("arrays-*.npz", "sums-*.bin", f"{NEW}*"):
            for path in folder.glob(pattern):
                if path.name not in contents:
                    path.unlink()  # an older model's, or of one that was stopped while it was written
    except OSError as error:
        raise mr.ResourceError(f"the model cannot be written to {folder}: {error.strerror}") from error


def load_model(folder: str | Path) -> Estimator:
    """Read a saved model; if another takes its place meanwhile, that one. Raises UsageError for what is none."""
    path = Path(folder, HEADER)
    try:
        text = path.read_text(encoding="utf-8")
        header = json.loads(text)
        schema, where = header.get("schema"), algorithms.ESTIMATORS[header["algorithm"]]
    except (FileNotFoundError, NotADirectoryError):
        raise mr.UsageError(
            f"{folder} is no model: it has no model.json; `mapreduce fit ... -o {folder}` makes one"
        ) from None
    except OSError as error:
        raise mr.UsageError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise mr.UsageError(f"{path} is no model of ours: {error}; fit it again") from None
    if schema != SCHEMA:
        raise mr.UsageError(f"{path} has schema {schema}, this version reads {SCHEMA}; fit it again")
    module, _, class_name = where.partition(":")
    try:
        model: Estimator = getattr(import_module(module), class_name)(**_numbers(header["parameters"]))
        model.feature_names_ = list(header["feature_names"])
        model._has_names = model.feature_names_ != [f"x{number}" for number in range(len(model.feature_names_))]
        model.target_name_ = header["target_name"]
        model.lineage_ = header["lineage"]
        with np.load(io.BytesIO(_whole(Path(folder, header["arrays"]))), allow_pickle=False) as arrays:
            learned = {**_numbers(header["learned"]), **{name: arrays[name] for name in arrays.files}}
        for name in model.learned:
            setattr(model, name, learned[name])
        if "sums" in header:
            data = _whole(Path(folder, header["sums"]))
            model.kept_sums_ = KeptSums.from_bytes(data, model.state_from_bytes)  # type: ignore[attr-defined]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, mr.InputError) as error:
        if isinstance(error, FileNotFoundError) and _has_changed(path, text):
            return load_model(folder)
        raise mr.UsageError(f"{folder} is damaged: {error}; fit it again") from None
    return model


def _has_changed(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") != text
    except OSError:
        return False


def _parts(model: Estimator) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header, as far as it is the model's own, and the arrays."""
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
    return header, arrays


def _packed(arrays: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _digest(header: dict[str, Any], packed: bytes) -> str:
    text = json.dumps(_plain(header), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode() + packed).hexdigest()


def _options_digest(header: dict[str, Any]) -> str:
    text = json.dumps(_plain([header["algorithm"], header["parameters"]]), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    new = path.with_name(NEW + path.name)
    try:
        with open(new, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def _whole(path: Path) -> bytes:
    """The content of a file that is named by it. Raises ValueError."""
    data = path.read_bytes()
    if name_of_bytes(data) != path.stem.rpartition("-")[2]:
        raise ValueError(f"{path.name} does not hold what it held")
    return data


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

"""Which class does a JOB or ALGORITHM on the command line stand for?

wordcount                a built-in, from the registry in `algorithms/`
package.module:Class     importable, from the current directory too
path/file.py:Class       a file; executed once, under a name that is the same in every process
path/file.py             the same, where the file holds exactly one job
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
import types
from collections.abc import Mapping
from contextlib import redirect_stdout
from enum import Enum
from pathlib import Path
from typing import Any
from zlib import crc32

from mapreduce.dataclass import dataclass
from mapreduce.errors import JobError, MapReduceError, UsageError, near
from mapreduce.job import Chain, Fold, Job, check_job


class Kind(Enum):
    """What a name may stand for; the value is the word for it in messages."""

    JOB = "job"
    ALGORITHM = "algorithm"


@dataclass(frozen=True, slots=True)
class Found:
    """A class and the name by which messages call it."""

    name: str
    cls: type[Any]


def load_job(name: str) -> Found:
    """The class of a job. Raises UsageError with near names; JobError if the user's file raises while it loads."""
    return _load(name, Kind.JOB)


def load_algorithm(name: str) -> Found:
    """The class of an estimator, found in the same four ways."""
    return _load(name, Kind.ALGORITHM)


def make_job(found: Found, settings: Mapping[str, Any]) -> Job | Fold | Chain:
    """An instance of a job class, checked. An error in the user's constructor counts as the job's own failure."""
    try:
        job = found.cls(**settings)
    except MapReduceError:
        raise
    except (ValueError, TypeError) as error:
        raise UsageError(f"{found.name} refuses its settings: {error}") from error
    check_job(job)
    return job  # type: ignore[no-any-return]


def builtins_of(kind: Kind) -> dict[str, str]:
    """The registry: names of built-ins and where they live, 'module:Class'."""
    try:
        import algorithms
    except ModuleNotFoundError as error:
        if error.name != "algorithms":
            raise
        return {}
    registry: dict[str, str] = getattr(algorithms, "JOBS" if kind is Kind.JOB else "ESTIMATORS", {})
    return registry


def _load(name: str, kind: Kind) -> Found:
    place, colon, attribute = name.rpartition(":")
    if not colon:
        place, attribute = name, ""
    if place.endswith(".py"):
        module = _execute_file(Path(place), name)
        return Found(name, _class_in(module, attribute, kind, place))
    if colon:
        return Found(name, _class_in(_import(place, name), attribute, kind, place))
    known = builtins_of(kind)
    target = known.get(name) or known.get(name.replace("-", "_"))
    if target is None:
        raise UsageError(_unknown(name, kind, known))
    module_name, _, attribute = target.partition(":")
    return Found(name, getattr(importlib.import_module(module_name), attribute))


def _unknown(name: str, kind: Kind, known: Mapping[str, str]) -> str:
    if Path(f"{name}.py").is_file():
        return f"unknown {kind.value} {name!r}; for the file write {name}.py or {name}.py:Class"
    shapes = "package.module:Class or path/file.py:Class"
    return (
        f"unknown {kind.value} {name!r}; {near(name, list(known))} (`mapreduce jobs` lists all; your own is {shapes})"
    )


def _import(module_name: str, name: str) -> types.ModuleType:
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise UsageError(f"{name!r} is no job; write package.module:Class or path/file.py:Class")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        with redirect_stdout(sys.stderr):
            return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(f"{name!r}: {error}; is the name right, and the package installed here?") from error
    except Exception as error:
        raise _load_failure(name, error) from error


def _execute_file(path: Path, name: str) -> types.ModuleType:
    try:
        source = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"no file {path}{_near_file(path)}") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: {error}") from error
    module_name = _module_name(path)
    if module_name in sys.modules:
        return sys.modules[module_name]
    # No __spec__: an import would not find the module, so workers are sent its source.
    module = types.ModuleType(module_name)
    module.__file__ = str(path.resolve())
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as `python path/file.py` does, for what the file imports
    sys.modules[module_name] = module
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no result
            exec(compile(source, module.__file__, "exec"), module.__dict__)
    except BaseException as error:
        del sys.modules[module_name]
        if isinstance(error, ModuleNotFoundError):
            raise UsageError(f"{path}: {error}") from error
        if isinstance(error, SyntaxError):
            raise UsageError(f"{path}, line {error.lineno}: {error.msg}") from error
        if isinstance(error, Exception):
            raise _load_failure(name, error) from error
        raise
    return module


def _module_name(path: Path) -> str:
    """The same for a path in every process; another for a file of the same name elsewhere."""
    stem = "".join(letter if letter.isalnum() else "_" for letter in path.stem)
    return f"mapreduce_job_{stem}_{crc32(str(path.resolve()).encode()):08x}"


def _near_file(path: Path) -> str:
    folder = path.parent
    names = [str(folder / file.name) for file in folder.glob("*.py")] if folder.is_dir() else []
    return f"; {near(str(path), sorted(names))}" if names else ""


def _load_failure(name: str, error: Exception) -> JobError:
    frames = traceback.format_exception(type(error), error, error.__traceback__)
    failure = JobError(f"{name} raised while it was loaded: {type(error).__name__}: {error}")
    failure.add_note("".join(frames))
    return failure


def _class_in(module: types.ModuleType, attribute: str, kind: Kind, place: str) -> type[Any]:
    members = vars(module).items()
    candidates: dict[str, type[Any]] = {name: value for name, value in members if _is_candidate(value, module, kind)}
    if not attribute:
        if len(candidates) == 1:
            return next(iter(candidates.values()))
        if not candidates:
            raise UsageError(f"{place} defines no {kind.value}; {_remedy(kind)}")
        raise UsageError(f"{place} defines {', '.join(sorted(candidates))}; say which: {place}:{min(candidates)}")
    value = getattr(module, attribute, None)
    if value is None:
        raise UsageError(f"{place} has no {attribute!r}; {near(attribute, sorted(candidates))}")
    if not isinstance(value, type) or not _is_kind(value, kind):
        raise UsageError(f"{place}:{attribute} is not a {kind.value}; {_remedy(kind)}")
    found: type[Any] = value
    return found


def _is_candidate(value: object, module: types.ModuleType, kind: Kind) -> bool:
    is_own = isinstance(value, type) and value.__module__ == module.__name__ and not value.__name__.startswith("_")
    return is_own and _is_kind(value, kind)


def _is_kind(value: object, kind: Kind) -> bool:
    if not isinstance(value, type):
        return False
    return issubclass(value, Job | Fold | Chain) if kind is Kind.JOB else callable(getattr(value, "fit", None))


def _remedy(kind: Kind) -> str:
    if kind is Kind.JOB:
        return "a job is a class derived from mapreduce.Job or mapreduce.Fold"
    return "an algorithm is a class with fit(dataset, engine=...), figures(), metrics() and save(folder)"

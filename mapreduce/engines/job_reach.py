"""Which code can a job reach, as far as names tell: which functions, and in which modules?

Followed are the names that the job's class uses, those of its base classes and of its settings' classes, what these
use, and so on, through all modules of the user's and of the package that holds the job. Other installed packages count
by their version, or by the time of their installation; the standard library with Python's. What is imported only when
a function is called, and what is looked up by a name made up at run time, is not seen.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import mapreduce

_OURS = os.path.dirname(os.path.abspath(mapreduce.__file__)) + os.sep
_STANDARD = tuple(sysconfig.get_paths()[name] + os.sep for name in ("stdlib", "platstdlib"))
_INSTALLED = tuple(sysconfig.get_paths()[name] + os.sep for name in ("purelib", "platlib"))


@dataclass(frozen=True, slots=True)
class Reach:
    """The texts of modules by name, the versions of installed packages by name."""

    texts: dict[str, str]
    versions: dict[str, str]


def modules_of(job: Any) -> Reach:
    """The modules that the job's code can reach."""
    own = _own_packages(job)
    values = list(vars(job).values())
    todo = [each.__module__ for each in (*type(job).__mro__, *map(type, values))]
    todo += [other for value in values if (other := _module_of(value))]
    reach = Reach({}, {})
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if name in seen or file is None:
            continue
        seen.add(name)
        if _is_followed(name, own):
            reach.texts[name] = _text_of(file)
            todo += [other for value in list(vars(module).values()) if (other := _module_of(value))]
        elif os.path.abspath(file).startswith(_INSTALLED):
            package = name.partition(".")[0]
            reach.versions[package] = _version_of(package)
    return reach


def _text_of(file: str) -> str:
    try:
        return Path(file).read_bytes().decode("utf-8", "surrogateescape")
    except OSError:  # in a zip, or removed since
        return ""


def _version_of(package: str) -> str:
    module = sys.modules.get(package)
    version = getattr(module, "__version__", None)
    if isinstance(version, str):
        return version
    try:
        return str(os.stat(getattr(module, "__file__", None) or "").st_mtime_ns)
    except OSError:
        return ""


def _module_of(value: Any) -> str | None:
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return name if isinstance(name, str) else None


def functions_of(job: object) -> list[FunctionType]:
    """The functions that the job's code can reach by the names that it uses: methods of its class, of the classes of
    its settings, and what these call."""
    own = _own_packages(job)
    todo: list[Any] = [type(job), *vars(job).values(), *map(type, vars(job).values())]
    found: list[FunctionType] = []
    seen: set[int] = set()
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        inner = getattr(thing, "__func__", thing)  # of class methods and static ones
        if isinstance(inner, property):
            todo += [inner.fget, inner.fset]
        elif isinstance(inner, type) and _is_followed(inner.__module__, own):
            members = list(vars(inner).values())
            todo += [*inner.__bases__, *members, *map(type, members)]
        elif isinstance(inner, FunctionType) and _is_followed(inner.__module__, own):
            found.append(inner)
            used = inner.__globals__
            todo += [used[name] for name in sorted(names_of(inner.__code__) & used.keys())]
            todo += _contents(inner.__closure__ or ())
        elif isinstance(inner, functools.partial):
            todo += [inner.func, *inner.args, *inner.keywords.values()]
        elif hasattr(inner, "__wrapped__"):  # what a decorator made
            todo.append(inner.__wrapped__)
    return found


def _contents(cells: Iterable[CellType]) -> Iterator[Any]:
    for cell in cells:
        with suppress(ValueError):  # a variable that has no value yet
            yield cell.cell_contents


def names_of(code: CodeType) -> set[str]:
    """Names that a piece of code uses, and the functions and comprehensions in it."""
    inner = [names_of(const) for const in code.co_consts if isinstance(const, CodeType)]
    return {*code.co_names}.union(*inner)


def _own_packages(job: Any) -> set[str]:
    """Packages that hold the job's class and those that it is derived from."""
    return {cls.__module__.partition(".")[0] for cls in type(job).__mro__} - {"builtins", "mapreduce"}


def _is_followed(name: str | None, own: set[str]) -> bool:
    """Whether a module is the user's, or of the packages that hold the job; one without a file is of a prompt."""
    if name is None or name == "builtins":
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or name.partition(".")[0] in own:
        return True
    return not os.path.abspath(file).startswith((_OURS, *_STANDARD, *_INSTALLED))

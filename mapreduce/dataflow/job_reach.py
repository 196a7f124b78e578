"""Which code can a job reach, as far as names tell: which modules, and which functions?

Followed are the names in the modules of the job's class, of its base classes and of its settings' classes, what these
use, and so on, through all modules of the user's and of the package that holds the job. Other installed packages count
by their version, the standard library with Python's. What is imported only when a function is called, and what is
looked up by a name made up at run time, is not seen.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from mapreduce.dataflow.libraries import version_of
from mapreduce.dataflow.source_file import SourceFile
from mapreduce.job import Chain

_OURS = str(Path(__file__).resolve().parent.parent) + os.sep
_STANDARD = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class Reach(NamedTuple):
    """The modules whose texts count and the versions of other packages, both by name; and the classes at the root."""

    modules: dict[str, SourceFile]
    packages: dict[str, str]
    classes: list[type]


def reach_of(job: Any) -> Reach:
    """What the job's code can reach, or that of a chain and its jobs."""
    links = [job, *job.jobs()] if isinstance(job, Chain) else [job]
    own = {package for link in links for package in _own_packages(link)}
    values = [value for link in links for value in vars(link).values()]
    classes = [cls for each in (*links, *values) for cls in type(each).__mro__]
    reach = Reach({}, {}, [cls for cls in dict.fromkeys(classes) if _is_followed(cls.__module__, own)])
    todo: list[str | None] = [*(cls.__module__ for cls in classes), *map(_module_of, values)]
    seen: set[str | None] = {None}
    while todo:
        name = todo.pop()
        module = sys.modules.get(name or "")
        file = getattr(module, "__file__", None)
        if name is None or name in seen or module is None or file is None:
            continue
        seen.add(name)
        path = os.path.abspath(file)
        if _is_followed(name, own):
            if (text := _text_of(module, path)) is not None:
                reach.modules[name] = SourceFile(name, path, text, os.path.basename(path) == "__init__.py")
            todo += [_module_of(value) for value in list(vars(module).values())]
        elif not path.startswith(_OURS) and _is_installed(path):
            package = name.partition(".")[0]
            reach.packages[package] = version_of(package)
    return reach


def _text_of(module: ModuleType, path: str) -> str | None:
    """None where it can't be read."""
    try:
        return Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError:  # in a zip, carried here from another host, or removed since
        read = getattr(getattr(module, "__loader__", None), "get_source", None)
        try:
            text = read(module.__name__) if read is not None else None
        except (ImportError, OSError):
            return None
        return text if isinstance(text, str) else None


def _module_of(value: Any) -> str | None:
    try:
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    except Exception:  # a stand-in that can't be asked now
        return None
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
    if name is None or name in sys.builtin_module_names:
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return True
    path = os.path.abspath(file)
    if path.startswith(_OURS):
        return False
    if _is_installed(path):
        return name.partition(".")[0] in own
    return not path.startswith(_STANDARD)


def _is_installed(path: str) -> bool:
    return any(place in path for place in _INSTALLED)

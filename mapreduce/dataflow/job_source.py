"""What is a job made of, so that a change is noticed? Its code, and the values that it was given.

Code is the text of each module that the job can reach (`job_reach`). Where there is no file (a prompt, a pipe) it is
what the methods were compiled to. Other packages that it uses count by their versions. Values are described so that
equal ones look equal in every process: pickles are not, for a set has another order in each.
"""

from __future__ import annotations

import copyreg
import hashlib
import inspect
import sys
import types
from collections.abc import Iterator, Mapping, Sized
from typing import Any, NamedTuple

from mapreduce.dataflow.job_reach import reach_of

_SHOWN = 60  # characters of a value in a message


def digest_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# Code


class Sources(NamedTuple):
    """A job's code: digests by file, or by class where there is no file; and the versions of packages that it uses."""

    digests: dict[str, str]
    packages: dict[str, str]


def sources_of(job: object) -> Sources:
    """The code of a job, or of a chain and its jobs."""
    reach = reach_of(job)
    digests: dict[str, str] = {}
    for name, source in sorted(reach.modules.items()):
        digests.setdefault(source.path, digest_text(f"{name}\n{source.text}"))
    for cls in reach.classes:
        if cls.__module__ not in reach.modules:
            digests[f"{cls.__module__}.{cls.__qualname__}"] = digest_of(dict(_members(cls)))
        elif bound := dict(_bound_members(cls)):  # made by a function: the same text with other values
            digests[f"{cls.__module__}.{cls.__qualname__}"] = digest_of(bound)
    return Sources(digests, reach.packages)


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    for name, member in vars(cls).items():
        if name not in ("__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__"):
            yield name, member


def _bound_members(cls: type) -> Iterator[tuple[str, Any]]:
    """What a class that was made within a function took from there."""
    if "<locals>" in cls.__qualname__:
        for name, member in _members(cls):
            if not isinstance(member, types.FunctionType) or member.__closure__:
                yield name, member


# Values


def digest_of(value: object) -> str:
    """The same for equal values in every process, as far as they can be looked into."""
    return digest_text("".join(_described(value, {})))


def show_value(value: object) -> str:
    """A value in a message: short, and without addresses."""
    if isinstance(value, Sized) and len(value) > _SHOWN and not isinstance(value, str | bytes):
        return f"{type(value).__name__} of {len(value):,}"
    text = repr(value)
    if " at 0x" in text:
        return type(value).__name__
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _described(value: Any, seen: dict[int, int]) -> Iterator[str]:
    kind = type(value)
    if value is None or kind in (bool, int, float, complex, str):
        yield f"{kind.__name__}:{value!r};"
        return
    if kind in (bytes, bytearray):  # an array's, perhaps
        yield f"{kind.__name__}:{hashlib.sha256(value).hexdigest()};"
        return
    if id(value) in seen:  # a cycle
        yield f"again {seen[id(value)]};"
        return
    seen[id(value)] = len(seen)
    yield f"{kind.__module__}.{kind.__qualname__}("
    if kind in (set, frozenset):
        yield from sorted("".join(_described(item, dict(seen))) for item in value)
    elif kind in (list, tuple):
        for item in value:
            yield from _described(item, seen)
    elif isinstance(value, Mapping) and kind in (dict, types.MappingProxyType):
        for key, item in value.items():
            yield from _described(key, seen)
            yield from _described(item, seen)
    else:
        yield from _object_described(value, seen)
    yield ")"
    del seen[id(value)]


def _object_described(value: Any, seen: dict[int, int]) -> Iterator[str]:
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        yield value.__qualname__
        yield from _code_described(value.__code__, seen)
        yield from _described([value.__defaults__, value.__kwdefaults__, cells], seen)
        if value.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
            yield from _described(_globals_of(value), seen)
    elif isinstance(value, types.CodeType):
        yield from _code_described(value, seen)
    elif isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        yield getattr(value, "__qualname__", value.__name__)
    elif isinstance(value, staticmethod | classmethod | property):
        yield from _described([value.__func__] if not isinstance(value, property) else [value.fget, value.fset], seen)
    elif isinstance(value, types.MethodType):
        yield from _described([value.__func__, value.__self__], seen)
    else:
        yield from _reduced(value, seen)


def _globals_of(function: types.FunctionType) -> dict[str, Any]:
    """What a function of a prompt uses by name. Modules and classes of libraries count by name alone."""
    names = inspect.getclosurevars(function).globals
    return dict(sorted(names.items()))


def _code_described(code: types.CodeType, seen: dict[int, int]) -> Iterator[str]:
    yield code.co_code.hex()
    yield from _described([*code.co_names, *code.co_varnames], seen)
    yield from _described(code.co_consts, seen)  # holds the code of lambdas and comprehensions


def _reduced(value: Any, seen: dict[int, int]) -> Iterator[str]:
    """Any other object: what a pickle would hold of it."""
    try:
        registered = copyreg.dispatch_table.get(type(value))
        reduced: Any = registered(value) if registered is not None else value.__reduce_ex__(4)
    except Exception:  # a lock, an open file: its type must do
        return
    if isinstance(reduced, str):
        yield reduced
        return
    function, arguments, *rest = reduced
    yield from _described(getattr(function, "__qualname__", ""), seen)
    yield from _described(arguments, seen)
    for number, part in enumerate(rest):
        yield from _described(list(part) if number in (1, 2) and part is not None else part, seen)

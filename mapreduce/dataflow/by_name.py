"""How is a job of `__main__` given to workers that were forked a moment ago? By name: they have its code already.

That saves loading dill twice, here and there: 15 ms before the first map. A job must not run, or answer, otherwise
because of how its workers began. So this is for plain jobs alone: all that their code refers to are modules, importable
things, functions and classes of `__main__` of which the same is true, and values that cannot change (numbers, text,
tuples of these), none of which the job's own state holds, too. All else goes by value, also code that sets globals.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Iterator
from opcode import opmap  # dis, which has it too, takes 2 ms to load
from types import BuiltinFunctionType, CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any

from mapreduce.dataflow.buffers import LARGE_BYTES
from mapreduce.reducers.base import Reducer

_MAIN = "__main__"
_PLAIN = (float, complex, str, bytes, re.Pattern)
_NO_STATE = frozenset(
    ("__module__", "__qualname__", "__doc__", "__annotations__", "__dict__", "__weakref__")
    + ("__firstlineno__", "__static_attributes__")  # since Python 3.13
)
_REFLECTIVE = frozenset({"globals", "eval", "exec", "vars", "locals", "__dict__"})
_SETS_GLOBALS = frozenset({opmap["STORE_GLOBAL"], opmap["DELETE_GLOBAL"]})


class NotPlainError(Exception):
    """The job goes by value."""


def dumps_by_name(value: Any) -> bytes | None:
    """A pickle that names what lives in `__main__`; None if that is not to be done."""
    pickler = _Pickler()
    try:
        pickler.dump(value)
        _Code(pickler.held).check(pickler.found)
    except Exception:  # who carries it by value says what is wrong with it
        return None
    return bytes(pickler.written)


class _Pickler(pickle.Pickler):
    """Takes note of the code in `__main__` and of the objects that it comes across."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.found: list[Any] = []
        self.held: dict[int, Any] = {}
        super().__init__(self, 5)

    def write(self, data: bytes) -> int:
        self.written += data
        if len(self.written) > LARGE_BYTES:
            raise NotPlainError  # workers map large data, and have one copy of it together
        return len(data)

    def persistent_id(self, value: Any) -> None:
        self.held[id(value)] = value

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, type | FunctionType) and value.__module__ == _MAIN:
            self.found.append(value)
        return NotImplemented


class _Code:
    """Looks through code. `held` are the objects of the job's own state: as parts of a pickle they become others, and a
    global would no longer be the same object."""

    def __init__(self, held: dict[int, Any]) -> None:
        self._held = held
        self._seen: set[int] = set()

    def check(self, values: list[Any]) -> None:
        """Raises NotPlainError."""
        todo = values
        while todo:
            value = todo.pop()
            if id(value) not in self._seen:
                self._seen.add(id(value))
                todo += self._referred_to(value)

    def _referred_to(self, value: Any) -> Iterable[Any]:
        if isinstance(value, FunctionType) and value.__module__ == _MAIN:
            return _names_of(value)
        if isinstance(value, type) and value.__module__ == _MAIN:
            return _members_of(value)
        if isinstance(value, type | FunctionType | BuiltinFunctionType):
            pickle.dumps(value, 5)  # by its name, or raises
            return ()
        if isinstance(value, ModuleType) or value is None or type(value) in (bool, int):
            return ()
        if id(value) in self._held:
            raise NotPlainError
        if type(value) in (tuple, frozenset):
            return tuple(value)
        if isinstance(value, Reducer) and type(value).__module__.startswith("mapreduce."):
            return vars(value).values()
        if type(value) in _PLAIN:
            return ()
        raise NotPlainError


def _members_of(cls: type) -> Iterator[Any]:
    if type(cls) is not type:  # a metaclass may keep what it likes
        raise NotPlainError
    yield from cls.__bases__
    for name, member in vars(cls).items():
        held = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        for each in (held.fget, held.fset, held.fdel) if isinstance(held, property) else (held,):
            if name not in _NO_STATE and not isinstance(each, MemberDescriptorType):
                yield each


def _names_of(function: FunctionType) -> Iterator[Any]:
    """What a function can reach: defaults, attributes, what it encloses, globals by their names."""
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    yield from (cell.cell_contents for cell in function.__closure__ or ())
    names = function.__globals__
    todo = [function.__code__]
    while todo:
        code = todo.pop()
        todo += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        if _REFLECTIVE.intersection(code.co_names) or _SETS_GLOBALS.intersection(code.co_code[::2]):
            raise NotPlainError
        yield from (names[name] for name in code.co_names if name in names)

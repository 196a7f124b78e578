"""How is a job of `__main__` given to workers that were forked a moment ago? By name: they have its code already.

That saves loading dill twice, here and there: 15 ms before the first map. A job must not work because of how its
workers began, so this is for jobs alone that could be carried by value, too. Whatever their code refers to is looked
at: functions and classes of `__main__` in turn, all else by pickling it. Where that fails, or in doubt, the job goes by
value, and who carries it says what is wrong.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any

from mapreduce.dataflow.buffers import LARGE_BYTES

_MAIN = "__main__"


def dumps_by_name(value: Any) -> bytes | None:
    """A pickle that names what lives in `__main__`; None if that is not to be done."""
    pickler = _Pickler()
    try:
        payload = pickler.dumps(value)
        for member in pickler.members():
            pickler.dumps(member)
    except Exception:  # a lambda, an open file, large data, which workers map: by value
        return None
    return payload


class _Pickler(pickle.Pickler):
    """Takes note of the code in `__main__` that it comes across, and refuses what is large."""

    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._found: list[Any] = []
        super().__init__(self._file, 5, buffer_callback=_keep_in_band)

    def dumps(self, value: Any) -> bytes:
        self._file.seek(0)
        self._file.truncate()
        self.clear_memo()
        self.dump(value)
        _refuse_large(self._file.tell())
        return self._file.getvalue()

    def reducer_override(self, value: Any) -> Any:
        code = getattr(value, "__wrapped__", value)  # of a cached function, say
        if isinstance(code, type | FunctionType) and code.__module__ == _MAIN:
            self._found.append(code)
        return NotImplemented

    def members(self) -> Iterator[Any]:
        """What the code refers to that was found so far, and what is found while that is pickled."""
        seen: set[int] = set()
        while self._found:
            code = self._found.pop()
            if id(code) not in seen:
                seen.add(id(code))
                yield from _members_of(code)


def _keep_in_band(buffer: pickle.PickleBuffer) -> bool:
    _refuse_large(buffer.raw().nbytes)
    return True


def _refuse_large(size: int) -> None:
    if size >= LARGE_BYTES:
        raise ValueError("large data")


def _members_of(code: type | FunctionType) -> Iterator[Any]:
    if isinstance(code, FunctionType):
        yield from _referred_to(code)
        return
    yield code.__bases__
    for member in vars(code).values():
        held = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        for each in (held.fget, held.fset, held.fdel) if isinstance(held, property) else (held,):
            if isinstance(each, FunctionType) and each.__module__ == _MAIN:
                yield from _referred_to(each)
            elif not isinstance(each, GetSetDescriptorType | MemberDescriptorType):
                yield each


def _referred_to(function: FunctionType) -> Iterator[Any]:
    yield function.__defaults__
    yield function.__kwdefaults__
    yield vars(function)
    for cell in function.__closure__ or ():
        yield cell.cell_contents
    names = function.__globals__
    todo = [function.__code__]
    while todo:
        code = todo.pop()
        todo += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for name in code.co_names:
            if name in names and not isinstance(names[name], ModuleType):
                yield names[name]

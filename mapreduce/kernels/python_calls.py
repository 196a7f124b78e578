"""Which functions of the interpreter do kernels call, and where are they?

All are of CPython's stable interface. One thing more is needed, for which that has no function but a macro: where an
object names its type. It is found by looking, so an interpreter whose objects begin otherwise is noticed.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

from mapreduce.kernels.memory import Int64s

_FUNCTIONS = (
    "PyIter_Next",
    "PyTuple_Size",
    "PyTuple_GetItem",
    "PyUnicode_AsUTF8AndSize",
    "PyLong_AsLongLong",
    "PyFloat_AsDouble",
    "PyErr_Occurred",
    "PyErr_Clear",
    "PyList_Append",
    "Py_DecRef",
)
_WORD = ctypes.sizeof(ctypes.c_void_p)


@cache
def python_calls() -> Int64s | None:
    """What source_pairs.py calls and compares with, in its order; None where this is not CPython as we know it."""
    type_at = _place_of_type() if sys.implementation.name == "cpython" else None
    if type_at is None:
        return None
    addresses = (ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0 for name in _FUNCTIONS)
    return Int64s(*addresses, type_at, *map(id, (tuple, str, int, float)), id(1))


def _place_of_type() -> int | None:
    """How many bytes after its beginning an object names its type."""
    things: tuple[object, ...] = ((), "", 1, 1.0, [], object())
    for place in range(0, object.__basicsize__, _WORD):
        if all(ctypes.c_void_p.from_address(id(thing) + place).value == id(type(thing)) for thing in things):
            return place
    return None

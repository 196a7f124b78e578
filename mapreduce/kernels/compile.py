"""How do the kernels become machine code? numba types and optimises them; the object code is what we keep.

Needs numba (0.4 s to import, seconds to compile), so it runs once per machine and version of the sources:
`python -m mapreduce.kernels`, or by a job that is large enough to wait for it.
"""

from __future__ import annotations

import importlib
from typing import Any

from mapreduce.kernels.cache import CannotCompile, Object
from mapreduce.kernels.catalogue import GROUPS


def compile_group(group: str) -> list[Object]:
    """Compile all kernels of a group for this CPU. Raises ImportError without numba, CannotCompile where it refuses."""
    import numba

    source = importlib.import_module(f"mapreduce.kernels.source_{group}")
    try:
        return [_compile(getattr(source, name), name, letters) for name, letters in GROUPS[group].items()]
    except Exception as error:  # whatever a compiler raises: the library path gives the same answers
        raise CannotCompile(f"numba {numba.__version__} cannot compile {group}: {error}") from error


def _compile(function: Any, name: str, letters: str) -> Object:
    import numba
    from numba.core import types

    pointers = {
        "B": types.uint8,
        "I": types.uint32,
        "i": types.int32,
        "L": types.int64,
        "Q": types.uint64,
        "D": types.float64,
    }
    scalars = {"q": types.int64, "d": types.float64, "O": types.int64}
    pointer: Any = types.CPointer  # type: ignore[attr-defined]
    arguments = [scalars[x] if x in scalars else pointer(pointers[x]) for x in letters]
    # error_model numpy: division by zero gives inf instead of a Python exception, which could not be raised here
    options = {"error_model": "numpy", "forceinline": True}
    kernel = numba.cfunc(types.int64(*arguments), **options)(function)
    _check_symbols(name, kernel._library._final_module)
    return Object(name, kernel._wrapper_name, kernel._library._get_compiled_object())


_KNOWN_SYMBOLS = ("memset", "memcpy", "memmove")  # of the C library; LLVM makes loops into them


def _check_symbols(kernel: str, module: Any) -> None:
    """A process that loads the object has no numba in it: a kernel that could raise would crash there."""
    for function in module.functions:
        if function.is_declaration and not function.name.startswith(("llvm.", *_KNOWN_SYMBOLS)):
            raise CannotCompile(f"kernel {kernel} refers to {function.name}: a helper is not inlined, or it may raise")

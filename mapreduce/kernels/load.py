"""How does a process get the compiled kernels without importing numba?

Stored object code is placed in memory (by elf.py in 2 ms; where that does not know the format, by llvmlite in 45);
ctypes calls it, without the GIL where no Python object is among the arguments.
What is not stored is compiled only where the caller says that the job is worth seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from mapreduce.kernels.cache import CannotCompile, Object, cache_path, read_objects, write_objects
from mapreduce.kernels.catalogue import GROUPS

Kernels = dict[str, Callable[..., int]]

_loaded: dict[str, Kernels] = {}
_missing: set[str] = set()  # groups looked for in vain: not looked for again unless someone wants to compile
_engines: list[Any] = []  # own the machine code: must live as long as the process


def kernels_wanted() -> bool:
    """False where the user said MAPREDUCE_KERNELS=off."""
    return os.environ.get("MAPREDUCE_KERNELS", "").lower() not in ("off", "0", "no", "false")


def kernels_of(group: str, *, compile: bool = False) -> Kernels | None:
    """The kernels of a group, ready to call; None where the library path must do.

    `compile`: spend seconds where they are not stored yet.
    """
    if not kernels_wanted():
        return None
    if group in _loaded:
        return _loaded[group]
    if group in _missing and not compile:
        return None
    objects = _stored_or_compiled(group, compile)
    if objects is None:
        _missing.add(group)
        return None
    _missing.discard(group)
    _loaded[group] = _place(group, objects)
    return _loaded[group]


def is_stored(group: str) -> bool:
    """True if the group need not be compiled any more (or cannot be)."""
    try:
        return group in _loaded or os.path.exists(cache_path(group))
    except (ImportError, CannotCompile):
        return True


def available(*groups: str, compile: bool = False) -> bool:
    """Are all these groups ready to call? Loads them; with `compile`, spends seconds where they are not stored yet.

    Call it with compile=True before worker processes start, where the input is large enough (64 MB and more) to pay.
    """
    ready = [kernels_of(group, compile=compile) is not None for group in groups]  # load each, whatever the first says
    return all(ready)


def compile_now(group: str) -> str:
    """Compile and store a group unless it is stored. Returns what was done, in words."""
    try:
        path = cache_path(group)
        if read_objects(path) is not None:
            return f"is stored in {path}"
        from mapreduce.kernels.compile import compile_group

        objects = compile_group(group)
    except (ImportError, CannotCompile) as error:
        return f"not compiled ({error}); the library path gives the same answers"
    if not write_objects(path, objects):
        return f"compiled, but {path} cannot be written; set XDG_CACHE_HOME to a writable directory"
    return f"compiled into {path}"


def _stored_or_compiled(group: str, compile: bool) -> list[Object] | None:
    try:
        path = cache_path(group)
        objects = read_objects(path)
        if objects is not None or not compile:
            return objects
        from mapreduce.kernels.compile import compile_group

        objects = compile_group(group)
    except ImportError:  # no numba or llvmlite on this machine: the library path gives the same answers
        return None
    except CannotCompile as error:
        import logging

        logging.getLogger(__name__).warning("%s; the slower library path gives the same answers", error)
        return None
    write_objects(path, objects)
    return objects


def _place(group: str, objects: list[Object]) -> Kernels:
    import ctypes

    from mapreduce.kernels import elf

    try:
        addresses = elf.place(objects)
    except (elf.NotUnderstood, OSError) as error:
        import logging

        logging.getLogger(__name__).debug("LLVM places the kernels: %s", error)
        addresses = _place_by_llvm(objects)
    kinds: dict[str, Any] = {"q": ctypes.c_int64, "d": ctypes.c_double, "O": ctypes.py_object}
    kernels: Kernels = {}
    for item, address in zip(objects, addresses, strict=True):
        letters = GROUPS[group][item.name]
        function = ctypes.PYFUNCTYPE if "O" in letters else ctypes.CFUNCTYPE  # with or without the GIL
        kernels[item.name] = function(ctypes.c_int64, *(kinds.get(x, ctypes.c_void_p) for x in letters))(address)
    return kernels


def _place_by_llvm(objects: list[Object]) -> list[int]:
    """The way for object files that elf.py does not know: other processors, macOS."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    for item in objects:
        engine.add_object_file(llvm.ObjectFileRef.from_data(item.code))
    engine.finalize_object()
    _engines.append(engine)
    return [engine.get_function_address(item.symbol) for item in objects]

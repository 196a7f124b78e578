"""Where do kernels keep their work, and how do they see the caller's bytes?

Memory touched for the first time is slow, so areas live as long as the object that owns them. Nothing here needs numpy.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_HUGE_PAGE = 2 << 20


class Area:
    """Zeroed memory of our own, private to the process: `address` and `size` in bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._map = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if size >= _HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
            try:
                self._map.madvise(mmap.MADV_HUGEPAGE)
            except OSError as error:  # a kernel without huge pages: slower, not wrong
                import logging

                logging.getLogger(__name__).debug("no huge pages: %s", error)
        self._view = ctypes.c_char.from_buffer(self._map)
        self.address = ctypes.addressof(self._view)

    def clear(self, size: int | None = None) -> None:
        """Zero the first `size` bytes (all)."""
        ctypes.memset(self.address, 0, self.size if size is None else size)

    def copy_from(self, other: Area, size: int) -> None:
        """Copy the first `size` bytes of another area."""
        ctypes.memmove(self.address, other.address, size)

    def buffer(self, size: int) -> pa.Buffer:
        """The first bytes, seen in place by Arrow."""
        import pyarrow as pa

        return pa.foreign_buffer(self.address, size, base=self)

    def int64s(self, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The first numbers, seen in place: copy them before the area is used again."""
        import numpy as np

        return np.frombuffer(self._map, np.int64, count)

    def float64s(self, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The first numbers, seen in place: copy them before the area is used again."""
        import numpy as np

        return np.frombuffer(self._map, np.float64, count)


class Int64s(Area):
    """A few named integers shared with a kernel."""

    def __init__(self, *values: int) -> None:
        super().__init__(8 * len(values))
        self._values = (ctypes.c_int64 * len(values)).from_address(self.address)
        self._values[:] = list(values)

    def __getitem__(self, index: int) -> int:
        return self._values[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._values[index] = value


class _PyBuffer(ctypes.Structure):
    """Py_buffer of CPython's stable interface."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


class Span:
    """Bytes of somebody else, valid inside `with seen(...)`."""

    __slots__ = ("address", "size")

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.size = size


@contextmanager
def seen(data: Any) -> Iterator[Span]:
    """Address and size of any contiguous buffer (bytes, memoryview, mmap, pyarrow, numpy), without a copy."""
    view = _PyBuffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(data), ctypes.byref(view), 0)
    try:
        yield Span(view.buf or 0, view.len)
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))

"""How is a job carried whose code no worker could import? Its functions and classes by value, by dill.

dill copies arrays into its pickles; here they keep the way of protocol 5, so that large ones stay out of them.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import dill

if TYPE_CHECKING:
    from mapreduce.dataflow.buffers import Buffers


def dumps(value: Any, large: Buffers | None = None) -> bytes:
    """The pickle; buffers that `large` takes are not in it. Raises whatever pickling raises."""
    file = io.BytesIO()
    _Pickler(file, 5, recurse=True, buffer_callback=large).dump(value)
    return file.getvalue()


class _Pickler(dill.Pickler):
    def reducer_override(self, value: Any) -> Any:
        numpy = sys.modules.get("numpy")
        if numpy is not None and type(value) is numpy.ndarray and not value.dtype.hasobject:
            return value.__reduce_ex__(5)
        return NotImplemented

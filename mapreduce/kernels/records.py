"""In which order do fixed-width records stand by their first bytes? Stable: records with equal keys keep their order.

Records are numbered through all given runs, one after the other. A radix sort that ignores that runs are sorted is
faster than a merge that knows it, so merging is sorting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mapreduce.kernels.load import Kernels, kernels_of
from mapreduce.kernels.memory import Area

if TYPE_CHECKING:
    import numpy as np

    Records = np.ndarray[Any, np.dtype[np.uint8]]
    Order = np.ndarray[Any, np.dtype[np.int64]]

_MOST_RECORDS = (1 << 32) - 1  # a record's number and 4 key bytes share an integer


class RecordSorter:
    """Sorts again and again in the same memory (17 bytes a record)."""

    def __init__(self, *, compile: bool = False) -> None:
        self._kernels = kernels_of("records", compile=compile)
        self._work = Area(0)

    def order(self, runs: Sequence[Records], key_bytes: int) -> Order:
        """The numbers of all records by their first `key_bytes` bytes. Runs: (n, width) uint8, C order."""
        width = _check(runs)
        if not 0 < key_bytes <= width:
            raise ValueError(f"keys of {key_bytes} bytes in records of {width}")
        if self._kernels is None:
            return _order_by_numpy(runs, key_bytes)
        return self._order_compiled(self._kernels, runs, width, key_bytes)

    def _order_compiled(self, kernels: Kernels, runs: Sequence[Records], width: int, key_bytes: int) -> Order:
        import numpy as np

        bases, starts = _places(runs)
        records = int(starts[-1])
        if records > _MOST_RECORDS:
            raise ValueError(f"{records} records; sort at most {_MOST_RECORDS} at once")
        if self._work.size < 17 * records:
            self._work = Area(17 * records)
        items = self._work.address
        order, counts = np.empty(records, np.int64), np.empty(1024, np.int64)
        kernels["order_records"](
            bases.ctypes.data, starts.ctypes.data, len(runs), records, width, key_bytes,
            items, items + 8 * records, items + 16 * records, counts.ctypes.data, order.ctypes.data,
        )  # fmt: skip
        return order


def sort_records(data: Records, key_bytes: int) -> Order:
    """The stable permutation that sorts the rows of (n, width) uint8 by their first `key_bytes` bytes."""
    return RecordSorter().order([data], key_bytes)


def merge_records(runs: Sequence[Records], key_bytes: int) -> Order:
    """The order of the records of all runs, numbered one after the other; of equal keys the earlier run's is first."""
    return RecordSorter().order(runs, key_bytes)


def gather_records(data: Records | Sequence[Records], order: Order, out: Records | None = None) -> Records:
    """Copy the records in that order, into `out` (at least as many rows) if given. Returns the filled rows."""
    import numpy as np

    runs = [data] if isinstance(data, np.ndarray) else data
    width = _check(runs)
    order = np.ascontiguousarray(order, np.int64)
    target = np.empty((len(order), width), np.uint8) if out is None else out[: len(order)]
    if target.shape != (len(order), width) or not target.flags.carray or target.dtype != np.uint8:
        raise ValueError(f"out has shape {target.shape}; {len(order)} records of {width} bytes need that much, C order")
    bases, starts = _places(runs)
    if len(order) and not 0 <= int(order.min()) <= int(order.max()) < int(starts[-1]):
        raise IndexError(f"order names records outside 0 to {int(starts[-1]) - 1}")
    kernels = kernels_of("records")
    if kernels is None:
        np.take(runs[0] if len(runs) == 1 else np.concatenate(runs), order, axis=0, out=target)
    else:
        kernels["gather_records"](
            bases.ctypes.data, starts.ctypes.data, len(runs), width, order.ctypes.data, len(order), target.ctypes.data
        )
    return target


def _check(runs: Sequence[Records]) -> int:
    """The common width of the records."""
    widths = {run.shape[1] for run in runs if run.ndim == 2}
    if len(widths) != 1 or any(run.ndim != 2 or run.dtype.itemsize != 1 or not run.flags.c_contiguous for run in runs):
        raise ValueError(
            f"records of shapes {[run.shape for run in runs]}; give (n, width) uint8 in C order, one width"
        )
    return int(widths.pop())


def _places(runs: Sequence[Records]) -> tuple[Order, Order]:
    """Address of each run, and the number of its first record (and one behind the last)."""
    import numpy as np

    bases = np.array([run.ctypes.data for run in runs], np.int64)
    return bases, np.cumsum([0, *(len(run) for run in runs)], dtype=np.int64)


def _order_by_numpy(runs: Sequence[Records], key_bytes: int) -> Order:
    """Big-endian words compare as bytes do; lexsort is stable and takes the last word as the first key."""
    import numpy as np

    keys = np.concatenate([run[:, :key_bytes] for run in runs])
    words = -(-key_bytes // 8)
    padded = np.zeros((len(keys), 8 * words), np.uint8)
    padded[:, :key_bytes] = keys
    columns = padded.view(">u8").astype(np.uint64)
    return np.lexsort(columns.T[::-1]).astype(np.int64)

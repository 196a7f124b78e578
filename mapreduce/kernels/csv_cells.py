"""What is in the wanted columns of CSV rows? A matrix of floats, or columns of integers, floats and strings.

Grammar: cells separated by the delimiter; rows ended by LF, CRLF or the end of data; blank lines are no rows; a cell
that begins with a quote ends at the next single quote. Numbers are what Python's float() and int() take,
but for underscores (1_000).

The compiled path is here and gives up where anything is wrong; the library path (csv_reference.py) then says what.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.dataclass import dataclass
from mapreduce.kernels.csv_reference import BadCell, Columns, Kind, parse_by_library, to_float, to_int
from mapreduce.kernels.load import Kernels, kernels_of
from mapreduce.kernels.memory import seen

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Matrix = np.ndarray[Any, np.dtype[np.float64]]

_PLAN = 5  # integers a column in the kernel's plan, as in source_csv.py: kind, out, stride, bytes, used
_LISTED = 4096  # cells left to Python before the kernel pauses
_LARGEST_BLOCK = (1 << 31) - 1  # strings have 32-bit offsets


class Floats(NamedTuple):
    """The rows before the first bad cell, (rows, wanted) float64, C order."""

    matrix: Matrix
    bad: BadCell | None


def parse_csv_floats(
    data: Any, delimiter: int, columns_in_row: int, wanted: Sequence[int], out: Matrix | None = None
) -> Floats:
    """Parse the wanted columns as floats, correctly rounded. `out` (C order) is used and returned in part where it has
    room for a row a line; memory touched before is several times faster than new memory.
    """
    import numpy as np

    _check_wanted(wanted, columns_in_row)
    _check_out(out, len(wanted))
    kernels = kernels_of("csv")
    if kernels is not None:
        matrix = _compiled_floats(kernels, data, delimiter, columns_in_row, wanted, out)
        if matrix is not None:
            return Floats(matrix, None)
    parsed = parse_by_library(
        data, delimiter, columns_in_row, wanted, [Kind.FLOAT] * len(wanted), compiled=kernels is not None
    )
    rows = len(parsed.arrays[0])
    matrix = out[:rows] if out is not None and len(out) >= rows else np.empty((rows, len(wanted)))
    for j, array in enumerate(parsed.arrays):
        matrix[:, j] = array.to_numpy(zero_copy_only=False)
    return Floats(matrix, parsed.bad)


def parse_csv_columns(
    data: Any, delimiter: int, columns_in_row: int, wanted: Sequence[int], kinds: Sequence[Kind]
) -> Columns:
    """Parse the wanted columns, each as its kind. Needs data under 2 GiB."""
    _check_wanted(wanted, columns_in_row)
    kernels = kernels_of("csv")
    if kernels is not None:
        arrays = _compiled_columns(kernels, data, delimiter, columns_in_row, wanted, kinds)
        if arrays is not None:
            return Columns(arrays, None)
    return parse_by_library(data, delimiter, columns_in_row, wanted, kinds, compiled=kernels is not None)


def parse_plain_columns(
    data: Any, delimiter: int, columns_in_row: int, wanted: Sequence[int], kinds: Sequence[Kind]
) -> tuple[pa.Array, ...] | None:
    """As `parse_csv_columns`, by the compiled loop or not at all: None where it is not there, or met anything but plain
    cells, such as an empty one among numbers. The caller has another way."""
    _check_wanted(wanted, columns_in_row)
    kernels = kernels_of("csv")
    if kernels is None:
        return None
    arrays = _compiled_columns(kernels, data, delimiter, columns_in_row, wanted, kinds)
    return None if arrays is None else tuple(arrays)


def _check_wanted(wanted: Sequence[int], columns: int) -> None:
    if not wanted or len(set(wanted)) < len(wanted) or not 0 <= min(wanted) <= max(wanted) < columns:
        raise ValueError(f"wanted columns {list(wanted)} of {columns}: name at least one, each once")


def _check_out(out: Matrix | None, width: int) -> None:
    """Kernels write where they are told: a wrong matrix would be overrun."""
    import numpy as np

    if out is None or (out.ndim == 2 and out.shape[1] == width and out.dtype == np.float64 and out.flags.carray):
        return
    raise ValueError(f"out is {out.dtype} of shape {out.shape}; give float64 in C order, {width} columns")


@dataclass(slots=True)
class _Plan:
    """Where the kernel puts each column of a row, and what it leaves to Python."""

    plan: np.ndarray[Any, np.dtype[np.int64]]
    columns: int

    @classmethod
    def of(cls, columns: int) -> _Plan:
        import numpy as np

        return cls(np.zeros((columns, _PLAN), np.int64), columns)

    def put(self, column: int, kind: Kind, out: int, stride: int = 1, text: int = 0) -> None:
        self.plan[column] = (kind.value, out, stride, text, 0)

    def used(self, column: int) -> int:
        return int(self.plan[column, 4])

    def run(self, kernels: Kernels, data: Any, delimiter: int, rows: int, store: Any) -> int | None:
        """Parse all rows; store(row, column, text) takes cells left to Python. The number of rows; None on a fault."""
        import numpy as np

        listed = np.empty((max(_LISTED, self.columns), 4), np.int64)
        state = np.array([0, rows, 0, len(listed)], np.int64)
        at, view = 0, memoryview(data).cast("B")
        with seen(data) as span:
            while at != span.size or state[2]:
                at = kernels["parse_rows"](
                    span.address, at, span.size, delimiter, self.columns,
                    self.plan.ctypes.data, state.ctypes.data, listed.ctypes.data,
                )  # fmt: skip
                if at < 0:
                    return None
                for row, column, start, end in listed[: state[2]].tolist():
                    try:
                        store(row, column, bytes(view[start:end]))
                    except (ValueError, OverflowError):
                        return None  # the reference says what is wrong
                state[2] = 0
        return int(state[0])


def _lines(kernels: Kernels, data: Any) -> int:
    with seen(data) as span:
        if span.size > _LARGEST_BLOCK:
            raise ValueError(f"a block of {span.size} bytes; give blocks under 2 GiB")
        return kernels["count_lines"](span.address, span.size) + 1


def _compiled_floats(
    kernels: Kernels, data: Any, delimiter: int, columns: int, wanted: Sequence[int], out: Matrix | None
) -> Matrix | None:
    import numpy as np

    rows = _lines(kernels, data)
    matrix = out if out is not None and len(out) >= rows else np.empty((rows, len(wanted)))
    places = {column: j for j, column in enumerate(wanted)}
    plan = _Plan.of(columns)
    for column, j in places.items():
        plan.put(column, Kind.FLOAT, matrix.ctypes.data + 8 * j, len(wanted))

    def store(row: int, column: int, text: bytes) -> None:
        matrix[row, places[column]] = to_float(text)

    found = plan.run(kernels, data, delimiter, rows, store)
    return None if found is None else matrix[:found]


def _compiled_columns(
    kernels: Kernels, data: Any, delimiter: int, columns: int, wanted: Sequence[int], kinds: Sequence[Kind]
) -> list[pa.Array] | None:
    import numpy as np
    import pyarrow as pa

    rows, size = _lines(kernels, data), len(memoryview(data).cast("B"))
    types = {Kind.FLOAT: np.float64, Kind.INT: np.int64, Kind.STRING: np.int32}
    outs: dict[int, Any] = {}
    texts: dict[int, Any] = {}
    plan = _Plan.of(columns)
    for column, kind in zip(wanted, kinds, strict=True):
        outs[column] = np.empty(rows + 1, types[kind])
        if kind is Kind.STRING:
            outs[column][0] = 0
            texts[column] = np.empty(size + 16, np.uint8)  # the kernel copies 16 bytes at a time
        text = texts[column].ctypes.data if column in texts else 0
        plan.put(column, kind, outs[column].ctypes.data, text=text)

    def store(row: int, column: int, text: bytes) -> None:
        outs[column][row] = to_float(text) if outs[column].dtype == np.float64 else to_int(text)

    found = plan.run(kernels, data, delimiter, rows, store)
    if found is None:
        return None
    arrays = []
    for column in wanted:
        if column not in texts:
            arrays.append(pa.array(outs[column][:found]))
            continue
        buffers = pa.py_buffer(outs[column][: found + 1]), pa.py_buffer(texts[column][: plan.used(column)])
        arrays.append(pa.StringArray.from_buffers(found, *buffers))
        try:
            arrays[-1].validate(full=True)
        except pa.ArrowInvalid:
            return None
    return arrays

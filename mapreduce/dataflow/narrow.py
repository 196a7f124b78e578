"""How do columns of numbers take fewer bytes in a frame? By narrower types, wherever that loses nothing.

    int64    -> uint8, uint16 or uint32: the distance from the column's smallest number (a frame's keys are neighbours)
    float64  -> float32, if it holds every value to the last bit

A frame of a mean by key takes half the bytes so: what is written, summed up for its checksum, sent and read. The schema
says which columns are to be widened, and from where integers count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

WIDE = b"mapreduce.wide"
"""In a schema's metadata: `column:smallest` of each narrowed one, a float's without a smallest; commas between."""

FEWEST_ROWS = 1024
"""Below, the saving is not worth the calls."""
PROBED = 16
"""Floats looked at before all of them are: most columns show there that they are not to be narrowed."""


def narrowed(table: pa.RecordBatch) -> pa.RecordBatch:
    """The same numbers in fewer bytes; `widened` is the inverse."""
    import pyarrow as pa

    if len(table) < FEWEST_ROWS or table.schema.metadata:
        return table
    columns, told = [], []
    for number, column in enumerate(table.columns):
        narrow, smallest = _narrow(column)
        columns.append(column if narrow is None else pa.array(narrow))
        if narrow is not None:
            told.append(f"{number}:{smallest}")
    if not told:
        return table
    fields = zip(table.schema.names, columns, strict=True)
    schema = pa.schema([(name, column.type) for name, column in fields], {WIDE: ",".join(told).encode()})
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def widened(table: pa.RecordBatch) -> pa.RecordBatch:
    """The table as it was."""
    import numpy as np
    import pyarrow as pa

    told = (table.schema.metadata or {}).get(WIDE)
    if told is None:
        return table
    columns = list(table.columns)
    for entry in told.decode().split(","):
        number, _, smallest = entry.partition(":")
        values = columns[int(number)].to_numpy()
        if smallest:
            wide = values.astype(np.int64)
            wide += int(smallest)
        else:
            wide = values.astype(np.float64)
        columns[int(number)] = pa.array(wide)
    return pa.RecordBatch.from_arrays(columns, names=table.schema.names)


def _narrow(column: pa.Array) -> tuple[Any, str]:
    """(narrower numbers, the smallest one as text), or (None, "")."""
    import numpy as np
    import pyarrow as pa

    if column.null_count or column.type not in (pa.int64(), pa.float64()):
        return None, ""
    values = column.to_numpy()
    if column.type == pa.int64():
        smallest = int(values.min())
        bits = (int(values.max()) - smallest).bit_length()
        for kind in (np.uint8, np.uint16, np.uint32):
            if bits <= np.dtype(kind).itemsize * 8:
                return (values - smallest).astype(kind), str(smallest)
        return None, ""
    with np.errstate(over="ignore", under="ignore"):
        for some in (values[:PROBED], values):
            narrow = some.astype(np.float32)
            if not np.array_equal(narrow, some):  # NaN is unequal: its bits would change
                return None, ""
    return narrow, ""

"""How are the values of a column distributed? Counts in bins of equal width.

    map     (row)          -> (lower edge of its bin, 1),  edge = origin + width floor((value - origin) / width)
    reduce  (edge, counts) -> the sum

The bins are fixed beforehand, so one pass is enough and rows need not know of each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mapreduce as mr


class Histogram(mr.Job):
    """How many rows have a value of `column` in each bin [edge, edge + width); missing values under the key 'missing'.

    column: column of numbers
    width: width of a bin
    origin: an edge between two bins
    """

    input_format = "csv"
    reduce = mr.Sum()

    def __init__(self, column: str, width: float = 1.0, origin: float = 0.0) -> None:
        if not width > 0:
            raise mr.UsageError(f"width is {width}; it must be above 0")
        self.column = column
        self.width = width
        self.origin = origin

    def map(self, row: dict[str, Any]) -> Iterator[tuple[float | str, int]]:
        value = mr.cell(row, self.column)
        if value is None or value != value:
            yield "missing", 1
        elif value in (math.inf, -math.inf):
            yield value, 1  # no bin of finite width holds it
        elif isinstance(value, str):
            raise mr.InputError(f"column {self.column!r} holds {value!r}, which is no number; choose a numeric column")
        else:
            yield self.origin + self.width * math.floor((value - self.origin) / self.width), 1

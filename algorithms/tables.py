"""How are figures shown to a person? In columns, with as many digits as can be read; JSON has them all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

DIGITS = 6
WIDEST = 10
"""Numbers of more digits before the point are shown with an exponent."""
GAP = "  "


def number(value: Any, digits: int = DIGITS) -> str:
    """A number with so many significant digits; whole numbers and words as they are."""
    if not isinstance(value, float) or not math.isfinite(value):
        return "" if value is None else str(value)
    if value == 0:
        return "0"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    if -5 < exponent < WIDEST:
        return f"{value:.{max(0, digits - 1 - exponent)}f}"
    return f"{value:.{digits - 1}e}"


def columns(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Lines of aligned columns: the first to the left, the others to the right. Each line ends in a newline."""
    lines = [list(header), *([str(row[0]), *map(number, row[1:])] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    shown = (
        GAP.join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    )
    return "".join(f"{line.rstrip()}\n" for line in shown)


def square(names: Sequence[str], matrix: Any) -> str:
    """A matrix (columns, columns) between columns of these names."""
    return columns(["", *names], [[name, *row] for name, row in zip(names, matrix.tolist(), strict=True)])


def listed(figures: Mapping[str, Any]) -> str:
    """A line a figure: its name, and its value in one column."""
    width = max(map(len, figures), default=0)
    return "".join(f"{name.ljust(width)}{GAP}{number(value)}\n" for name, value in figures.items())

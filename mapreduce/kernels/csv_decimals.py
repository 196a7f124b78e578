"""What exact numbers are in the wanted columns of CSV rows? Slices of integers over a power of ten, from the digits.

The compiled path is here. Its room (decimals and slices a column) is guessed from what earlier blocks of such columns
needed; where a block needs more it is parsed once more. Room decides no answer: the same numbers are the same numbers
in any number of slices. `decimals_by_library` gives them without a compiler, or where the loop gives up.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from mapreduce.kernels.load import Kernels, kernels_of
from mapreduce.kernels.memory import seen
from mapreduce.kernels.slices import Slices, to_decimal

_OUT, _COUNT, _SCALE, _SCALE_SEEN, _COUNT_SEEN, _PLAN = range(6)  # as in source_decimals.py
_MOST_SLICES = 7  # 128 bits
_MOST_DECIMALS = 400

Room = list[list[int]]
"""[slices, decimals] a column."""

_rooms: dict[tuple[Any, ...], Room] = {}
_MOST_ROOMS = 64


def parse_csv_decimals(data: Any, delimiter: int, columns_in_row: int, wanted: Sequence[int]) -> Slices | None:
    """The wanted columns, by the compiled loop or not at all: None where it is not there, or met anything but plain
    numbers of at most 18 digits that share a range of 128 bits in their column."""
    kernels = kernels_of("decimals")
    lines = kernels_of("csv")
    if kernels is None or lines is None:
        return None
    key = (columns_in_row, *wanted)
    room = _rooms.pop(key, None)
    found = None if room is None else _parse(kernels, lines, data, delimiter, columns_in_row, wanted, room)
    if found is None:  # room for other files' numbers may be too wide for these
        room = [[1, 0] for _ in wanted]
        found = _parse(kernels, lines, data, delimiter, columns_in_row, wanted, room)
    if found is not None and room is not None:
        if len(_rooms) >= _MOST_ROOMS:
            _rooms.clear()
        _rooms[key] = room
    return found


def _parse(
    kernels: Kernels, lines: Kernels, data: Any, delimiter: int, columns: int, wanted: Sequence[int], room: Room
) -> Slices | None:
    """Parse until there is room enough; `room` grows."""
    with seen(data) as span:
        rows = lines["count_lines"](span.address, span.size) + 1
        while True:
            matrix, plan = _plan(rows, columns, wanted, room)
            state = np.array([0, rows, matrix.shape[1]], np.int64)
            at = kernels["parse_decimals"](
                span.address, 0, span.size, delimiter, columns, plan.ctypes.data, state.ctypes.data
            )
            if at < 0:
                return None
            if not _widen(room, plan[list(wanted)]):
                break
            if any(slices > _MOST_SLICES or decimals > _MOST_DECIMALS for slices, decimals in room):
                return None
    counts = tuple(slices for slices, _ in room)
    decimals = tuple(decimals for _, decimals in room)
    return Slices(matrix[: int(state[0])], counts, decimals, decimals)


class _Spare(threading.local):
    """Memory of this thread's last block: used again once nobody else holds it, for memory that was touched before is
    much faster."""

    memory: Any = None

    def take(self, rows: int, width: int) -> Any:
        needed = rows * width
        if self.memory is not None and (sys.getrefcount(self.memory) > 2 or len(self.memory) < needed):
            self.memory = None
        if self.memory is None:
            self.memory = np.empty(needed + needed // 4)
        return self.memory[:needed].reshape(rows, width)


_spare = _Spare()


def _plan(rows: int, columns: int, wanted: Sequence[int], room: Room) -> tuple[Any, Any]:
    matrix = _spare.take(rows, 1 + sum(slices for slices, _ in room))
    matrix[:, 0] = 1
    plan = np.zeros((columns, _PLAN), np.int64)
    at = matrix.ctypes.data + 8
    for column, (slices, decimals) in zip(wanted, room, strict=True):
        plan[column] = (at, slices, decimals, decimals, slices)
        at += 8 * slices
    return matrix, plan


def _widen(room: Room, plan: Any) -> bool:
    """Make room for what the loop has seen; whether there was too little."""
    grown = False
    for own, row in zip(room, plan.tolist(), strict=True):
        if row[_SCALE_SEEN] > own[1]:
            grown, own[1] = True, row[_SCALE_SEEN]
        if row[_COUNT_SEEN] > own[0]:
            grown, own[0] = True, row[_COUNT_SEEN]
    return grown


_PLAIN = re.compile(r"(?:-?\d+(?:\.\d*)?,)*", re.ASCII)
_MOST_PLACES = 40  # beyond, `Slices.of_columns` finds the lowest terms


def decimals_by_library(cells: Sequence[Sequence[str]], rows: int) -> Slices:
    """Columns of cells of text as the decimals that they are. Raises ValueError where one is no finite number."""
    return reduce(Slices.beside, [_column_by_library(column, rows) for column in cells])


def _column_by_library(cells: Sequence[str], rows: int) -> Slices:
    if _PLAIN.fullmatch(",".join(cells) + ","):
        parts = [cell.partition(".") for cell in cells]
        places = max((len(fraction) for _, _, fraction in parts), default=0)
        if places <= _MOST_PLACES:
            return Slices.of_integers([int(whole + digits.ljust(places, "0")) for whole, _, digits in parts], places)
    return Slices.of_columns([[to_decimal(cell) for cell in cells]], rows)

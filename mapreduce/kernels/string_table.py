"""Who owns the table of strings that source_strings.py works in? This: memory, growth, and the strings at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mapreduce.kernels.load import Kernels
from mapreduce.kernels.memory import Area, Int64s

if TYPE_CHECKING:
    import pyarrow as pa

# places in `state`, as in source_strings.py
SLOT_MASK, DISTINCT, LIMIT, ARENA_USED, ARENA_SIZE, BAD_BYTE = range(6)
_SLOT_BYTES = 32
_FIRST_SLOTS = 1 << 16  # 2 MiB: stays in the second-level cache while the vocabulary is small
_LARGEST_STRINGS = (1 << 31) - 1  # bytes that 32-bit offsets of pa.StringArray reach


def slots_for(distinct: int, first: int, fill: float) -> int:
    """How many slots a table has that doubled from `first` until `distinct`, and an eighth more, filled no more than
    the share `fill`: what is to come next is reckoned in, so that a table is emptied rather than grown too large."""
    needed = max(first, int(distinct * 1.125 / fill))
    return 1 << (needed - 1).bit_length()


def text_of(strings: pa.StringArray) -> tuple[int, int, int]:
    """Address and size of the text, and address of the first string's offset."""
    _, offsets, data = strings.buffers()
    text, size = (0, 0) if data is None else (data.address, data.size)
    return text, size, offsets.address + 4 * strings.offset


class StringTable:
    """Distinct strings, numbered in order of first occurrence."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._slots = _FIRST_SLOTS
        self._table = Area(self._slots * _SLOT_BYTES)
        self._arena = Area(1 << 16)
        self.state = Int64s(self._slots - 1, 0, self._limit, 0, self._arena.size, -1)

    @property
    def _limit(self) -> int:
        return self._slots * 5 // 8  # fuller tables probe long

    @property
    def addresses(self) -> tuple[int, ...]:
        """Of table, state and arena, as the kernels take them. Changed by `grow`."""
        return self._table.address, self.state.address, self._arena.address

    @property
    def distinct(self) -> int:
        return self.state[DISTINCT]

    @property
    def bytes(self) -> int:
        """What these strings need in a table that began empty. (That kept from earlier ones may be larger.)"""
        return slots_for(self.distinct, _FIRST_SLOTS, 5 / 8) * _SLOT_BYTES + self.state[ARENA_USED]

    @property
    def held_bytes(self) -> int:
        """What the table holds of the process's memory, used or not."""
        return self._table.size + self._arena.size

    def grow(self, block_bytes: int) -> None:
        """Make room after a kernel stopped; `block_bytes`: no string to come is longer."""
        state = self.state
        if state[DISTINCT] >= self._limit:
            old, old_slots = self._table, self._slots
            self._slots *= 2
            self._table = Area(self._slots * _SLOT_BYTES)
            state[SLOT_MASK], state[LIMIT] = self._slots - 1, self._limit
            self._kernels["move_words"](old.address, old_slots, self._table.address, self._slots - 1)
        else:
            full = self._arena
            self._arena = Area(2 * full.size + block_bytes)
            self._arena.copy_from(full, state[ARENA_USED])
            state[ARENA_SIZE] = self._arena.size

    def take(self) -> tuple[pa.Array, Any]:
        """The strings and how often each was counted (numpy int64); empty afterwards, the memory is kept."""
        import numpy as np
        import pyarrow as pa

        distinct, table = self.distinct, self._table.address
        offsets, counts = np.empty(distinct + 1, np.int64), np.empty(distinct, np.int64)
        size = self._kernels["list_words"](table, self._slots, distinct, offsets.ctypes.data, counts.ctypes.data)
        out = np.empty(size, np.uint8)
        self._kernels["copy_words"](table, self._slots, self._arena.address, offsets.ctypes.data, out.ctypes.data)
        self._table.clear()
        self.state[DISTINCT] = self.state[ARENA_USED] = 0
        small = size <= _LARGEST_STRINGS
        reach = pa.py_buffer(offsets.astype(np.int32) if small else offsets)
        kind = pa.StringArray if small else pa.LargeStringArray
        return kind.from_buffers(distinct, reach, pa.py_buffer(out)), counts

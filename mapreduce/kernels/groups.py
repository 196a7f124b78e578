"""What is the exact sum of values by key?

Keys are int64 or strings, values int64 or float64. The compiled path numbers keys in a hash table of its own; the
library path lets pyarrow encode each block and keeps a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.kernels.load import Kernels, kernels_of
from mapreduce.kernels.memory import Area, Int64s
from mapreduce.kernels.string_table import DISTINCT, LIMIT, SLOT_MASK, StringTable, slots_for, text_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_FIRST_SLOTS = 1 << 16
_BATCH = 32  # as in source_groups.py
_LARGEST_INT = (1 << 63) - 1


class GroupTotals(NamedTuple):
    """Distinct keys in order of first occurrence, the sum and the number of each one's values.

    Sums of floats are two columns (exact_totals.py). A key whose sum two floats can't hold has further rows at the end,
    which count no values. `arranged`: the rows are in the order that was asked for.
    """

    keys: pa.Array
    sums: list[pa.Array]
    counts: pa.Array
    arranged: bool = False


def group_sums(keys: Any, values: Any) -> GroupTotals:
    """Sums and counts by key. Raises OverflowError where an integer sum leaves int64."""
    groups = GroupSums()
    if groups.add(keys, values) < len(keys):
        raise OverflowError("a sum leaves 64 bits; add Python integers instead")
    return groups.take()


class GroupSums:
    """Sums by key over many blocks; every block has the same types of keys and values."""

    def __init__(self, *, compile: bool = False) -> None:
        self._kernels = kernels_of("groups", compile=compile)
        self._types: Any = None
        self._numbers: Any = None  # _IntNumbers, _StringNumbers or _Dictionary
        self._totals: Any = None  # _CompiledInts, _NumpyInts or _Floats

    def add(self, keys: Any, values: Any) -> int:
        """Add a block (pyarrow or numpy arrays, without nulls). Returns how many rows were added: fewer than given
        means that the next row's sum would leave int64; take() what is there and go on with Python integers.
        """
        key_array, value_array = _as_arrow(keys), _as_arrow(values)
        if len(key_array) != len(value_array):
            raise ValueError(f"{len(key_array)} keys, {len(value_array)} values")
        if self._types is None:
            self._start(key_array, value_array)
        if (key_array.type, value_array.type) != self._types:
            raise ValueError(f"{key_array.type}, {value_array.type} after blocks of {self._types}")
        if self._numbers is None or self._totals is None or not len(key_array):
            return 0
        rows: int = self._totals.add(self._numbers.of(key_array), value_array, self._numbers.distinct)
        return rows

    def _start(self, keys: pa.Array, values: pa.Array) -> None:
        import pyarrow as pa

        if keys.type not in (pa.int64(), pa.string()) or values.type not in (pa.int64(), pa.float64()):
            raise ValueError(f"keys of {keys.type}, values of {values.type}; give int64 or string, int64 or float64")
        self._types = keys.type, values.type
        kernels, integral = self._kernels, values.type == pa.int64()
        if kernels is None:
            self._numbers = _Dictionary(keys.type)
        else:
            self._numbers = _IntNumbers(kernels) if keys.type == pa.int64() else _StringNumbers(kernels)
        if not integral:
            self._totals = _Floats(kernels)
        else:
            self._totals = _NumpyInts() if kernels is None else _CompiledInts(kernels)

    @property
    def distinct(self) -> int:
        """How many different keys were seen since the last take."""
        return 0 if self._numbers is None else self._numbers.distinct

    @property
    def bytes(self) -> int:
        """Memory that keys and sums need: what a caller holds against its bound. It depends on what was added alone."""
        return 0 if self._numbers is None else self._numbers.bytes + self._totals.bytes_of(self._numbers.distinct)

    @property
    def held_bytes(self) -> int:
        """Memory that is held, used or not: it is kept from one `take` to the next."""
        tables = self._numbers, self._totals
        return sum(table.held_bytes for table in tables if table is not None)

    def take(self, order_of: Callable[[pa.Array], Any] | None = None) -> GroupTotals:
        """All keys, sums and counts; empty afterwards, the memory is kept for the next blocks. Floats come in the order
        that `order_of(keys)` gives (row numbers; None is as they are), if no key has further rows."""
        import pyarrow as pa

        if self._numbers is None or self._totals is None:
            return GroupTotals(pa.nulls(0), [pa.nulls(0)], pa.array([], pa.int64()))
        distinct = self._numbers.distinct
        totals: GroupTotals = self._totals.take(self._numbers.take(), distinct, order_of)
        return totals


def _as_arrow(values: Any) -> pa.Array:
    """One array without nulls; 64-bit string offsets become 32-bit ones."""
    import pyarrow as pa

    array = values if isinstance(values, pa.Array) else pa.array(values)
    if array.null_count:
        raise ValueError(f"{array.null_count} nulls; take them out first")
    return array.cast(pa.string()) if array.type == pa.large_string() else array


# --- the compiled path


class _IntNumbers:
    """Distinct integers, numbered in order of first occurrence."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._slots = _FIRST_SLOTS
        self._table, self._places = Area(16 * self._slots), Area(8 * _BATCH)
        self._known = Area(8 * self._limit)
        self._state = Int64s(self._slots - 1, 0, self._limit)
        self._numbers = Area(0)

    @property
    def _limit(self) -> int:
        return self._slots // 2

    @property
    def distinct(self) -> int:
        return self._state[DISTINCT]

    @property
    def bytes(self) -> int:
        return 16 * slots_for(self.distinct, _FIRST_SLOTS, 1 / 2) + 8 * self.distinct

    @property
    def held_bytes(self) -> int:
        return self._table.size + self._known.size + self._numbers.size

    def of(self, keys: pa.Array) -> Area:
        rows, address = len(keys), keys.buffers()[1].address + 8 * keys.offset
        if self._numbers.size < 4 * rows:
            self._numbers = Area(4 * rows)
        done = 0
        while True:
            done = self._kernels["number_ints"](
                address, done, rows, self._table.address, self._state.address,
                self._known.address, self._numbers.address, self._places.address,
            )  # fmt: skip
            if done == rows:
                return self._numbers
            self._grow()

    def _grow(self) -> None:
        old, old_slots, known = self._table, self._slots, self._known
        self._slots *= 2
        self._table, self._known = Area(16 * self._slots), Area(8 * self._limit)
        self._known.copy_from(known, 8 * self.distinct)
        self._state[SLOT_MASK], self._state[LIMIT] = self._slots - 1, self._limit
        self._kernels["move_ints"](old.address, old_slots, self._table.address, self._slots - 1)

    def take(self) -> pa.Array:
        import pyarrow as pa

        keys = pa.array(self._known.int64s(self.distinct).copy())
        self._table.clear()
        self._state[DISTINCT] = 0
        return keys


class _StringNumbers:
    """Distinct strings, numbered in order of first occurrence."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._strings = StringTable(kernels)
        self._numbers = Area(0)

    @property
    def distinct(self) -> int:
        return self._strings.distinct

    @property
    def bytes(self) -> int:
        return self._strings.bytes

    @property
    def held_bytes(self) -> int:
        return self._strings.held_bytes + self._numbers.size

    def of(self, keys: pa.Array) -> Area:
        rows, (text, size, offsets) = len(keys), text_of(keys)
        if self._numbers.size < 4 * rows:
            self._numbers = Area(4 * rows)
        done = 0
        while True:
            done = self._kernels["number_strings"](
                text, size, offsets, done, rows, *self._strings.addresses, self._numbers.address
            )
            if done == rows:
                return self._numbers
            self._strings.grow(size)

    def take(self) -> pa.Array:
        return self._strings.take()[0]


class _CompiledInts:
    def __init__(self, kernels: Kernels) -> None:
        self._kernel = kernels["add_ints"]
        self._room = _FIRST_SLOTS
        self._sums, self._counts = Area(8 * self._room), Area(8 * self._room)

    def add(self, numbers: Area, values: pa.Array, distinct: int) -> int:
        if distinct > self._room:
            sums, counts, used = self._sums, self._counts, 8 * self._room
            self._room = 2 * distinct
            self._sums, self._counts = Area(8 * self._room), Area(8 * self._room)
            self._sums.copy_from(sums, used)
            self._counts.copy_from(counts, used)
        address = values.buffers()[1].address + 8 * values.offset
        return self._kernel(numbers.address, address, len(values), self._sums.address, self._counts.address)

    def bytes_of(self, distinct: int) -> int:
        return 16 * distinct

    @property
    def held_bytes(self) -> int:
        return self._sums.size + self._counts.size

    def take(self, keys: pa.Array, distinct: int, order_of: Any) -> GroupTotals:
        sums, counts = self._sums.int64s(distinct).copy(), self._counts.int64s(distinct).copy()
        self._sums.clear(8 * distinct)
        self._counts.clear(8 * distinct)
        return _counted(keys, sums, counts)


def _counted(keys: pa.Array, sums: Any, counts: Any) -> GroupTotals:
    """Without keys of rows behind an overflow."""
    import pyarrow as pa

    totals = keys, pa.array(sums), pa.array(counts)
    if not counts.all():
        totals = tuple(column.filter(pa.array(counts > 0)) for column in totals)
    return GroupTotals(totals[0], [totals[1]], totals[2])


# --- floats, on both paths


class _Floats:
    """All rows of a block can always be added."""

    def __init__(self, kernels: Kernels | None) -> None:
        from mapreduce.kernels.exact_totals import ExactTotals

        self._totals = ExactTotals(kernels)
        self.bytes_of = self._totals.bytes_of

    def add(self, numbers: Any, values: pa.Array, distinct: int) -> int:
        if isinstance(numbers, Area):
            address = values.buffers()[1].address + 8 * values.offset
            self._totals.add_at(numbers.address, address, len(values), distinct)
        else:
            self._totals.add(numbers, values.to_numpy(), distinct)
        return len(values)

    @property
    def held_bytes(self) -> int:
        return self._totals.held_bytes

    def take(self, keys: pa.Array, distinct: int, order_of: Any) -> GroupTotals:
        import pyarrow as pa

        order = None if order_of is None else order_of(keys)
        sums = self._totals.take(distinct, order)
        arranged = keys if order is None else keys.take(pa.array(order))
        totals = GroupTotals(arranged, [pa.array(sums.high), pa.array(sums.low)], pa.array(sums.counts), arranged=True)
        if not len(sums.more_of):
            return totals
        more = [pa.array(sums.more_high), pa.array(sums.more_low)]
        return GroupTotals(
            pa.concat_arrays([arranged, keys.take(pa.array(sums.more_of))]),
            [pa.concat_arrays(both) for both in zip(totals.sums, more, strict=True)],
            pa.concat_arrays([totals.counts, pa.repeat(pa.scalar(0, pa.int64()), len(sums.more_of))]),
        )


# --- the library path


class _Dictionary:
    """Distinct keys in a dictionary; pyarrow finds those of a block."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._known: dict[Any, int] = {}

    @property
    def distinct(self) -> int:
        return len(self._known)

    @property
    def bytes(self) -> int:
        return 160 * len(self._known)

    held_bytes = bytes

    def of(self, keys: pa.Array) -> np.ndarray[Any, Any]:
        import numpy as np

        encoded = keys.dictionary_encode()
        known = self._known
        numbers = [known.setdefault(key, len(known)) for key in encoded.dictionary.to_pylist()]
        indices: np.ndarray[Any, Any] = np.array(numbers, np.int64)[encoded.indices.to_numpy()]
        return indices

    def take(self) -> pa.Array:
        import pyarrow as pa

        known, self._known = self._known, {}
        return pa.array(known.keys(), self._kind, size=len(known))


class _NumpyInts:
    def __init__(self) -> None:
        import numpy as np

        self._sums, self._counts = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def add(self, numbers: Any, values: pa.Array, distinct: int) -> int:
        import numpy as np

        more = distinct - len(self._sums)
        self._sums = np.concatenate([self._sums, np.zeros(more, np.int64)])
        self._counts = np.concatenate([self._counts, np.zeros(more, np.int64)])
        given = values.to_numpy()
        rows = self._rows_that_fit(numbers, given)
        np.add.at(self._sums, numbers[:rows], given[:rows])
        np.add.at(self._counts, numbers[:rows], 1)
        return rows

    def _rows_that_fit(self, numbers: Any, values: Any) -> int:
        """How many rows can be added before one leaves int64: all, unless the values are huge."""
        largest = max(abs(int(values.max())), abs(int(values.min())))
        reached = max(abs(int(self._sums.max())), abs(int(self._sums.min())))
        if reached + largest * len(values) <= _LARGEST_INT:
            return len(values)
        sums = dict(enumerate(self._sums.tolist()))
        for row, (number, value) in enumerate(zip(numbers.tolist(), values.tolist(), strict=True)):
            sums[number] += value
            if not -_LARGEST_INT - 1 <= sums[number] <= _LARGEST_INT:
                return row
        return len(values)

    def bytes_of(self, distinct: int) -> int:
        return 16 * distinct

    @property
    def held_bytes(self) -> int:
        return int(self._sums.nbytes + self._counts.nbytes)

    def take(self, keys: pa.Array, distinct: int, order_of: Any) -> GroupTotals:
        sums, counts = self._sums[:distinct], self._counts[:distinct]
        self._sums, self._counts = self._sums[:0], self._counts[:0]
        return _counted(keys, sums, counts)

"""How are Python objects read that are already in memory? They travel with the job; an extent is a range of items."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from mapreduce.dataclass import dataclass
from mapreduce.errors import InputError
from mapreduce.formats.base import Block, Extent, Format, InputFile, Split
from mapreduce.settings import SPLITS_AIMED_AT

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

UNKNOWN_RECORD_BYTES = 64
"""Taken for the size of a record where plain pickle can't tell (lambdas, classes of `__main__`)."""


class Items(tuple[Any, ...]):
    """The records. Remembers their Arrow type, so that all blocks have one schema."""

    _arrow_type: Any = None

    def to_arrow(self, start: int, end: int) -> pa.Array:
        """Items [start, end), in the type that suits all."""
        import pyarrow as pa

        try:
            if self._arrow_type is None:
                self._arrow_type = pa.infer_type(self)
            return pa.array(self[start:end], self._arrow_type)
        except pa.ArrowException as error:
            raise InputError(f"records in memory have no common Arrow type: {error}; use map, not map_block") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return Items, (tuple(self),)


class InMemory(NamedTuple):
    """Records as an input: their format and the file that stands for them."""

    format: Memory
    file: InputFile


def hold_in_memory(records: Iterable[Any]) -> InMemory:
    """The name of the file that stands for the records tells their contents, so that a changed input is noticed."""
    import hashlib
    import os
    import pickle

    items = Items(records)
    try:
        pickled = pickle.dumps(tuple(items), protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError):  # dill may carry them all the same
        identity, size = os.urandom(8).hex(), UNKNOWN_RECORD_BYTES * len(items)
    else:
        identity, size = hashlib.blake2b(pickled, digest_size=8).hexdigest(), len(pickled)
    return InMemory(Memory(items), InputFile(f"<memory {identity}>", size if items else 0))


@dataclass(frozen=True, slots=True)
class Memory(Format):
    """Records held in memory. At least two splits when there are two records, about 16 when there are many."""

    items: Items

    name: ClassVar[str] = "memory"

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        count = len(self.items)
        if count == 0:
            return []
        pieces = min(count, max(SPLITS_AIMED_AT, math.ceil(file.size / split_bytes)))
        cuts = [count * piece // pieces for piece in range(pieces + 1)]
        return [Extent(start, end, file.size * (end - start) // count) for start, end in pairwise(cuts)]

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[MemoryBlock]:
        items_a_block = max(1, block_bytes * len(self.items) // max(1, split.file.size))
        for start in range(split.extent.start, split.extent.end, items_a_block):
            end = min(start + items_a_block, split.extent.end)
            yield MemoryBlock(self.items, start, end, split)


class MemoryBlock(Block):
    """Items [start, end). `arrow` has a column a key where records are dicts, else one column 'value'."""

    def __init__(self, items: Items, start: int, end: int, split: Split, places: Sequence[int] | None = None) -> None:
        """`places`: the records' own numbers, if they are not those of the items."""
        extent = split.extent
        self.bytes = extent.bytes * (end - start) // (extent.end - extent.start)
        self._split = split
        self._places = range(start, end) if places is None else places
        self._items = items
        self._start = start
        self._end = end
        self._name = split.file.path

    def __len__(self) -> int:
        return self._end - self._start

    def records(self) -> Iterator[Any]:
        return iter(self._items[self._start : self._end])

    def place(self, index: int) -> str:
        return f"{self._name}, record {self._places[index]}"

    def select(self, rows: Sequence[int]) -> MemoryBlock:
        items = Items([self._items[self._start + row] for row in rows])
        items._arrow_type = self._items._arrow_type
        return MemoryBlock(items, 0, len(items), self._split, [self._places[row] for row in rows])

    @property
    def arrow(self) -> pa.RecordBatch:
        import pyarrow as pa

        values = self._items.to_arrow(self._start, self._end)
        if pa.types.is_struct(values.type):
            return pa.RecordBatch.from_struct_array(values)
        return pa.RecordBatch.from_arrays([values], names=["value"])

    @property
    def X(self) -> np.ndarray[Any, Any]:
        """Records that are numbers, or equally long sequences of numbers, as rows."""
        import numpy as np

        try:
            X = np.asarray(self._items[self._start : self._end], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.place(0)}: records in memory make no matrix: {error}") from error
        if X.ndim > 2:
            raise InputError(f"{self.place(0)}: a record has shape {X.shape[1:]}; a row of X has one dimension")
        return X.reshape(len(self), -1)

"""Which reductions have a name? `Count`, `Min`, `Max`, `TopK`, `Collect`, `CountDistinct`, `Quantiles`, `Identity`; and
`Sum` and `Mean`, which are in sums.py.

A missing value (None, an Arrow null) counts for `Count` and `Collect` and is passed over by all others; a key that has
only missing values gives None.
"""

from __future__ import annotations

import heapq
import math
import struct
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mapreduce.errors import UsageError
from mapreduce.reducers.base import Monoid, Reducer, Streaming

if TYPE_CHECKING:
    import pyarrow as pa


class Count(Monoid):
    """How many values a key has, missing ones included."""

    aggregates = ("sum",)
    totals = ("count",)

    def first(self, value: Any) -> int:
        return 1

    def merge(self, a: int, b: int) -> int:
        return a + b

    def exactly(self) -> Monoid:
        return self

    def add_pairs(self, partials: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
        for key, _ in pairs:
            try:
                partials[key] += 1
            except KeyError:
                partials[key] = 1

    def partial_columns(self, values: pa.Array) -> list[pa.Array] | None:
        import numpy as np
        import pyarrow as pa

        return [pa.array(np.ones(len(values), np.int64))]


class _Extreme(Monoid):
    """The smallest or largest value. NaN is passed over unless alone; of equal values the first stays."""

    @abstractmethod
    def better(self, a: Any, b: Any) -> bool: ...

    def first(self, value: Any) -> Any:
        return value

    def merge(self, a: Any, b: Any) -> Any:
        if a is None or b is None:
            return b if a is None else a
        if a != a:
            return b
        return b if self.better(b, a) else a

    def partial_columns(self, values: pa.Array) -> list[pa.Array] | None:
        import pyarrow as pa

        kind = values.type
        ordered = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind)
        return [values] if ordered else None


class Min(_Extreme):
    """The smallest of a key's values."""

    aggregates = ("min",)

    def better(self, a: Any, b: Any) -> bool:
        return bool(a < b)


class Max(_Extreme):
    """The largest of a key's values."""

    aggregates = ("max",)

    def better(self, a: Any, b: Any) -> bool:
        return bool(a > b)


class TopK(Monoid):
    """The `k` best of a key's values, best first; of equal values the earlier in the input comes first.

    `by(value)` gives what is compared (the value itself by default); `largest=False` takes the smallest.
    """

    def __init__(self, k: int, by: Callable[[Any], Any] | None = None, *, largest: bool = True) -> None:
        if k < 1:
            raise UsageError(f"TopK of {k}; it must be at least 1")
        self.k = k
        self.by = by
        self.largest = largest

    def first(self, value: Any) -> list[Any]:
        return [] if value is None else [value]

    def add(self, partial: list[Any], value: Any) -> list[Any]:
        if value is None:
            return partial
        if len(partial) < self.k or self._beats(value, partial[-1]):
            return self.merge(partial, [value])
        return partial

    def _beats(self, a: Any, b: Any) -> bool:
        a, b = (a, b) if self.by is None else (self.by(a), self.by(b))
        return bool(a > b) if self.largest else bool(a < b)

    def merge(self, a: list[Any], b: list[Any]) -> list[Any]:
        # heapq.merge is stable and keeps a before b among equals, with reverse too.
        best = heapq.merge(a, b, key=self.by, reverse=self.largest)
        return [value for _, value in zip(range(self.k), best, strict=False)]


class Collect(Streaming):
    """All values of a key as a list, in input order. The list of one key must fit in memory."""

    def reduce_values(self, values: Iterator[Any]) -> list[Any]:
        return list(values)


class Identity(Reducer):
    """Every pair as it came, in order of its key: a sort."""


class CountDistinct(Streaming):
    """How many different values a key has, exactly, in constant memory. 1, 1.0 and True are one value."""

    sorts_values = True
    drops_repeats = True

    def reduce_values(self, values: Iterator[Any]) -> int | None:
        distinct, last, seen = 0, None, False
        for value in values:
            seen = True
            if value is not None and not (distinct and (value == last or (value != value and last != last))):
                distinct, last = distinct + 1, value
        return distinct if distinct or not seen else None


class Quantiles(Streaming):
    """Exact quantiles of a key's numbers: a list, one value for each of `probabilities` (0 to 1), in that order.

    Linear interpolation between closest ranks (Hyndman and Fan 1996, type 7), as numpy does. Values beyond a million
    a key rest in a temporary file of 8 bytes each, so that memory stays constant. NaN is passed over.
    """

    sorts_values = True

    def __init__(self, probabilities: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0)) -> None:
        wrong = [p for p in probabilities if not 0 <= p <= 1]
        if wrong or not probabilities:
            raise UsageError(f"Quantiles of {list(probabilities)}; each probability must lie between 0 and 1")
        self.probabilities = tuple(probabilities)

    def reduce_values(self, values: Iterator[Any]) -> list[float] | None:
        import tempfile
        from array import array

        buffer, count = array("d"), 0
        with tempfile.SpooledTemporaryFile(max_size=8 << 20) as spool:
            for value in values:
                if value is None or value != value:
                    continue
                buffer.append(value)
                count += 1
                if len(buffer) == 65536:
                    spool.write(buffer.tobytes())
                    del buffer[:]
            spool.write(buffer.tobytes())

            def at(rank: int) -> float:
                spool.seek(8 * rank)
                return float(struct.unpack("d", spool.read(8))[0])

            return [_interpolate(at, p * (count - 1)) for p in self.probabilities] if count else None


def _interpolate(at: Callable[[int], float], position: float) -> float:
    low = math.floor(position)
    weight = position - low
    return at(low) if weight == 0 else at(low) + weight * (at(low + 1) - at(low))

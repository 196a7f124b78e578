"""Which reductions have a name? `Count`, `Min`, `Max`, `TopK`, `Collect`, `CountDistinct`, `Quantiles`, `Identity`; and
`Sum` and `Mean`, which are in sums.py.

A named reducer needs no combiner of its own, and gives the same result whether pairs come one by one (row lane) or as
Arrow columns (columnar lane). There are two families:

`Monoid`     keeps a small partial per key: `first` lifts a value, `add` takes one more, `merge` adds two partials,
             `finish` shows the result. Map tasks combine in memory; only partials travel.
`Streaming`  needs the values themselves, in input order or in their own order. They are sorted and merged on disk and
             streamed past, so that no key is too large.

A missing value (None, an Arrow null) counts for `Count` and `Collect` and is passed over by all others; a key that has
only missing values gives None.
"""

from __future__ import annotations

import heapq
import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mapreduce.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa


class InexactError(BaseException):
    """A value that is not combined exactly. Not an Exception: it is no fault of the job's."""


class Reducer:
    """Base of the named reducers. As a class attribute `reduce = mr.Sum()` it serves a job; it is not called."""

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class Monoid(Reducer, ABC):
    """A reduction with a small, associative partial per key."""

    @abstractmethod
    def first(self, value: Any) -> Any:
        """The partial of one value."""

    @abstractmethod
    def merge(self, a: Any, b: Any) -> Any:
        """The partial of two partials; `a` comes first in the input."""

    def add(self, partial: Any, value: Any) -> Any:
        return self.merge(partial, self.first(value))

    def finish(self, partial: Any) -> Any:
        return partial

    def exactly(self) -> Monoid | None:
        """This reducer where no bit of its results depends on what is combined with what; None if it can't promise
        that. What it gives may raise InexactError at a value for which it can't."""
        return None

    def add_pairs(self, partials: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
        """Add pairs to a dictionary of partials: the inner loop of the row lane."""
        first, add = self.first, self.add
        for key, value in pairs:
            if key in partials:
                partials[key] = add(partials[key], value)
            else:
                partials[key] = first(value)

    # The columnar lane. A partial is `len(aggregates)` columns; two partials are merged column by column.

    aggregates: tuple[str, ...] = ()
    """How the partial's columns are merged: "sum", "min" or "max" for each; () if this reducer has no columnar form.
    A sum of floats has two columns: what it is nearest to, and the rest (see exact_columns.py)."""

    totals: tuple[str, ...] = ()
    """If the partial's columns are totals of the numbers themselves: which, "sum" or "count". They need no partials of
    single values: a table of sums and counts by key is kept instead."""

    def partial_columns(self, values: pa.Array) -> list[pa.Array] | None:
        """The partials of each value, column by column; None if the type of the values allows none."""
        return None

    def split_partials(self, partials: Sequence[Any]) -> list[Sequence[Any]] | None:
        """Partials of the row lane as columns of Python values; None if they don't fit in columns."""
        return [partials]

    def join_partials(self, columns: list[list[Any]]) -> list[Any]:
        """Columns of Python values as partials of the row lane."""
        return columns[0]

    def finish_columns(self, columns: list[pa.Array]) -> pa.Array:
        """What partials mean."""
        return columns[0]

    def finish_sums(self, columns: list[pa.Array], starts: Any) -> pa.Array:
        """The same where a sum of floats has two columns and perhaps several rows; `starts`: where each begins."""
        raise NotImplementedError


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


class Streaming(Reducer, ABC):
    """A reduction that sees a key's values one after the other, and keeps few of them."""

    sorts_values = False
    """True: values come in ascending order instead of input order."""

    drops_repeats = False
    """True: of equal values of a key only one needs to travel."""

    @abstractmethod
    def reduce_values(self, values: Iterator[Any]) -> Any: ...


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

"""What is a named reducer? One that gives the same result whether pairs come one by one (row lane) or as Arrow columns
(columnar lane), and needs no combiner of its own. There are two families:

`Monoid`     keeps a small partial per key: `first` lifts a value, `add` takes one more, `merge` adds two partials,
             `finish` shows the result. Map tasks combine in memory; only partials travel.
`Streaming`  needs the values themselves, in input order or in their own order. They are sorted and merged on disk and
             streamed past, so that no key is too large.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

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


class Streaming(Reducer, ABC):
    """A reduction that sees a key's values one after the other, and keeps few of them."""

    sorts_values = False
    """True: values come in ascending order instead of input order."""

    drops_repeats = False
    """True: of equal values of a key only one needs to travel."""

    @abstractmethod
    def reduce_values(self, values: Iterator[Any]) -> Any: ...

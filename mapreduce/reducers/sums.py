"""How are `Sum` and `Mean` exact? Nothing is rounded before the last step.

Integers are added as integers, floats as the exact numbers that they are (exact_sums.py), and a mean divides the exact
sum. So each result is the correctly rounded one, in both lanes and in whatever order and grouping values come. That of
integers alone is an integer; with a float among them it is a float.

A partial of the columnar lane is int64, or two float64 whose exact sum it is. Where two cannot hold it, as with 1e300
and 1.0, the key has several rows, which are added up like any others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mapreduce.reducers.base import InexactError, Monoid
from mapreduce.reducers.exact_sums import Other, expansion_of, lift, mean_of, plus, value_of

if TYPE_CHECKING:
    import pyarrow as pa

INT64_MAX = 2**63 - 1


class Sum(Monoid):
    """The sum of a key's values: exact for integers and floats; else what `+` makes of them."""

    aggregates = ("sum",)
    totals = ("sum",)

    def first(self, value: Any) -> Any:
        return lift(value)

    def exactly(self) -> Monoid:
        return _ExactSum()

    def merge(self, a: Any, b: Any) -> Any:
        return plus(a, b)

    def finish(self, partial: Any) -> Any:
        return value_of(partial)

    def add_pairs(self, partials: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
        # Counts are the same object again and again: asking for that is cheaper than for the type. And try is free when
        # nothing raises, and most pairs meet a key that is there: 20 % faster than asking first.
        floats: dict[Any, list[float]] = {}
        last: Any = None
        for key, value in pairs:
            if value is not last:
                if type(value) is not int:
                    if type(value) is float:
                        try:
                            floats[key].append(value)
                        except KeyError:
                            floats[key] = [value]
                    else:
                        partials[key] = self.merge(partials.get(key), self.first(value))
                    continue
                last = value
            try:
                partials[key] = partials[key] + value
            except KeyError:
                partials[key] = value
            except TypeError:
                partials[key] = self.merge(partials[key], value)
        for key, values in floats.items():
            partials[key] = _plus_floats(partials.get(key), values)

    def partial_columns(self, values: pa.Array) -> list[pa.Array] | None:
        numbers = numbers_of(values)
        return None if numbers is None else _with_rests(numbers)

    def split_partials(self, partials: Sequence[Any]) -> list[Sequence[Any]] | None:
        return _split(partials)

    def join_partials(self, columns: list[list[Any]]) -> list[Any]:
        return _join(columns)

    def finish_sums(self, columns: list[pa.Array], starts: Any) -> pa.Array:
        from mapreduce.reducers.exact_columns import nearest_of

        high, low = columns
        return nearest_of(high, low, starts)


class Mean(Monoid):
    """The arithmetic mean of a key's numbers, correctly rounded to a float. Sum and count travel."""

    aggregates = ("sum", "sum")
    totals = ("sum", "count")

    def first(self, value: Any) -> tuple[Any, int]:
        return (0, 0) if value is None else (lift(value), 1)

    def exactly(self) -> Monoid:
        return _ExactMean()

    def merge(self, a: tuple[Any, int], b: tuple[Any, int]) -> tuple[Any, int]:
        return (plus(a[0], b[0]), a[1] + b[1])

    def finish(self, partial: tuple[Any, int]) -> Any:
        total, count = partial
        return mean_of(total, count) if count else None

    def add_pairs(self, partials: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
        floats: dict[Any, list[float]] = {}
        for key, value in pairs:
            if type(value) is float:
                try:
                    floats[key].append(value)
                except KeyError:
                    floats[key] = [value]
                continue
            total, count = partials.get(key, (0, 0))
            if type(value) is int and type(total) is int:
                partials[key] = (total + value, count + 1)
            else:
                partials[key] = self.merge((total, count), self.first(value))
        for key, values in floats.items():
            total, count = partials.get(key, (0, 0))
            more = len(values)
            partials[key] = (_plus_floats(total, values), count + more)

    def partial_columns(self, values: pa.Array) -> list[pa.Array] | None:
        import pyarrow as pa
        import pyarrow.compute as pc

        numbers = numbers_of(values)
        if numbers is None:
            return None
        sums = _with_rests([pc.fill_null(numbers[0], 0)] if values.null_count else numbers)
        return [*sums, pc.cast(pc.is_valid(values), pa.int64())]

    def split_partials(self, partials: Sequence[Any]) -> list[Sequence[Any]] | None:
        totals = _split([total for total, _ in partials])
        return None if totals is None else [*totals, [count for _, count in partials]]

    def join_partials(self, columns: list[list[Any]]) -> list[Any]:
        return list(zip(_join(columns[:-1]), columns[-1], strict=True))

    def finish_columns(self, columns: list[pa.Array]) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        total, count = columns
        if _largest(total) > 2**53:
            # Python divides integers exactly rounded; a cast to float first would round twice.
            pairs = zip(total.to_pylist(), count.to_pylist(), strict=True)
            return pa.array([t / n if n else None for t, n in pairs], pa.float64())
        known = pc.if_else(pc.equal(count, 0), None, count)
        return pc.divide(pc.cast(total, pa.float64()), pc.cast(known, pa.float64()))

    def finish_sums(self, columns: list[pa.Array], starts: Any) -> pa.Array:
        from mapreduce.reducers.exact_columns import mean_of

        high, low, counts = columns
        return mean_of(high, low, counts, starts)


def _check_number(total: Any) -> None:
    if type(total) is Other:
        raise InexactError(f"{type(total.value).__name__} is added by its own +")


class _ExactSum(Sum):
    def first(self, value: Any) -> Any:
        total = lift(value)
        _check_number(total)
        return total

    def merge(self, a: Any, b: Any) -> Any:
        _check_number(a)
        _check_number(b)
        return plus(a, b)


class _ExactMean(Mean):
    def first(self, value: Any) -> tuple[Any, int]:
        partial = super().first(value)
        _check_number(partial[0])
        return partial

    def merge(self, a: tuple[Any, int], b: tuple[Any, int]) -> tuple[Any, int]:
        _check_number(a[0])
        _check_number(b[0])
        return super().merge(a, b)


def _plus_floats(total: Any, values: list[float]) -> Any:
    """A sum and more floats."""
    if type(total) is tuple:
        values += total
    elif type(total) is Other or total:
        return plus(total, expansion_of(values))
    return expansion_of(values)


def _split(totals: Sequence[Any]) -> list[Sequence[Any]] | None:
    """Sums as one column of integers or two of floats; None if they don't fit."""
    kinds = set(map(type, totals))
    if kinds == {tuple} and max(map(len, totals)) <= 2:
        return [[total[0] for total in totals], [total[1] if len(total) == 2 else 0.0 for total in totals]]
    return None if kinds & {tuple, Other} else [totals]


def _join(columns: list[list[Any]]) -> list[Any]:
    if len(columns) == 1:
        return columns[0]
    return [None if high is None else expansion_of([high, low]) for high, low in zip(*columns, strict=True)]


def numbers_of(values: pa.Array) -> list[pa.Array] | None:
    """Values as int64 or float64, whichever holds them; None for other types."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        return [values if kind == pa.int64() else pc.cast(values, pa.int64())]
    if pa.types.is_floating(kind):
        return [values if kind == pa.float64() else pc.cast(values, pa.float64())]
    return None


def _with_rests(numbers: list[pa.Array]) -> list[pa.Array]:
    """The columns of partials of single numbers: floats have a second one, of zeros."""
    import numpy as np
    import pyarrow as pa

    (column,) = numbers
    return [column, pa.array(np.zeros(len(column)))] if column.type == pa.float64() else numbers


def _largest(values: pa.Array) -> int:
    """The largest magnitude in an integer column; 0 if it has no values."""
    import pyarrow.compute as pc

    ends = pc.min_max(values).as_py()
    return 0 if ends["min"] is None else max(-ends["min"], ends["max"])


def sums_fit(values: pa.Array, rows: int) -> bool:
    """True if no sum of `rows` of these integers can leave int64 (Arrow's sums wrap around in silence)."""
    return _largest(values) * rows <= INT64_MAX

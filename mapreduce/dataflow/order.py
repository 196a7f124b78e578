"""In which order do keys come?

One natural order everywhere: in a spill, in a merge, in a sorted output. It is total over all keys, consistent with
equality (equal keys have equal order keys, so they stand side by side and meet), and the same in every process:

```text
None < numbers by value < NaN < str by code point < bytes < dates < tuples < frozensets < any other class by its __lt__
```

`order_key` maps any key to a value that Python compares. Most batches need none: where all keys are of one plain type
the keys themselves are their order keys, and sorting runs in C (`order_keys`). By code point is also by UTF-8 byte, so
an Arrow string column sorts the same way.
"""

from __future__ import annotations

import datetime
import math
import operator
from collections.abc import Callable, Sequence
from operator import ne
from typing import Any, NoReturn

from mapreduce.errors import UsageError

NONE, NUMBER, NAN, STR, BYTES, DATE, TUPLE, SET, OTHER = range(9)

OrderKey = tuple[Any, ...]
NaturalType = Any  # a type, or a tuple of natural types

_NUMBERS = {int, float, bool}
_DAY_ONE = datetime.datetime(1, 1, 1)
MAX_DECIMAL_EXPONENT = 10_000
"""Decimals are compared as exact fractions; 1E+999999999 would need more memory than there is."""


def order_key(key: Any) -> OrderKey:
    """What stands for `key` in comparisons: equal keys have equal order keys, and `<` is total.

    Raises UsageError for a key that can't be ordered (unhashable, or a class without `__lt__`).
    """
    make = _ORDER_KEYS.get(type(key))
    return make(key) if make is not None else _order_key_of_other(key)


def natural_type(keys: Sequence[Any]) -> NaturalType | None:
    """A name for the type of keys that compare as they are; None if they don't all.

    str, bytes, float (for any mix of plain numbers without NaN), or for tuples of one length a tuple of these.
    Sequences of the same natural type also compare with each other as they are.
    """
    types = set(map(type, keys))
    if len(types) == 1:
        (only,) = types
        if only is str or only is bytes:
            return only
        if only is tuple:
            return _natural_type_of_tuples(keys)
    if not types or not types <= _NUMBERS or (float in types and any(map(ne, keys, keys))):
        return None
    return float


def _natural_type_of_tuples(keys: Sequence[tuple[Any, ...]]) -> NaturalType | None:
    if len(set(map(len, keys))) != 1:
        return None
    parts = [natural_type(column) for column in zip(*keys, strict=True)]
    return None if None in parts else tuple(parts)


def order_keys(keys: list[Any]) -> list[Any]:
    """Values that sort as the keys do: `keys` itself where it has a natural type, otherwise their order keys."""
    return keys if natural_type(keys) is not None else list(map(order_key, keys))


def sorted_keys(keys: list[Any]) -> list[Any]:
    """The keys in natural order, stably."""
    return sorted(keys) if natural_type(keys) is not None else sorted(keys, key=order_key)


def one_nan(key: Any) -> Any:
    """The key, where NaN is always the same object, also inside tuples and sets: then `==` in containers finds it."""
    kind = type(key)
    if kind is tuple or kind is frozenset:
        return kind(map(one_nan, key))
    if isinstance(key, tuple):  # a named one, say, equal to the plain one of the same
        parts = tuple(map(one_nan, key))
        return key if all(map(operator.is_, parts, key)) else tuple.__new__(kind, parts)
    return key if key == key else math.nan


class _Own:
    """A key of another class, compared by its own `__lt__`; says what to do where that fails."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Own) and bool(self.key == other.key)

    def __lt__(self, other: _Own) -> bool:
        try:
            return bool(self.key < other.key)
        except TypeError:
            _refuse(self.key, f"can't be compared with {other.key!r:.80}")

    def __hash__(self) -> int:
        return hash(self.key)


def _order_key_of_float(key: float) -> OrderKey:
    return (NUMBER, key) if key == key else (NAN,)


def _order_key_of_date(key: datetime.date) -> OrderKey:
    return (DATE, key.toordinal())


def _order_key_of_datetime(key: datetime.datetime) -> OrderKey:
    """As equality sees it: zoned by UTC and never equal to naive, `fold` ignored. A date stands before its times."""
    since = key.replace(tzinfo=None) - _DAY_ONE
    offset = key.replace(fold=0).utcoffset()
    zoned = offset is not None
    since -= offset or datetime.timedelta()
    return (DATE, since.days + 1, 2 if zoned else 1, since.seconds, since.microseconds)


def _order_key_of_tuple(key: tuple[Any, ...]) -> OrderKey:
    return (TUPLE, tuple(map(order_key, key)))


def _order_key_of_set(key: frozenset[Any]) -> OrderKey:
    return (SET, tuple(sorted(map(order_key, key))))


_ORDER_KEYS: dict[type, Callable[[Any], OrderKey]] = {
    type(None): lambda key: (NONE,),
    bool: lambda key: (NUMBER, int(key)),
    int: lambda key: (NUMBER, key),
    float: _order_key_of_float,
    str: lambda key: (STR, key),
    bytes: lambda key: (BYTES, key),
    datetime.date: _order_key_of_date,
    datetime.datetime: _order_key_of_datetime,
    tuple: _order_key_of_tuple,
    frozenset: _order_key_of_set,
}

_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, lambda key: int.__index__(key)),
    (float, lambda key: float.__float__(key)),
    (str, lambda key: str.__str__(key)),
    (bytes, lambda key: bytes.__getitem__(key, slice(None))),
    (datetime.datetime, lambda key: key),
    (datetime.date, lambda key: key),
    (tuple, lambda key: key),
    (frozenset, lambda key: key),
)
"""Subclasses (IntEnum, StrEnum, NamedTuple) equal their plain values, so they take those values' places."""


def _order_key_of_other(key: Any) -> OrderKey:
    cls = type(key)
    if cls.__module__ == "numpy" and hasattr(key, "item") and cls.__hash__ is not None:
        return order_key(key.item())
    for base, plain in _BASES:
        if isinstance(key, base):
            return _ORDER_KEYS[base](plain(key))
    if cls.__module__ in ("decimal", "fractions"):
        return _order_key_of_exact(key)
    if cls.__hash__ is None:
        _refuse(key, "is not hashable")
    if vars(object)["__lt__"] is getattr(cls, "__lt__", None) or isinstance(key, complex):
        _refuse(key, "has no __lt__, so it has no place in the order")
    return (OTHER, f"{cls.__module__}.{cls.__qualname__}", _Own(key))


def _order_key_of_exact(key: Any) -> OrderKey:
    """Decimal and Fraction, which don't compare with each other: both as Fraction."""
    from decimal import Decimal
    from fractions import Fraction

    if isinstance(key, Decimal):
        if not key.is_finite():
            return (NAN,) if key.is_nan() else (NUMBER, float(key))
        if key and abs(key.adjusted()) > MAX_DECIMAL_EXPONENT:
            _refuse(key, f"has an exponent beyond {MAX_DECIMAL_EXPONENT}")
    return (NUMBER, Fraction(key))


def _refuse(key: Any, why: str) -> NoReturn:
    raise UsageError(
        f"key {key!r:.80} of type {type(key).__name__} {why}; use a str, a number or a tuple of these as the key, "
        f"or give the class __lt__, __eq__ and __hash__"
    )

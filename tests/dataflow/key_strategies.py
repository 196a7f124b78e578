"""Keys of every kind that the order knows, many of them equal to each other or nearly so."""

from __future__ import annotations

import datetime
import math
import uuid
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import strategies as st


class Colour(IntEnum):
    RED = 1
    BLUE = 2


class Size(Enum):
    SMALL = 1
    LARGE = 2

    def __lt__(self, other: Size) -> bool:
        return bool(self.value < other.value)


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass(frozen=True, order=True)
class Version:
    major: int
    name: str


NAN = float("nan")
CET = datetime.timezone(datetime.timedelta(hours=1))
NOON = datetime.datetime(2024, 2, 29, 12)

special = st.sampled_from(
    [None, True, False, 0, 0.0, -0.0, 1, 1.0, Decimal(1), Decimal("0.5"), 0.5, Fraction(1, 2), Fraction(1, 3), 2**53]
    + [2**53 + 1, float(2**53), 2**61 - 1, 2**64, -(2**63), -1, -2, NAN, math.nan, -NAN, Decimal("NaN"), math.inf]
    + [Decimal("Infinity"), -math.inf, 1e300, "", "\0", "a", "a\0", "\ud800", "é", "\U0001f600", b"", b"a", Colour.RED]
    + [Colour.BLUE, Size.SMALL, Size.LARGE, Point(1, 2), Version(1, "a"), Version(1, "b"), uuid.UUID(int=5)]
    + [datetime.date(2024, 2, 29), NOON, NOON.replace(tzinfo=datetime.UTC), NOON.replace(hour=13, tzinfo=CET)]
    + [datetime.timedelta(1), NOON.replace(fold=1), (1, NAN), (1.0, math.nan), frozenset(), frozenset([1, "a"])]
)

plain = st.one_of(
    special,
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, datetime.UTC, CET])),
    st.decimals(allow_nan=False, places=2),
    st.fractions(),
)

keys = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.tuples(inner), st.tuples(inner, inner), st.builds(Point, inner, inner), st.frozensets(inner, max_size=3)
    ),
    max_leaves=4,
)

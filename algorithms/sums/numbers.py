"""How are exact numbers kept, added and told to others? As integers over powers of two and five.

    value[i] = integers[i] / (2^twos[i] * 5^fives[i])

Addition brings both to one scale and adds integers: associative and commutative in fact, not nearly. The canonical form
divides out what it can, so equal numbers have equal bytes however they were come by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np

import mapreduce as mr
from algorithms.rows import Array

Objects = np.ndarray[Any, np.dtype[Any]]
Scales = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A vector of exact numbers."""

    integers: Objects
    twos: Scales
    fives: Scales

    @classmethod
    def of(cls, integers: Iterable[int], twos: Iterable[int], fives: Iterable[int]) -> Self:
        return cls(_objects(integers), np.fromiter(twos, np.int64), np.fromiter(fives, np.int64))

    @classmethod
    def zeros(cls, count: int) -> Self:
        return cls.of([0] * count, [0] * count, [0] * count)

    def __len__(self) -> int:
        return len(self.integers)

    def __add__(self, other: Self) -> Self:
        if len(self) != len(other):
            raise mr.InputError(f"sums of {len(self)} and of {len(other)} numbers cannot be added: other columns")
        if np.array_equal(self.twos, other.twos) and np.array_equal(self.fives, other.fives):
            return type(self)(self.integers + other.integers, self.twos, self.fives)
        twos, fives = np.maximum(self.twos, other.twos), np.maximum(self.fives, other.fives)
        return type(self)(self._over(twos, fives) + other._over(twos, fives), twos, fives)

    def __neg__(self) -> Self:
        return type(self)(-self.integers, self.twos, self.fives)

    def __sub__(self, other: Self) -> Self:
        return self + -other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def pick(self, places: Sequence[int]) -> Self:
        """These numbers, in this order."""
        at = np.array(places, np.int64)
        return type(self)(self.integers[at], self.twos[at], self.fives[at])

    def _over(self, twos: Scales, fives: Scales) -> Objects:
        """The integers over greater scales."""
        factors = [
            (1 << a) * 5**b for a, b in zip((twos - self.twos).tolist(), (fives - self.fives).tolist(), strict=True)
        ]
        return self.integers * _objects(factors)

    def fractions(self) -> list[Fraction]:
        """The numbers themselves."""
        scales = zip(self.integers.tolist(), self.twos.tolist(), self.fives.tolist(), strict=True)
        return [_over(value, a, b) for value, a, b in scales]

    def floats(self) -> Array:
        """Correctly rounded, ties to even; infinite where float64 ends."""
        return np.array([to_float(value) for value in self.fractions()])

    def to_bytes(self) -> bytes:
        """The canonical form: the count, then scale and integer of each number in lowest terms."""
        out = bytearray(_encode_count(len(self)))
        for value, two, five in zip(self.integers.tolist(), self.twos.tolist(), self.fives.tolist(), strict=True):
            value, two, five = _lowest(value, two, five)
            body = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True) if value else b""
            out += _encode_count(two) + _encode_count(five) + _encode_count(len(body)) + body
        return bytes(out)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse of `to_bytes`. Raises InputError for what is no such form."""
        numbers, end = cls.read(data, 0)
        if end != len(data):
            raise mr.InputError(f"{len(data) - end} bytes too many behind exact sums; the file is damaged")
        return numbers

    @classmethod
    def read(cls, data: bytes, at: int) -> tuple[Self, int]:
        """The numbers at data[at:], and where they end."""
        integers, twos, fives = [], [], []
        try:
            count, at = _decode_count(data, at)
            for _ in range(count):
                two, at = _decode_count(data, at)
                five, at = _decode_count(data, at)
                size, at = _decode_count(data, at)
                if at + size > len(data):
                    raise IndexError
                integers.append(int.from_bytes(data[at : at + size], "little", signed=True))
                twos.append(two)
                fives.append(five)
                at += size
        except IndexError:
            raise mr.InputError("exact sums end too early; the file is damaged") from None
        return cls.of(integers, twos, fives), at


def _over(value: int, two: int, five: int) -> Fraction:
    if two < 0:
        value, two = value << -two, 0
    if five < 0:
        value, five = value * 5**-five, 0
    return Fraction(value, (1 << two) * 5**five)


def to_float(value: Fraction) -> float:
    """The nearest float64, ties to even; infinite where float64 ends."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def digest_of(data: bytes) -> str:
    """The name of a canonical form: SHA-256 in hex digits."""
    return hashlib.sha256(data).hexdigest()


def _objects(values: Iterable[int]) -> Objects:
    listed = list(values)
    out: Objects = np.empty(len(listed), object)
    out[:] = listed
    return out


def _lowest(value: int, two: int, five: int) -> tuple[int, int, int]:
    if value == 0:
        return 0, 0, 0
    if two < 0:
        value, two = value << -two, 0
    spare = min(two, (value & -value).bit_length() - 1)
    value, two = value >> spare, two - spare
    while five and value % 5 == 0:
        value, five = value // 5, five - 1
    return value, two, five


def _encode_count(count: int) -> bytes:
    out = bytearray()
    while count > 127:
        out.append(count & 127 | 128)
        count >>= 7
    out.append(count)
    return bytes(out)


def _decode_count(data: bytes, at: int) -> tuple[int, int]:
    count = shift = 0
    while True:
        byte = data[at]
        at += 1
        count |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return count, at

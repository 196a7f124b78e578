"""How does an ordinary matrix product become exact? Its numbers are cut into slices so narrow that nothing can round.

    value[r, j] = sum over t of matrix[r, first[j] + t] * 2^(20 t)  /  (2^twos[j] * 5^fives[j])

A slice is an integer of at most 2^19 in size, held as a float64. The product of two is at most 2^38, the sum over 2^15
rows at most 2^53: every partial sum is an integer that float64 holds, so BLAS gives the same product on any processor,
with any number of threads, in any order. Column 0 holds ones, so the sums of the slices come with their products.

Decimals have fives (they are integers over a power of ten), binary floats only twos, integers neither.

Sources: K. Ozaki, T. Ogita, S. Oishi and S. Rump, Error-free transformations of matrix multiplication by using fast
routines of matrix multiplication, 2012; J. Demmel and H. D. Nguyen, Parallel Reproducible Summation (ReproBLAS), 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from itertools import groupby
from math import lcm
from operator import add
from typing import Any, Self

import numpy as np

from mapreduce.dataclass import dataclass
from mapreduce.errors import InputError

Floats = np.ndarray[Any, np.dtype[np.float64]]
Objects = np.ndarray[Any, np.dtype[Any]]
Indices = np.ndarray[Any, np.dtype[np.int64]]

WIDTH = 20
"""Bits of a slice, its sign among them."""
ROWS = 1 << 15
"""Rows of one product: 2^15 * 2^19 * 2^19 = 2^53."""
HALF, MASK = 1 << (WIDTH - 1), (1 << WIDTH) - 1
CACHED_ROWS = 1024
"""Rows cut at a time, so that they stay in the processor's cache."""
FAR = 900
"""Bits between the largest and the smallest number of a column up to which floats are cut as floats: beyond, scaling
would lose denormals, and Python's integers do the work."""


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """Columns of exact numbers. `counts` says how many slices a column has, the lowest first."""

    matrix: Floats
    counts: tuple[int, ...]
    twos: tuple[int, ...]
    fives: tuple[int, ...]

    @classmethod
    def of(cls, values: Any) -> Self:
        """Of an array (rows, columns) or (rows,): floats, integers, or objects (int, float, Decimal, Fraction with a
        denominator of twos and fives). Raises InputError for NaN, infinity and what is no number, naming the place."""
        values = np.asarray(values)
        values = values.reshape(len(values), -1) if values.ndim == 1 else values
        if values.ndim != 2:
            raise InputError(f"an array with {values.ndim} dimensions; exact sums take rows and columns")
        if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
            return cls._of_floats(np.asarray(values, np.float64))
        if values.dtype.kind in "bi" or (values.dtype.kind == "u" and values.dtype.itemsize < 8):
            columns = [_cut_ints(values[:, j].astype(np.int64)) for j in range(values.shape[1])]
            return cls._join(len(values), columns, [0] * len(columns), [0] * len(columns))
        return cls.of_columns([values[:, j].tolist() for j in range(values.shape[1])], len(values))

    @classmethod
    def of_columns(cls, columns: Sequence[Sequence[Any]], rows: int) -> Self:
        """Of Python's own numbers, a sequence a column. Slower, and without limits."""
        cut, twos, fives = [], [], []
        for number, column in enumerate(columns):
            fractions = [_fraction(value, row, number) for row, value in enumerate(column)]
            denominator = lcm(*(value.denominator for value in fractions)) if fractions else 1
            two, five, rest = _factors(denominator)
            if rest != 1:
                raise InputError(
                    f"column {number}: a denominator of {denominator}; exact sums take decimals and floats"
                )
            scale = (1 << two) * 5**five
            cut.append(_cut_objects([int(value * scale) for value in fractions]))
            twos.append(two)
            fives.append(five)
        return cls._join(rows, cut, twos, fives)

    @classmethod
    def of_integers(cls, values: list[int], places: int) -> Self:
        """A column of integers over 10^places."""
        return cls._join(len(values), [_cut_objects(values)], [places], [places])

    @classmethod
    def _of_floats(cls, values: Floats) -> Self:
        rows, columns = values.shape
        if not rows or not columns:
            return cls._join(rows, [np.zeros((rows, 0))] * columns, [0] * columns, [0] * columns)
        _check_finite(values)
        size = np.abs(values)
        top = np.frexp(size.max(axis=0))[1].astype(np.int64)
        smallest = np.where(size > 0, size, np.inf).min(axis=0)
        low = np.frexp(np.where(np.isfinite(smallest), smallest, 1.0))[1].astype(np.int64)
        low = np.where(np.isfinite(smallest), low, top)
        if ((top - low) > FAR).any() or (top < -FAR).any():
            return cls.of_columns([values[:, j].tolist() for j in range(columns)], rows)
        top_first = _cut_floats(values, (WIDTH - 1 - top).astype(np.int32))
        most = top_first.shape[2]
        used = np.asarray(top_first.any(axis=0))  # (columns, slices), the highest first
        counts = [int(most - np.argmax(row[::-1])) if row.any() else 0 for row in used]
        matrix = np.ones((rows, 1 + sum(counts)))
        first = 1
        if min(counts) == most:
            matrix[:, 1:].reshape(rows, columns, most)[:] = top_first[:, :, ::-1]
        else:
            for j, count in enumerate(counts):
                matrix[:, first : first + count] = top_first[:, j, :count][:, ::-1]
                first += count
        twos = tuple(WIDTH * count - 1 - int(top[j]) if count else 0 for j, count in enumerate(counts))
        return cls(matrix, tuple(counts), twos, (0,) * columns)

    @classmethod
    def _join(cls, rows: int, pieces: Sequence[Floats], twos: Sequence[int], fives: Sequence[int]) -> Self:
        matrix = np.hstack([np.ones((rows, 1)), *pieces])
        return cls(matrix, tuple(piece.shape[1] for piece in pieces), tuple(twos), tuple(fives))

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def columns(self) -> int:
        return len(self.counts)

    def piece(self, column: int) -> Floats:
        """The slices of a column, the lowest first: (rows, counts[column])."""
        first = 1 + sum(self.counts[:column])
        return self.matrix[:, first : first + self.counts[column]]

    def pick(self, columns: Sequence[int]) -> Self:
        """These columns, in this order; one may be taken twice."""
        pieces = [self.piece(column) for column in columns]
        return self._join(len(self), pieces, [self.twos[j] for j in columns], [self.fives[j] for j in columns])

    def first(self, columns: int) -> Self:
        """The first columns, not copied."""
        width = 1 + sum(self.counts[:columns])
        matrix = self.matrix[:, :width]
        return type(self)(matrix, self.counts[:columns], self.twos[:columns], self.fives[:columns])

    def signs(self, column: int) -> np.ndarray[Any, np.dtype[np.int8]]:
        """-1, 0 or 1 for each number of a column: as its highest slice that is not 0, for lower ones weigh less."""
        signs = np.zeros(len(self), np.int8)
        for slice_ in self.piece(column).T:
            signs = np.where(slice_ != 0, np.sign(slice_), signs).astype(np.int8)
        return signs

    def select(self, rows: Any) -> Self:
        """These rows: a slice, a mask or numbers."""
        return type(self)(self.matrix[rows], self.counts, self.twos, self.fives)

    def beside(self, other: Slices) -> Self:
        """The columns of both. Needs as many rows."""
        matrix = np.hstack([self.matrix, other.matrix[:, 1:]])
        return type(self)(matrix, self.counts + other.counts, self.twos + other.twos, self.fives + other.fives)

    def times(self, other: Slices) -> Self:
        """Column by column, the products of the numbers, exact. A single column of `other` multiplies every one."""
        if other.columns == 1:
            return self._scaled(other, beside=())
        pieces, twos, fives = [], [], []
        for j in range(self.columns):
            pieces.append(_multiply(self.piece(j), other.piece(j)))
            twos.append(self.twos[j] + other.twos[j])
            fives.append(self.fives[j] + other.fives[j])
        return self._join(len(self), pieces, twos, fives)

    def weighted(self, weights: Slices) -> Self:
        """The weights, and beside them every number times the weight of its row, exact."""
        return self._scaled(weights, beside=weights.counts)

    def _scaled(self, factor: Slices, beside: tuple[int, ...]) -> Self:
        """Every number times that of the one column of `factor`, which stands before them if its count is `beside`."""
        f = factor.piece(0)
        t = f.shape[1]
        counts = tuple(count + t if count and t else 0 for count in self.counts)
        matrix = np.empty((len(self), 1 + sum(beside) + sum(counts)))
        matrix[:, 0] = 1
        if beside:
            matrix[:, 1 : 1 + t] = f
        at, first = 1, 1 + sum(beside)
        for s, columns in ((s, len(list(run))) for s, run in groupby(self.counts)):
            width = columns * (s + t) if s and t else 0
            if width:
                _scale(self.matrix[:, at : at + columns * s], f, matrix[:, first : first + width], s)
            at, first = at + columns * s, first + width
        twos = (*(factor.twos if beside else ()), *(two + factor.twos[0] for two in self.twos))
        fives = (*(factor.fives if beside else ()), *(five + factor.fives[0] for five in self.fives))
        return type(self)(matrix, (*beside, *counts), twos, fives)

    def integers(self) -> Objects:
        """The numbers as integers, over 2^twos 5^fives: (rows, columns) of Python's integers."""
        out = np.zeros((len(self), self.columns), object)
        for j in range(self.columns):
            for t, digits in enumerate(self.piece(j).T):
                out[:, j] += digits.astype(np.int64).astype(object) << (WIDTH * t)
        return out

    def product(self, other: Slices) -> Objects:
        """[1 self]' [1 other] as integers over the product of their scales: (1 + columns, 1 + other's columns)."""
        shape = 1 + self.columns, 1 + other.columns
        return self._products(other, *np.indices(shape).reshape(2, -1)).reshape(shape)

    def gram(self) -> Objects:
        """The upper triangle of `product` with itself, by rows."""
        return self._products(self, *np.triu_indices(1 + self.columns))

    def _products(self, other: Slices, i: Indices, j: Indices) -> Objects:
        """The entries (i, j) of `product`."""
        height, width = self.matrix.shape[1], other.matrix.shape[1]
        a_places, b_places = _places(self.counts, height)[i], _places(other.counts, width)[j]
        raw = np.zeros((height, width), np.int64)
        parts = []
        for number, start in enumerate(range(0, len(self), ROWS)):
            a = self.matrix[start : start + ROWS]
            b = a if other is self else other.matrix[start : start + ROWS]
            raw += (a.T @ b).astype(np.int64)
            if number % 256 == 255:  # 2^8 times 2^53 is far below 2^63, also when diagonals are added
                parts.append(_gather(raw, a_places, b_places))
                raw[:] = 0
        parts.append(_gather(raw, a_places, b_places))
        return reduce(add, parts)


def _cut_floats(values: Floats, shift: np.ndarray[Any, np.dtype[np.int32]]) -> Floats:
    """Slices (rows, columns, slices) of floats that `shift` scales below 2^19, the highest first."""
    factor = np.ldexp(1.0, shift)
    parts: list[list[Floats]] = []
    for start in range(0, len(values), CACHED_ROWS):
        rest = values[start : start + CACHED_ROWS] * factor
        part = []
        while True:
            piece = np.rint(rest)
            part.append(piece)
            rest -= piece
            if not rest.any():
                break
            rest *= 1 << WIDTH
        parts.append(part)
    out = np.zeros((*values.shape, max(map(len, parts))))
    for number, part in enumerate(parts):
        start = number * CACHED_ROWS
        for t, piece in enumerate(part):
            out[start : start + CACHED_ROWS, :, t] = piece
    return out


def _gather(raw: Indices, a: Indices, b: Indices) -> Objects:
    """Products of slices become products of numbers, whose slices stand at a (numbers, slices) and b: those of one
    weight are added as they are, then shifted."""
    padded = np.zeros((raw.shape[0] + 1, raw.shape[1] + 1), np.int64)
    padded[:-1, :-1] = raw
    total = np.zeros(len(a), object)
    for weight in range(a.shape[1] + b.shape[1] - 1):
        level = np.zeros(len(a), np.int64)
        for s in range(max(0, weight - b.shape[1] + 1), min(weight + 1, a.shape[1])):
            level += padded[a[:, s], b[:, weight - s]]
        total += level.astype(object) << (WIDTH * weight) if weight else level.astype(object)
    return total


def _places(counts: Sequence[int], none: int) -> Indices:
    """Where each column's slices stand: (1 + columns, most slices); `none` where it has no more."""
    places = np.full((1 + len(counts), max([1, *counts])), none, np.int64)
    places[0, 0] = 0
    first = 1
    for j, count in enumerate(counts, 1):
        places[j, :count] = range(first, first + count)
        first += count
    return places


def _scale(a: Floats, f: Floats, out: Floats, s: int) -> None:
    """Slices of the products of columns of s slices each with one of t; all in floats, which are exact up to 2^53."""
    t = f.shape[1]
    for start in range(0, len(a), CACHED_ROWS):
        numbers = a[start : start + CACHED_ROWS]
        numbers = numbers.reshape(len(numbers), -1, s)
        factors = f[start : start + CACHED_ROWS]
        into = out[start : start + CACHED_ROWS].reshape(len(numbers), -1, s + t)
        carried: Any = 0.0
        for level in range(s + t - 1):
            whole = carried
            for i in range(max(0, level - t + 1), min(level + 1, s)):
                whole = whole + numbers[:, :, i] * factors[:, level - i, None]
            carried = np.rint(whole * 2.0**-WIDTH)
            into[:, :, level] = whole - carried * 2.0**WIDTH
        into[:, :, s + t - 1] = carried


def _multiply(a: Floats, b: Floats) -> Floats:
    """Slices of the products of two columns of numbers."""
    rows, s, t = len(a), a.shape[1], b.shape[1]
    if not s or not t:
        return np.zeros((rows, 0))
    levels = np.zeros((s + t - 1, rows), np.int64)
    for i in range(s):
        for j in range(t):
            levels[i + j] += (a[:, i] * b[:, j]).astype(np.int64)
    return _carry(levels)


def _carry(levels: np.ndarray[Any, np.dtype[np.int64]]) -> Floats:
    """Numbers by powers of 2^20, of any size, as slices; none above the highest that is needed."""
    pieces = []
    carried = np.zeros(levels.shape[1], np.int64)
    for level in levels:
        whole = level + carried
        low = ((whole + HALF) & MASK) - HALF
        carried = (whole - low) >> WIDTH
        pieces.append(low)
    while carried.any():
        low = ((carried + HALF) & MASK) - HALF
        carried = (carried - low) >> WIDTH
        pieces.append(low)
    while pieces and not pieces[-1].any():
        pieces.pop()
    return np.column_stack(pieces).astype(np.float64) if pieces else np.zeros((levels.shape[1], 0))


def _cut_ints(values: np.ndarray[Any, np.dtype[np.int64]]) -> Floats:
    levels = np.stack([values & MASK, (values >> WIDTH) & MASK, values >> (2 * WIDTH)])
    return _carry(levels)


def _cut_objects(values: list[int]) -> Floats:
    bits = max((abs(value).bit_length() for value in values), default=0)
    if bits < 63:
        return _cut_ints(np.array(values, np.int64))
    rest = np.array(values, object)
    levels = []
    for _ in range(bits // WIDTH + 1):
        levels.append((rest & MASK).astype(np.int64))
        rest = rest >> WIDTH
    levels.append(rest.astype(np.int64))  # 0, or -1 for negative ones
    return _carry(np.stack(levels))


def _fraction(value: Any, row: int, column: int) -> Fraction:
    try:
        return Fraction(value.item() if isinstance(value, np.generic) else value)
    except (ValueError, OverflowError, TypeError):
        raise InputError(f"row {row}, column {column}: {value!r} is no finite number; drop or fill such rows") from None


def _check_finite(values: Floats) -> None:
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0].tolist()
        raise InputError(
            f"row {row}, column {column}: {values[row, column]} is no finite number; drop or fill such rows"
        )


def _factors(number: int) -> tuple[int, int, int]:
    """(a, b, rest) of number = 2^a 5^b rest."""
    two = (number & -number).bit_length() - 1
    number >>= two
    five = 0
    while number % 5 == 0:
        number //= 5
        five += 1
    return two, five, number


def to_decimal(cell: str) -> Decimal:
    """A cell of text as the decimal that it is. Raises ValueError for what is no finite number."""
    if "_" in cell:
        raise ValueError(cell)
    try:
        value = Decimal(cell.strip())
    except ArithmeticError:
        raise ValueError(cell) from None
    if not value.is_finite():
        raise ValueError(cell)
    return value

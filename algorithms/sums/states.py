"""Which sums do statistics and linear models live on, and why do their bits not depend on how the rows were cut?

    ExactSum     n, sum x                                  of each column
    PowerSums    n, sum x, x^2, x^3, x^4, min, max         of each column
    ExactGram    n, the matrix sum w [1 z][1 z]'           z = (x, y); w = 1 without weights
    Counts       how often each label occurs
    ClassSums    one of the states above for each class

Each is `of(rows)`, `+`, `-`, a zero, and a digest: SHA-256 of a canonical form. All numbers are exact, so + is
associative and commutative, and what is subtracted leaves no trace: the digest is that of never having seen it. (A
minimum cannot be subtracted: PowerSums drops both ends then.)

`of` takes what `mr.Slices.of` takes, and what `block.exact()` gives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np

import mapreduce as mr
from algorithms.rows import Array
from algorithms.sums.numbers import Numbers, digest_of, to_float


class State:
    """What all exact states can do. A subclass is a frozen dataclass with `rows` and `numbers`, compared by value."""

    __slots__ = ()
    tag: ClassVar[bytes]

    def to_bytes(self) -> bytes:
        """The canonical form: equal states, equal bytes."""
        raise NotImplementedError

    def pack(self) -> bytes:
        """All that is in it, also what the canonical form leaves out; `state_from_bytes` reads it."""
        return self.to_bytes()

    def digest(self) -> str:
        """SHA-256 of the canonical form."""
        return digest_of(self.to_bytes())

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())


def slices_of(rows: Any) -> mr.Slices:
    """Rows in any form that a state takes."""
    if isinstance(rows, mr.Slices):
        return rows
    return rows.exact() if hasattr(rows, "exact") else mr.Slices.of(rows)


@dataclass(frozen=True, slots=True, eq=False)
class ExactSum(State):
    """n and the sum of each column."""

    tag: ClassVar[bytes] = b"sum1"
    rows: int
    numbers: Numbers

    @classmethod
    def of(cls, rows: Any) -> Self:
        Z = slices_of(rows)
        sums = Z.product(mr.Slices.of(np.zeros((len(Z), 0))))[1:, 0]
        return cls(len(Z), Numbers.of(sums, Z.twos, Z.fives))

    @classmethod
    def zero(cls, columns: int) -> Self:
        return cls(0, Numbers.zeros(columns))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.rows + other.rows, self.numbers + other.numbers)

    def __sub__(self, other: Self) -> Self:
        return type(self)(_fewer(self.rows, other.rows), self.numbers - other.numbers)

    def pick(self, columns: Sequence[int]) -> Self:
        """The state of these columns alone."""
        return type(self)(self.rows, self.numbers.pick(columns))

    def sums(self) -> list[Fraction]:
        return self.numbers.fractions()

    def floats(self) -> Array:
        """The sums, correctly rounded."""
        return self.numbers.floats()

    def means(self) -> Array:
        """Correctly rounded; nan of no rows."""
        return np.array([to_float(value / self.rows) if self.rows else np.nan for value in self.sums()])

    def to_bytes(self) -> bytes:
        return self.tag + self.rows.to_bytes(8, "little") + self.numbers.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        _check_tag(cls.tag, data)
        return cls(int.from_bytes(data[4:12], "little"), Numbers.from_bytes(data[12:]))


@dataclass(frozen=True, slots=True, eq=False)
class PowerSums(State):
    """n, the sums of the first four powers of each column, and its ends; `ends` is None after a subtraction."""

    tag: ClassVar[bytes] = b"pow1"
    rows: int
    columns: int
    numbers: Numbers  # sum x of all columns, then sum x^2, x^3, x^4
    ends: tuple[tuple[Fraction, Fraction], ...] | None = None
    """(min, max) of each column; () of no rows."""

    @classmethod
    def of(cls, rows: Any) -> Self:
        Z = slices_of(rows)
        powers = [Z]
        for _ in range(3):
            powers.append(powers[-1].times(Z))
        parts = [ExactSum.of(power).numbers for power in powers]
        numbers = Numbers(
            np.concatenate([part.integers for part in parts]),
            np.concatenate([part.twos for part in parts]),
            np.concatenate([part.fives for part in parts]),
        )
        return cls(len(Z), Z.columns, numbers, _ends(Z))

    @classmethod
    def zero(cls, columns: int) -> Self:
        return cls(0, columns, Numbers.zeros(4 * columns), ())

    def __add__(self, other: Self) -> Self:
        ends = self.ends or other.ends
        if self.ends and other.ends:
            pairs = zip(self.ends, other.ends, strict=True)
            ends = tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in pairs)
        if self.ends is None or other.ends is None:
            ends = None
        return type(self)(self.rows + other.rows, self.columns, self.numbers + other.numbers, ends)

    def __sub__(self, other: Self) -> Self:
        return type(self)(_fewer(self.rows, other.rows), self.columns, self.numbers - other.numbers, None)

    def pick(self, columns: Sequence[int]) -> Self:
        """The state of these columns alone."""
        at = [power * self.columns + j for power in range(4) for j in columns]
        ends = tuple(self.ends[j] for j in columns) if self.ends else self.ends
        return type(self)(self.rows, len(columns), self.numbers.pick(at), ends)

    def sums(self) -> list[list[Fraction]]:
        """[sum x, sum x^2, sum x^3, sum x^4] of each column."""
        flat = self.numbers.fractions()
        return [flat[j :: self.columns] for j in range(self.columns)]

    def to_bytes(self) -> bytes:
        """Without the ends: they are no sums, and a subtraction loses them."""
        head = self.rows.to_bytes(8, "little") + self.columns.to_bytes(4, "little")
        return self.tag + head + self.numbers.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        _check_tag(cls.tag, data)
        rows, columns = int.from_bytes(data[4:12], "little"), int.from_bytes(data[12:16], "little")
        numbers, end = Numbers.read(data, 16)
        ends: list[list[str]] | None = json.loads(data[end:]) if end < len(data) else None
        known = None if ends is None else tuple((Fraction(low), Fraction(high)) for low, high in ends)
        return cls(rows, columns, numbers, known if rows else ())

    def pack(self) -> bytes:
        """With the ends."""
        ends = self.ends if self.ends is None else [[str(low), str(high)] for low, high in self.ends]
        return self.to_bytes() + json.dumps(ends).encode()


@dataclass(frozen=True, slots=True, eq=False)
class ExactGram(State):
    """n and the matrix sum w [1 z][1 z]' of rows z with weights w (1 if there are none), upper triangle by rows."""

    tag: ClassVar[bytes] = b"gram"
    rows: int
    columns: int
    numbers: Numbers

    @classmethod
    def of(cls, rows: Any, weights: Any = None) -> Self:
        Z = slices_of(rows)
        i, j = np.triu_indices(Z.columns + 1)
        twos, fives = [0, *Z.twos], [0, *Z.fives]
        if weights is None:
            integers, left_twos, left_fives = Z.gram(), twos, fives
        else:
            left = Z.weighted(slices_of(weights))
            integers, left_twos, left_fives = left.product(Z)[1:][i, j], list(left.twos), list(left.fives)
        numbers = Numbers(
            integers,
            np.array(left_twos, np.int64)[i] + np.array(twos, np.int64)[j],
            np.array(left_fives, np.int64)[i] + np.array(fives, np.int64)[j],
        )
        return cls(len(Z), Z.columns, numbers)

    @classmethod
    def zero(cls, columns: int) -> Self:
        return cls(0, columns, Numbers.zeros((columns + 1) * (columns + 2) // 2))

    def __add__(self, other: Self) -> Self:
        return type(self)(self.rows + other.rows, self.columns, self.numbers + other.numbers)

    def __sub__(self, other: Self) -> Self:
        return type(self)(_fewer(self.rows, other.rows), self.columns, self.numbers - other.numbers)

    def matrix(self) -> list[list[Fraction]]:
        """The whole matrix, (columns + 1) square; row 0 is [sum w, sum w z]."""
        size = self.columns + 1
        full = [[Fraction(0)] * size for _ in range(size)]
        i, j = np.triu_indices(size)
        for a, b, value in zip(i.tolist(), j.tolist(), self.numbers.fractions(), strict=True):
            full[a][b] = full[b][a] = value
        return full

    def pick(self, columns: Iterable[int]) -> Self:
        """The state of these columns alone: as if the others had never been."""
        chosen = [0, *(1 + column for column in columns)]
        size = self.columns + 1
        place = np.zeros((size, size), np.int64)
        i, j = np.triu_indices(size)
        place[i, j] = place[j, i] = np.arange(len(i))
        a, b = np.triu_indices(len(chosen))
        at = place[np.array(chosen)[a], np.array(chosen)[b]]
        own = self.numbers
        return type(self)(self.rows, len(chosen) - 1, Numbers(own.integers[at], own.twos[at], own.fives[at]))

    def to_bytes(self) -> bytes:
        head = self.rows.to_bytes(8, "little") + self.columns.to_bytes(4, "little")
        return self.tag + head + self.numbers.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        _check_tag(cls.tag, data)
        rows, columns = int.from_bytes(data[4:12], "little"), int.from_bytes(data[12:16], "little")
        return cls(rows, columns, Numbers.from_bytes(data[16:]))


@dataclass(frozen=True, slots=True, eq=False)
class Counts(State):
    """How often each label occurs. Labels are numbers or strings; those that occur 0 times are not there."""

    tag: ClassVar[bytes] = b"cnt1"
    counts: Mapping[Any, int] = field(default_factory=dict)

    @classmethod
    def of(cls, labels: Iterable[Any]) -> Self:
        return cls(dict(Counter(labels.tolist() if hasattr(labels, "tolist") else labels)))

    @classmethod
    def zero(cls) -> Self:
        return cls({})

    def __add__(self, other: Self) -> Self:
        return self._joined(other, 1)

    def __sub__(self, other: Self) -> Self:
        return self._joined(other, -1)

    def _joined(self, other: Self, sign: int) -> Self:
        joined = dict(self.counts)
        for label, count in other.counts.items():
            joined[label] = joined.get(label, 0) + sign * count
            if joined[label] < 0:
                raise mr.InputError(f"label {label!r} is taken away more often than it was counted")
        return type(self)({label: count for label, count in joined.items() if count})

    @property
    def rows(self) -> int:
        return sum(self.counts.values())

    def to_bytes(self) -> bytes:
        return self.tag + _labelled({label: str(count).encode() for label, count in self.counts.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        _check_tag(cls.tag, data)
        return cls({label: int(count) for label, count in _read_labelled(data[4:]).items()})


@dataclass(frozen=True, slots=True, eq=False)
class ClassSums(State):
    """A state for each class: `ClassSums.of(rows, labels, PowerSums.of)`. Classes without rows are not there."""

    tag: ClassVar[bytes] = b"cls1"
    states: Mapping[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Any, labels: Any, state_of: Callable[[mr.Slices], Any] = ExactSum.of) -> Self:
        Z, labels = slices_of(rows), np.asarray(labels)
        return cls({label: state_of(Z.select(labels == label)) for label in np.unique(labels).tolist()})

    @classmethod
    def zero(cls) -> Self:
        return cls({})

    def __add__(self, other: Self) -> Self:
        joined = dict(self.states)
        for label, state in other.states.items():
            joined[label] = joined[label] + state if label in joined else state
        return type(self)(joined)

    def __sub__(self, other: Self) -> Self:
        left = dict(self.states)
        for label, state in other.states.items():
            if label not in left:
                raise mr.InputError(f"class {label!r} is taken away and was never added")
            left[label] = left[label] - state
        return type(self)({label: state for label, state in left.items() if state.rows})

    @property
    def rows(self) -> int:
        return sum(state.rows for state in self.states.values())

    def to_bytes(self) -> bytes:
        return self.tag + _labelled({label: state.to_bytes() for label, state in self.states.items()})

    def pack(self) -> bytes:
        return self.tag + _labelled({label: state.pack() for label, state in self.states.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        _check_tag(cls.tag, data)
        return cls({label: state_from_bytes(body) for label, body in _read_labelled(data[4:]).items()})


def state_from_bytes(data: bytes) -> State:
    """The state of any kind that a canonical form stands for. Raises InputError."""
    for kind in (ExactSum, PowerSums, ExactGram, Counts, ClassSums):
        if data[:4] == kind.tag:
            return kind.from_bytes(data)
    raise mr.InputError(f"{data[:4]!r} begins no exact sums of ours; the file is damaged, or of another version")


def _fewer(rows: int, others: int) -> int:
    if others > rows:
        raise mr.InputError(f"{others} rows are taken away from {rows}; only what was added can be taken away")
    return rows - others


def _ends(Z: mr.Slices) -> tuple[tuple[Fraction, Fraction], ...]:
    if not len(Z):
        return ()
    ends = []
    for j in range(Z.columns):
        piece, scale = Z.piece(j), Fraction(2) ** Z.twos[j] * 5 ** Z.fives[j]
        # balanced digits: greater in the highest slice that differs is greater
        order = np.lexsort(piece.T) if piece.shape[1] else np.zeros(1, np.int64)
        low, high = (Z.select([row]).pick([j]).integers()[0, 0] for row in (int(order[0]), int(order[-1])))
        ends.append((Fraction(low) / scale, Fraction(high) / scale))
    return tuple(ends)


def _check_tag(tag: bytes, data: bytes) -> None:
    if data[:4] != tag:
        raise mr.InputError(
            f"{data[:4]!r} begins no {tag.decode()} sums of ours; the file is damaged, or of another kind"
        )


def _labelled(entries: Mapping[Any, bytes]) -> bytes:
    """Labels by their JSON text, in its order: a canonical form of a mapping."""
    named = sorted((json.dumps(_plain(label)).encode(), body) for label, body in entries.items())
    return b"".join(len(part).to_bytes(4, "little") + part for entry in named for part in entry)


def _plain(label: Any) -> Any:
    """Equal labels are one: 1, 1.0 and True; 0.0 and -0.0."""
    return int(label) if isinstance(label, bool) or (isinstance(label, float) and label.is_integer()) else label


def _read_labelled(data: bytes) -> dict[Any, bytes]:
    parts, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        parts.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(data) or len(parts) % 2:
        raise mr.InputError("exact sums end too early; the file is damaged")
    return {json.loads(label): body for label, body in zip(parts[::2], parts[1::2], strict=True)}

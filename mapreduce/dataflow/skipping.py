"""Which records may be left out, and when are they too many? Decisions only; `skipper` acts on them.

A record is bad if `map` raises on it, or if two attempts died at it. Rows are numbered from 0 in their block, or in
their split where they are called numbers.

What a block's `map` makes when some of its records are bad is what it makes of the others as one block: the same bits
as if the bad ones were not in the block. Which ones are bad is found by halving, each half being mapped and what it
gave thrown away.

    death in a block of many records   the next attempt maps that block's records one by one first, to see who kills
    death at one record                counts against that record
    a record is charged two deaths     it is left out; one of them may be a death in its block, which counts only once
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from mapreduce.dataclass import dataclass, field
from mapreduce.errors import (
    InternalError,
    LostWorkerError,
    OutputLostError,
    ResourceError,
    UsageError,
)

DEATHS_THAT_CONVICT = 2
"""Attempts that must die at a record before it is left out. One may be bad luck; a record is not lost for that."""

COUNTER = "records skipped"
"""The counter of records that were left out. It travels with the attempt, so it counts a task once."""

_NOT_THE_RECORD = (MemoryError, UsageError, ResourceError, InternalError, OutputLostError, LostWorkerError)
"""What `map` may raise that another record would raise too, or this one on another day."""


def is_bad_record(error: BaseException) -> bool:
    """May the record be left out on which `map` raised this? `sys.exit()` counts as raising."""
    if not isinstance(error, Exception | SystemExit) or isinstance(error, _NOT_THE_RECORD):
        return False
    return type(error).__name__ != "BdbQuit"  # the user left the debugger


def find_bad(
    rows: Sequence[int], error: BaseException, attempt: Callable[[Sequence[int]], BaseException | None]
) -> dict[int, BaseException]:
    """The rows that fail on their own, in order, each with its error, given that all of them together failed so.

    `attempt(rows)` tries some rows and returns the error, if any. Empty if no row fails on its own: then the fault lies
    in their being together, and nobody knows which one to leave out.
    """
    if len(rows) == 1:
        return {rows[0]: error}
    middle = len(rows) // 2
    found: dict[int, BaseException] = {}
    for half in (rows[:middle], rows[middle:]):
        failed = attempt(half)
        if failed is not None:
            found |= find_bad(half, failed, attempt)
    return found


@dataclass(frozen=True, slots=True)
class Death:
    """What an attempt was at when it died: `count` records of its split from number `first` on."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What the deaths of earlier attempts tell: records to leave out, and first records of blocks to look into."""

    killers: frozenset[int] = frozenset()
    blocks: frozenset[int] = frozenset()


def suspect(deaths: Iterable[Death]) -> Suspicion:
    """Judge the deaths of a task's attempts; their order does not matter."""
    alone: Counter[int] = Counter()
    in_block: Counter[Death] = Counter()
    for death in deaths:
        if death.count == 1:
            alone[death.first] += 1
        else:
            in_block[death] += 1
    killers = set()
    uncharged = in_block.copy()
    for number, times in sorted(alone.items()):
        missing = DEATHS_THAT_CONVICT - times
        block = next((block for block in uncharged if block.first <= number < block.first + block.count), None)
        if missing > 0 and block is not None and uncharged[block] >= missing:
            uncharged[block] -= missing
            missing = 0
        if missing <= 0:
            killers.add(number)
    return Suspicion(frozenset(killers), frozenset(block.first for block in in_block))


def most_skipped(ratio: float, records: int) -> int:
    """How many of so many records may be left out. The ratio is the decimal that the user wrote: 0.1 of 10 is 1."""
    return int(Fraction(repr(ratio)) * records)


@dataclass(slots=True)
class SkipBook:
    """How many records the committed tasks left out, and whether that is too many.

    Exactly: once all tasks are done, by the records that were read. Before that: if the job can't stay within the ratio
    any more, whatever comes. `most_records` is what the whole input can hold at most, None where nobody knows. So it
    does not depend on the order of the commits whether a job fails.
    """

    ratio: float
    tasks: int
    most_records: int | None
    skipped: dict[int, int] = field(default_factory=dict)
    records: dict[int, int] = field(default_factory=dict)

    def enter(self, task: int, skipped: int, records: int) -> None:
        """A task was committed; again is harmless."""
        self.skipped[task] = skipped
        self.records[task] = records

    @property
    def is_complete(self) -> bool:
        return len(self.records) == self.tasks

    @property
    def all_skipped(self) -> int:
        return sum(self.skipped.values())

    @property
    def all_records(self) -> int:
        return sum(self.records.values())

    @property
    def is_over(self) -> bool:
        """Are they too many?"""
        most = self.all_records if self.is_complete else self.most_records
        return most is not None and self.all_skipped > most_skipped(self.ratio, most)

    def sentence(self) -> str:
        """How many were skipped, for a person."""
        skipped, records = self.all_skipped, self.all_records
        share = f"{100 * skipped / records:.3g} %" if records else "none were read"
        so_far = "" if self.is_complete else " read so far"
        return f"skipped {skipped:,} of {records:,} {'record' if records == 1 else 'records'}{so_far} ({share})"


def over_ratio_message(book: SkipBook, first: str, folder: str | None) -> str:
    """Why the job failed: how many, what was allowed, an example, and where they are."""
    see = f"; all of them are in {folder}" if folder else ""
    return (
        f"{book.sentence()}, more than the {100 * book.ratio:.6g} % that --skip-bad-records allows; first: {first}{see}"
    )

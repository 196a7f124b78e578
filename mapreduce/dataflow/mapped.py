"""How does a job's `map` see its records, and which record was in hand when it raised?

Pairs are chained in C, so the loop costs nothing a record; the record that raised is found afterwards, from how many
the list's iterator has left. Pairs are taken in chunks, so where not `map` raised but what took its pairs, that record
is too late: `map` runs once more, to find the first that gives no pair, or the pair that was not taken.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import chain
from operator import length_hint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mapreduce
from mapreduce.dataclass import dataclass
from mapreduce.dataflow.monitor import InHand, Monitor
from mapreduce.errors import JobError, MapReduceError
from mapreduce.formats.base import Block
from mapreduce.job import Named

if TYPE_CHECKING:
    from mapreduce.dataflow.attempt import Attempt
    from mapreduce.dataflow.skipper import Skipper

PACKAGE = str(Path(mapreduce.__file__).parent)
RECORD_CHARACTERS = 500


class MappedBlock:
    """The pairs that a job maps a block's records to."""

    def __init__(self, job: Any, block: Block, monitor: Monitor) -> None:
        self.monitor = monitor
        self.job = job
        self.block = block
        self.records = list(block.records())
        self.left = iter(self.records)
        monitor.in_hand, monitor.within = self.in_hand, self._done
        self.pairs: Iterator[Any] = chain.from_iterable(map(job.map, self.left))

    def in_hand(self) -> InHand:
        """The record that `map` was given last, and its place."""
        index = max(0, self._index())
        return InHand(shorten(self.records[index]), self.block.place(self._row(index)))

    def explain(self, error: Exception, pair: Any = None) -> Exception:
        """Note the record in hand, or that which gave `pair`, and its place. Returns the error to raise, clearer where
        `map` gave no pairs."""
        method = f"{type(self.job).__name__}.map"
        index = self._index() if pair is None else self._index_of(pair)
        wrong = self._first_wrong(index + 1) if is_ours(error) else None
        if wrong is not None:
            index = wrong.index
        if 0 <= index < len(self.records):
            self.monitor.record = shorten(self.records[index])
            self.monitor.place = self.block.place(self._row(index))
        if wrong is None:
            return own_words(error, method)
        explained = JobError(f"{method} {wrong.rule}")
        explained.__cause__ = error
        return explained

    def _first_wrong(self, records: int) -> WrongPair | None:
        with suppress(Exception):  # a `map` that gives something else this time: then the first error is all we know
            for index in range(records):
                wrong = self._wrong_pair_of(index)
                if wrong is not None:
                    return wrong
        return None

    def _index_of(self, pair: Any) -> int:
        """The first record that gives such a pair."""
        last, wanted = self._index(), repr(pair)
        with suppress(Exception):
            for index in range(last):
                if any(repr(given) == wanted for given in self._pairs_of(index)):
                    return index
        return last

    def _pairs_of(self, index: int) -> Iterator[Any]:
        pairs: Iterator[Any] = self.job.map(self.records[index])
        return pairs

    def _wrong_pair_of(self, index: int) -> WrongPair | None:
        for pair in self._pairs_of(index):
            if not _is_pair(pair):
                return WrongPair(index, _rule_for(pair))
        return None

    def _done(self) -> int:
        """How many of the records were mapped, for a block whose records take long."""
        return max(0, self._index())

    def _index(self) -> int:
        """Which of the records is in hand."""
        return len(self.records) - length_hint(self.left) - 1

    def _row(self, index: int) -> int:
        """That record's row in the block."""
        return index


@dataclass(frozen=True, slots=True)
class WrongPair:
    """Which record's `map` gave something else than a pair, and what to say of it."""

    index: int
    rule: str


def _is_pair(thing: Any) -> bool:
    try:
        _, _ = thing
    except (TypeError, ValueError):
        return False
    return True


def _rule_for(thing: Any) -> str:
    if isinstance(thing, Named):
        return "yielded mr.Named; that belongs in reduce, or in the map of a job without reduce"
    return f"must yield (key, value) pairs, and yielded {shorten(thing)}"


def in_block(block: Block) -> Callable[[], InHand]:
    """What is in hand while a block is, as a whole."""
    return lambda: InHand(None, f"the block that starts at {block.place(0)}")


def skipping_of(attempt: Attempt, *, logged: bool = True) -> AbstractContextManager[Skipper | None]:
    """What leaves out bad records; None in a job that does not ask for it, which does not even load the code."""
    if not attempt.context.settings.skip_bad_records:
        return nullcontext()
    from mapreduce.dataflow.skipper import skipping

    return skipping(attempt, logged=logged)


@contextmanager
def placed(block: Block, monitor: Monitor) -> Iterator[None]:
    """If what is done with a whole block raises, note where the block stands."""
    try:
        yield
    except Exception:
        with suppress(MapReduceError):  # the place is a help, no reason to hide the error
            monitor.place = f"the block that starts at {block.place(0)}"
        raise


def shorten(record: Any) -> str:
    text = repr(record)
    return text if len(text) <= RECORD_CHARACTERS else f"{text[:RECORD_CHARACTERS]}... ({len(text):,} characters)"


def is_ours(error: Exception) -> bool:
    """Did our own loop raise this TypeError or ValueError, for what a method gave it?"""
    if not isinstance(error, TypeError | ValueError) or isinstance(error, MapReduceError):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(PACKAGE)


def own_words(error: Exception, method: str) -> Exception:
    """A TypeError or ValueError that our own loop raised means that the method gave something else than pairs."""
    if not is_ours(error):
        return error
    explained = JobError(f"{method} must yield (key, value) pairs that its reducer can take; {error}")
    explained.__cause__ = error
    return explained

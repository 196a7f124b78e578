"""How does a job's `map` see its records, and which record was in hand when it raised?

Pairs are chained in C, so the loop costs nothing a record; the record that raised is found afterwards, from how many
the list's iterator has left.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from operator import length_hint
from pathlib import Path
from typing import Any

import mapreduce
from mapreduce.dataflow.monitor import Monitor
from mapreduce.errors import JobError, MapReduceError
from mapreduce.formats.base import Block

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
        self.pairs: Iterator[Any] = chain.from_iterable(map(job.map, self.left))

    def explain(self, error: Exception) -> Exception:
        """Note the record in hand and its place; return the error to raise, clearer where `map` gave no pairs."""
        index = len(self.records) - length_hint(self.left) - 1
        if 0 <= index < len(self.records):
            self.monitor.record = shorten(self.records[index])
            self.monitor.place = self.block.place(index)
        return own_words(error, f"{type(self.job).__name__}.map")


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


def own_words(error: Exception, method: str) -> Exception:
    """A TypeError or ValueError that our own loop raised means that the method gave something else than pairs."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = bool(frames) and frames[-1].filename.startswith(PACKAGE)
    if not ours or not isinstance(error, TypeError | ValueError) or isinstance(error, MapReduceError):
        return error
    explained = JobError(f"{method} must yield (key, value) pairs that its reducer can take; {error}")
    explained.__cause__ = error
    return explained

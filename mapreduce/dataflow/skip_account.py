"""Which side files are final, and has the job skipped too much? What the tracker's side does about bad records.

A map task's side file is committed with the task: first commit wins, and a later one of the same task writes the same
bytes. A file that should be there and is not makes the task's output lost, and the map runs again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from mapreduce.dataflow.package import JobContext
from mapreduce.dataflow.results import AttemptResult
from mapreduce.dataflow.skipped_records import decode_skipped
from mapreduce.dataflow.skipping import COUNTER, SkipBook, over_ratio_message
from mapreduce.errors import JobError, OutputLostError
from mapreduce.formats.base import Split
from mapreduce.formats.bytes_io import is_splittable
from mapreduce.ids import AttemptId
from mapreduce.storage.paths import JOB, SKIPPED, STEPS, JobPaths
from mapreduce.storage.store import explained, open_store, read_whole


class SkipAccount:
    """What the committed map tasks of a job skipped."""

    def __init__(self, context: JobContext, splits: Sequence[Split]) -> None:
        self.context = context
        self.book = SkipBook(context.settings.skip_bad_records, len(splits), most_records(splits))
        self.store = open_store(context.root)
        self.paths = JobPaths(context.root)

    def commit(self, attempt: AttemptId) -> None:
        """Give the attempt's side file its final name. Harmless twice, and where there is none."""
        old, new = self.paths.skipped(attempt), self.paths.skipped_part(attempt.task.index)
        try:
            self.store.size(old)
        except FileNotFoundError:
            return
        with explained(self.store, new):
            self.store.rename(old, new)
            if self.context.durable:
                self.store.sync(SKIPPED)

    def discard(self, attempt: AttemptId) -> None:
        """Remove the side file of an attempt that was not the first to finish."""
        self.store.remove(self.paths.skipped(attempt))

    def enter(self, attempt: AttemptId, result: AttemptResult) -> str | None:
        """Enter a committed map task; after the last one, returns a sentence for the summary if there is one.

        Raises JobError once too many records were skipped, OutputLostError if the task's side file is gone.
        """
        was_complete = self.book.is_complete
        skipped = result.counters.get(COUNTER, 0)
        if skipped:
            self._check_file(attempt.task.index, skipped)
        self.book.enter(attempt.task.index, skipped, result.stats.records_in)
        if self.book.is_over:
            folder = os.path.join(self.context.root, SKIPPED) if self.context.durable else None
            raise JobError(over_ratio_message(self.book, self._first(), folder))
        return self._sentence() if self.book.is_complete and not was_complete else None

    def _sentence(self) -> str | None:
        if not self.book.all_skipped:
            return None
        folder = os.path.join(output_of(self.context.root), SKIPPED)
        if self.context.format.name == "cached":  # a pass of a fit: its engine knows whether there is a folder
            return self.book.sentence()
        see = f"; see {folder}" if self.context.durable else "; with an output folder (-o) they are kept there"
        return f"{self.book.sentence()}{see}"

    def _check_file(self, index: int, skipped: int) -> None:
        try:
            lines = read_whole(self.store, self.paths.skipped_part(index)).count(b"\n")
        except FileNotFoundError:
            lines = 0
        if lines < skipped:
            raise OutputLostError(f"{self.paths.skipped_part(index)} lists {lines} of {skipped} skipped records")

    def _first(self) -> str:
        """The first skipped record of those committed, for a message."""
        index = min(index for index, skipped in self.book.skipped.items() if skipped)
        try:
            line = read_whole(self.store, self.paths.skipped_part(index)).partition(b"\n")[0]
            return str(decode_skipped(line))
        except (OSError, json.JSONDecodeError) as error:
            return f"unknown ({error})"


def output_of(root: str) -> str:
    """The output folder that the user named: a job of a chain, or a pass of a fit, has a folder within its `_job`."""
    steps = Path(root).parent
    return str(steps.parent.parent) if (steps.parent.name, steps.name) == (JOB, STEPS) else root


def most_records(splits: Sequence[Split]) -> int | None:
    """How many records the splits hold at most: a record takes a byte. None where the bytes are compressed or rows."""
    for split in splits:
        extent = split.extent
        if extent.end - extent.start != extent.bytes or not is_splittable(split.file):
            return None
    return sum(split.extent.bytes + 1 for split in splits)  # a whole file is a record, though it is empty

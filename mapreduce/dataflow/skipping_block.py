"""How are a block's good records mapped by row, in a job that leaves out bad ones? See skipper.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mapreduce.dataflow.mapped import MappedBlock
from mapreduce.dataflow.skipper import Skipper
from mapreduce.dataflow.skipping import is_bad_record
from mapreduce.formats.base import Block


class SkippingBlock(MappedBlock):
    """The pairs of a block's good records. What fails in taking a pair, once its record was mapped, fails the task."""

    def __init__(self, skipper: Skipper, block: Block) -> None:
        self.skipper = skipper
        self.job = skipper.job
        self.monitor = skipper.attempt.monitor
        self.block = block
        self.bad: dict[int, BaseException | None] = {}
        self.rows = skipper.records(block, self.bad)
        self.records = [record for _, record in self.rows]
        self.at = -1
        self.monitor.in_hand, self.monitor.within = self.in_hand, self._done
        self.pairs = self._pairs()

    def _pairs(self) -> Iterator[Any]:
        skipper, job, bad = self.skipper, self.job, self.bad
        base, noted = skipper.base, skipper.note.numbers
        killers = set(skipper.killers(len(self.block)))
        noted[1] = 1
        for self.at, (row, record) in enumerate(self.rows):
            if row in killers:
                bad[row] = None
                continue
            counters, job._counters = job._counters, None
            noted[0] = base + row
            try:
                made = list(job.map(record))
            except BaseException as error:
                if not is_bad_record(error):
                    raise
                bad[row] = error
                job._counters = counters
                continue
            finally:
                noted[0] = -1
            own = job._counters
            job._counters = counters if own is None else own if counters is None else counters + own
            yield from made
        skipper.leave_out(self.block, bad)
        skipper.base += len(self.block)

    def _index(self) -> int:
        return self.at

    def _row(self, index: int) -> int:
        return self.rows[index][0]

    def _pairs_of(self, index: int) -> Iterator[Any]:
        return iter(()) if self._row(index) in self.bad else super()._pairs_of(index)

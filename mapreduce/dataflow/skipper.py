"""How does a map attempt leave out bad records? By row or by block, in jobs that ask for it; others never come here.

```text
by row     note the record -> map it, all its pairs at once -> raised? log it, forget its pairs : pass them on
by block   note the block  -> map it -> raised? halve until single records raise, log those, map the others as one block
```

What a record counted before it raised does not count. A record's pairs are in memory together, so that none is passed
on before all are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

from mapreduce.counters import Counters
from mapreduce.dataflow.attempt import Attempt
from mapreduce.dataflow.death_notes import DeathNote, read_deaths
from mapreduce.dataflow.skipped_records import SkipLog, encode_skipped
from mapreduce.dataflow.skipping import COUNTER, Suspicion, find_bad, is_bad_record, suspect
from mapreduce.formats.base import Block
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.store import open_store


@contextmanager
def skipping(attempt: Attempt, *, logged: bool = True) -> Iterator[Skipper]:
    """The attempt's skipper. `logged`: what is skipped is counted and kept."""
    skipper = Skipper(attempt, logged=logged)
    try:
        yield skipper
        skipper.finish()
    except BaseException:
        skipper.abort()
        raise
    finally:
        skipper.note.close()


class Skipper:
    """What one attempt leaves out. Blocks must come in order, each once."""

    def __init__(self, attempt: Attempt, *, logged: bool) -> None:
        root = attempt.context.root
        self.attempt = attempt
        self.job = attempt.job
        self.suspicion: Suspicion = suspect(read_deaths(root, attempt.id))
        self.note = DeathNote(root, attempt.id)
        self.log = SkipLog(open_store(root), JobPaths(root).skipped(attempt.id)) if logged else None
        self.base = 0  # number in the split of the block's first record

    def map_block(self, map: Callable[[Block], Any], block: Block) -> list[Any]:
        """[what `map` makes of the good records, as one block], or [] if there is none.

        Raises what `map` raised on all of them if it raises on none by itself, and what is no record's fault.
        """
        count = len(block)
        bad: dict[int, BaseException | None] = dict.fromkeys(self.killers(count))
        if self.base in self.suspicion.blocks:
            self._look_into(map, block, bad)
        made: list[Any] = []
        while not made and len(bad) < count:
            rows = [row for row in range(count) if row not in bad]
            self.note.enter(self.base, count)
            try:
                made = [self._apart(map, block.select(rows) if bad else block)]
            except BaseException as error:
                if not is_bad_record(error):
                    raise
                found = self._find_bad(rows, error, lambda some: self._quietly(map, block.select(some)))
                bad |= found
            finally:
                self.note.leave()
        self.leave_out(block, bad)
        self.base += count
        return made

    def records(self, block: Block, bad: dict[int, BaseException | None]) -> list[tuple[int, Any]]:
        """The block's records by row; those that cannot be read are added to `bad`."""
        try:
            return list(enumerate(block.records()))
        except Exception as error:
            if not is_bad_record(error):
                raise
            bad |= self._find_bad(range(len(block)), error, lambda some: _reading_error(block.select(some)))
        rows = [row for row in range(len(block)) if row not in bad]
        return list(zip(rows, block.select(rows).records(), strict=True)) if rows else []

    def leave_out(self, block: Block, bad: dict[int, BaseException | None]) -> None:
        """Log the block's bad records, in order; None for an error means that it killed."""
        if self.log is None:
            return
        for row, error in sorted(bad.items(), key=itemgetter(0)):
            self.log.add(encode_skipped(block.where(row), error, _bytes_of(block, row)))

    def finish(self) -> None:
        if self.log is not None:
            self.log.close(sync=self.attempt.context.durable)
            if self.log.count:
                self.job.count(COUNTER, self.log.count)

    def abort(self) -> None:
        if self.log is not None:
            self.log.abort()

    def killers(self, count: int) -> list[int]:
        """Which of the next `count` records killed an attempt."""
        return [number - self.base for number in self.suspicion.killers if 0 <= number - self.base < count]

    def _find_bad(
        self,
        rows: Sequence[int],
        error: BaseException,
        attempt: Callable[[Sequence[int]], BaseException | None],
    ) -> dict[int, BaseException]:
        """As `find_bad`, but raises the error where no row fails on its own."""

        def watched(some: Sequence[int]) -> BaseException | None:
            self._sign_of_life()
            return attempt(some)

        found = find_bad(rows, error, watched)
        if not found:
            raise error
        return found

    def _look_into(self, map: Callable[[Block], Any], block: Block, bad: dict[int, BaseException | None]) -> None:
        """An attempt died in this block: map its records one by one, so that who kills is noted. Dies, if one does."""
        for row in range(len(block)):
            if row not in bad:
                self._sign_of_life()
                part = block.select([row])
                self.note.enter(self.base + row, 1)
                self._quietly(map, part)
                self.note.leave()

    def _sign_of_life(self) -> None:
        self.attempt.monitor.check()
        self.attempt.monitor.steps += 1

    def _quietly(self, map: Callable[[Block], Any], block: Block) -> BaseException | None:
        """Map to see whether it raises; nothing of it counts."""
        counters, self.job._counters = self.job._counters, None
        try:
            map(block)
        except BaseException as error:
            if not is_bad_record(error):
                raise
            return error
        finally:
            self.job._counters = counters
        return None

    def _apart(self, map: Callable[[Any], Any], thing: Any) -> Any:
        """Map; what it counts counts only if it does not raise."""
        counters: Counters | None = self.job._counters
        self.job._counters = None
        try:
            made = map(thing)
        except BaseException:
            self.job._counters = counters
            raise
        own, self.job._counters = self.job._counters, counters
        if own is not None:
            self.job._counters = own if counters is None else counters + own
        return made


def _reading_error(block: Block) -> BaseException | None:
    try:
        list(block.records())
    except Exception as error:
        if not is_bad_record(error):
            raise
        return error
    return None


def _bytes_of(block: Block, row: int) -> bytes:
    """The record as it stands in the file, without its line's end; where that is nothing to look at, its repr."""
    raw = block.raw(row)
    if raw is not None:
        return raw.removesuffix(b"\n").removesuffix(b"\r")
    try:
        (record,) = block.select([row]).records()
        return (
            record if isinstance(record, bytes) else str(record).encode() if isinstance(record, str) else _repr(record)
        )
    except Exception as error:
        return f"(the record cannot be shown: {type(error).__name__}: {error})".encode(errors="replace")


def _repr(record: Any) -> bytes:
    return repr(record).encode(errors="backslashreplace")

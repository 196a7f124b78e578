"""Ours: two workers; when does the first map start, and how many empty tasks a second?

A task here is a whole map task, run on a split of its own: of a fold, whose result is handed back as a peer's is, or,
with --files, of a keyed job without reduce, which commits a part file a task.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapreduce as mr


class Now(mr.Job):
    """The time at which the first record was mapped."""

    reduce = mr.Min()

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        yield "first", time.time()


class Nothing(mr.Fold):
    """Tasks that return nothing."""

    def map(self, block: Any) -> None:
        return None

    def reduce(self, a: None, b: None) -> None:
        return None


class NoPairs(mr.Job):
    """A map that yields nothing, into a file."""

    reduce = None

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        return iter(())


def main() -> None:
    source, output, *options = sys.argv[1:]
    job = NoPairs() if options == ["--files"] else Nothing()
    lines = Path(source).read_bytes().splitlines()
    with mr.Engine(workers=2) as engine:
        records = list(engine.run(Now(), mr.read_text(source)).records())
        started = time.perf_counter()
        engine.run(job, mr.read_text(source), split_size=len(lines[0]) + 1)
        seconds = time.perf_counter() - started
    Path(output).write_text(json.dumps({"first_task": records[0][1], "seconds_a_task": seconds / len(lines)}))


if __name__ == "__main__":
    main()

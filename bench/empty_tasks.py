"""Ours: two workers; when does the first map start, and how many empty tasks a second?

A task here is a whole map task of a job: planned, journalled, run on a split of its own, committed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mapreduce as mr


class Now(mr.Job):
    """The time at which the first record was mapped."""

    reduce = mr.Min()

    def map(self, line: str) -> Iterator[tuple[str, float]]:
        yield "first", time.time()


class Nothing(mr.Job):
    """A map that yields nothing."""

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        return iter(())


def main() -> None:
    source, output = sys.argv[1:]
    lines = Path(source).read_bytes().splitlines()
    with mr.Engine(workers=2) as engine:
        records = list(engine.run(Now(), mr.read_text(source)).records())
        started = time.perf_counter()
        engine.run(Nothing(), mr.read_text(source), split_size=len(lines[0]) + 1)
        seconds = time.perf_counter() - started
    Path(output).write_text(json.dumps({"first_task": records[0][1], "seconds_a_task": seconds / len(lines)}))


if __name__ == "__main__":
    main()

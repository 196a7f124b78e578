"""A word count whose tasks say on which host they begin, and wait until the test lets them go on.

`gates` is a folder that all hosts see. A task of a stage leaves `map.a.17-1` there (host, process, a number) and waits
while `map.closed` or `map.a.closed` is there. The tests decide by it what happens before what; nothing sleeps for luck.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import mapreduce as mr

PATIENCE_SECONDS = 40.0
PADDING = "x" * 200  # so that outputs have some size
_number = itertools.count(1)


class GatedCount(mr.Job):
    """Words and how often; each word carries its padding.

    gates: the folder
    """

    def __init__(self, gates: str) -> None:
        self.gates = gates

    def setup(self) -> None:
        self.reduced = False

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        self._pass("map")
        self.count("lines")
        for word in line.split():
            yield word + PADDING, 1

    def reduce(self, key: str, values: Iterable[int]) -> int:
        if not self.reduced:
            self.reduced = True
            self._pass("reduce")
        return sum(values)

    def _pass(self, stage: str) -> None:
        gates, host = Path(self.gates), socket.gethostname()
        (gates / f"{stage}.{host}.{os.getpid()}-{next(_number)}").touch()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (gates / f"{stage}.closed").exists() or (gates / f"{stage}.{host}.closed").exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody opened the gate of {stage}")
            time.sleep(0.01)

"""Which lines are there, each once? As `sort -u`.

map     (line)        -> (line, None)
reduce  (line, Nones) -> line
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mapreduce as mr


class Distinct(mr.Job):
    """Each different line once, sorted within each part (with --sort over all parts)."""

    def map(self, line: str) -> Iterator[tuple[str, None]]:
        yield line, None

    def combine(self, line: str, values: Iterator[Any]) -> None:
        return None

    def reduce(self, line: str, values: Iterator[Any]) -> None:
        return None

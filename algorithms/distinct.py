"""Which lines are there, each once? As `sort -u`.

    map      (line)        -> (line, None)
    combine  (line, Nones) -> None: a line that is frequent in one split travels once
    reduce   (line, Nones) -> None: the line itself is the result

Equal lines meet because equal keys do; nothing else has to be done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mapreduce as mr


class Distinct(mr.Job):
    """Each different line once, sorted within each part (with --sort over all parts)."""

    output_format = "text"

    def map(self, line: str) -> Iterator[tuple[str, None]]:
        yield line, None

    def combine(self, line: str, values: Iterator[Any]) -> None:
        return None

    def reduce(self, line: str, values: Iterator[Any]) -> None:
        return None

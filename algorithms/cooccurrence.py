"""How often do two words stand near each other? The "pairs" pattern.

    map     (line)              -> ((word, neighbour), 1) for each two words at most `window` apart, in sorted order
    reduce  ((a, b), counts)    -> the sum

Source: J. Lin and C. Dyer, Data-Intensive Text Processing with MapReduce, 2010, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator

import mapreduce as mr


class CoOccurrence(mr.Job):
    """How often each two words stand at most `window` words apart in a line; a pair's words in sorted order.

    window: how many words apart two words may stand
    """

    reduce = mr.Sum()

    def __init__(self, window: int = 2) -> None:
        if window < 1:
            raise mr.UsageError(f"window is {window}; it must be at least 1")
        self.window = window

    def map(self, line: str) -> Iterator[tuple[tuple[str, str], int]]:
        words = line.lower().split()
        for place, word in enumerate(words):
            for other in words[place + 1 : place + 1 + self.window]:
                yield ((word, other) if word <= other else (other, word)), 1

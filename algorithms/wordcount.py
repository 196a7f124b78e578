"""How often does each word occur? The first example of the paper.

    map     (line)         -> (word, 1) for each word
    reduce  (word, counts) -> the sum of the counts

`WordCount` goes word by word in Python, and shows the whole idea. `WordCountColumns` does the same a block at a time: a
compiled loop cuts the block into words and counts them, and only the counts of different words reach Python.

Source: J. Dean and S. Ghemawat, MapReduce: Simplified Data Processing on Large Clusters, OSDI 2004, section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mapreduce as mr


class WordCount(mr.Job):
    """How often each word occurs. Words are what `str.split` cuts at white space."""

    reduce = mr.Sum()

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            yield word, 1


class WordCountColumns(mr.Job):
    """How often each word occurs, a block at a time (the columnar lane)."""

    reduce = mr.Sum()

    def map_block(self, block: Any) -> Any:
        return mr.count_words(block)

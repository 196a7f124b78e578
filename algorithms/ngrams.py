"""How often does each sequence of n words occur?

    map     (line)           -> (n-gram, 1) for each run of n words in the line
    reduce  (n-gram, counts) -> the sum

No n-gram runs over the end of a line: a line is a record, and records are mapped one by one.

Source: T. Brants et al., Large Language Models in Machine Translation, EMNLP 2007, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

import mapreduce as mr


class NGrams(mr.Job):
    """How often each run of `n` words occurs within a line, words in lower case, joined by a blank.

    n: words of an n-gram
    """

    reduce = mr.Sum()

    def __init__(self, n: int = 2) -> None:
        if n < 1:
            raise mr.UsageError(f"n is {n}; an n-gram has at least 1 word")
        self.n = n

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        words = line.lower().split()
        for start in range(len(words) - self.n + 1):
            yield " ".join(words[start : start + self.n]), 1

"""Which k words are the most frequent? A chain of three jobs.

    first   word count
    map     (word, count)   -> (None, (word, count)): one key, so that all meet
    reduce  (None, pairs)   -> the k best; every map task sends on no more than its own k
    last    each of the k as a pair of its own

`TopK` is the chain of the three.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mapreduce as mr
from algorithms.wordcount import WordCount


def rank(entry: tuple[str, int]) -> tuple[int, list[int]]:
    """By count; of equal counts the word that comes first in the alphabet ranks higher."""
    word, count = entry
    return count, [-ord(character) for character in word] + [1]


class TopWords(mr.Job):
    """The `k` pairs with the greatest counts, of (word, count) records."""

    def __init__(self, k: int = 10) -> None:
        self.k = k
        self.reduce = mr.TopK(k, by=rank)

    def map(self, entry: tuple[str, int]) -> Iterator[tuple[None, tuple[str, int]]]:
        yield None, entry


class TopK(mr.Chain):
    """The `k` most frequent words, best first; of equally frequent ones the first in the alphabet.

    k: how many words
    """

    def __init__(self, k: int = 10) -> None:
        self.k = k

    def jobs(self) -> list[Any]:
        return [WordCount(), TopWords(self.k), Unfold()]


class Unfold(mr.Job):
    """Each entry of a list as a pair of its own."""

    reduce = None

    def map(self, record: tuple[None, list[tuple[str, int]]]) -> Iterator[tuple[str, int]]:
        yield from record[1]

"""In which documents does each word stand? Every file is a document.

    map     (path, text)  -> (word, path) for each different word of the document
    reduce  (word, paths) -> the sorted list of paths

Source: Dean and Ghemawat 2004, section 2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import mapreduce as mr

WORD = re.compile(r"\w+")


class InvertedIndex(mr.Job):
    """The files in which each word stands, sorted. Words are lower case, without punctuation."""

    input_format = "whole"

    def map(self, document: tuple[str, bytes]) -> Iterator[tuple[str, str]]:
        path, content = document
        for word in sorted(set(WORD.findall(content.decode("utf-8", "replace").lower()))):
            yield word, path

    def reduce(self, word: str, paths: Iterator[str]) -> list[str]:
        return sorted(set(paths))

"""Which lines match? Distributed grep, the paper's second example.

    map     (line) -> (line, None) if it matches
    reduce  none: the lines come out in the order of the input

Source: Dean and Ghemawat 2004, section 2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import mapreduce as mr


class Grep(mr.Job):
    """The lines in which a regular expression occurs, in input order.

    pattern: a regular expression of Python's re module
    ignore_case: whether upper and lower case are the same
    invert: the lines in which it does not occur instead
    """

    reduce = None
    output_format = "text"

    def __init__(self, pattern: str, ignore_case: bool = False, invert: bool = False) -> None:
        try:
            self.expression = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
        except re.error as error:
            raise mr.UsageError(f"pattern {pattern!r} is no regular expression: {error}") from None
        self.pattern = pattern  # what is stored is named in the output's manifest
        self.ignore_case = ignore_case
        self.invert = invert

    def map(self, line: str) -> Iterator[tuple[str, None]]:
        if (self.expression.search(line) is None) == self.invert:
            self.count("lines matched")
            yield line, None

"""Which kernels exist, in which group, and what are their arguments?

A group is compiled, stored and loaded as one: a job loads only its own. Each argument is a letter: q int64, d float64,
and pointers: B bytes, I uint32, i int32, L int64, Q uint64, D float64. Every kernel returns an int64.
"""

from __future__ import annotations

import os

GROUPS: dict[str, dict[str, str]] = {
    "words": {
        "add_words": "BqqQLBLQLB",
        "move_words": "QqQq",
        "list_words": "QqqLL",
        "copy_words": "QqBLB",
    },
    "csv": {
        "parse_rows": "BqqqqLLL",
        "count_lines": "Bq",
    },
}


def source_of(group: str) -> str:
    """Path of the file that holds a group's kernels."""
    return os.path.join(os.path.dirname(__file__), f"source_{group}.py")

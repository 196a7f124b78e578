"""How is a file sorted that is larger than memory? Sample the keys, cut them into ranges, sort each range.

    sample  keys of some splits give the cuts between ranges
    map     (record)  -> (key, record), to the partition whose range holds the key
    reduce  merges the sorted runs of one range; the parts follow each other in order

Neither map nor reduce computes anything: the sort is what every keyed job does on the way from map to reduce. Only the
partition function is special, which by default is a hash and here, because `sorted_output` is set, a range of keys.

Source: O. O'Malley, TeraByte Sort on Apache Hadoop, 2008; Dean and Ghemawat 2004, section 5.3.
"""

from __future__ import annotations

from typing import Any

import mapreduce as mr


class SortLines(mr.Job):
    """Lines in order of their code points, repeated ones kept: as `LC_ALL=C sort`."""

    output_format = "text"
    reduce = mr.Identity()
    sorted_output = True

    def map_block(self, block: Any) -> tuple[Any, Any]:
        lines = block["line"]
        return lines, [None] * len(lines)


class SortRecords(mr.Job):
    """Fixed-length records in order of their first `key_bytes` bytes, equal keys in input order (the sort benchmark).

    width: bytes of a record
    key_bytes: bytes of its key
    """

    input_format = "fixed"
    output_format = "raw"
    reduce = mr.Identity()
    sorted_output = True

    def __init__(self, width: int = 100, key_bytes: int = 10) -> None:
        if not 0 < key_bytes <= width:
            raise mr.UsageError(f"key_bytes is {key_bytes}; it must lie between 1 and the width, {width}")
        self.width = width
        self.key_bytes = key_bytes

    @property
    def input_options(self) -> dict[str, Any]:
        return {"width": self.width}

    def map_block(self, block: Any) -> tuple[Any, Any]:
        return mr.prefixes(block, self.key_bytes), mr.fixed_column(block)

"""Which rows of two tables belong together? The repartition join.

    map     (tag, row)  -> (join key, (tag, row))
    reduce  (key, rows) -> each row of the left with each of the right; left rows come first by secondary sort

    dataset: both tables in one, each row tagged with the side from which it comes

Only the left rows of one key are held in memory; the right ones stream past. Put the smaller table left. As in SQL a
missing key equals nothing. Keys are compared as they are read: a column that is text in one table and numbers in the
other needs `types` (on the command line `--read types=id:string`).

Source: S. Blanas et al., A Comparison of Join Algorithms for Log Processing in MapReduce, SIGMOD 2010, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import mapreduce as mr

Row = dict[str, Any]


class Join(mr.Job):
    """Inner or left join of two tables on a column. Columns of the right that the left has too are named `right_NAME`.

    key: column of the left table
    right_key: column of the right table, where its name is another
    how: inner (pairs only) or left (rows of the left without a partner too)
    """

    input_format = "csv"

    def __init__(self, key: str, right_key: str | None = None, how: Literal["inner", "left"] = "inner") -> None:
        self.key = key
        self.right_key = right_key or key
        self.how = how

    def dataset(self, paths: list[str], read: Any) -> mr.Dataset:
        """Two inputs: the left table and the right one."""
        if len(paths) != 2:
            raise mr.UsageError(f"join takes two inputs, the left table and the right one; got {len(paths)}")
        return mr.union(left=read(paths[0]), right=read(paths[1]))

    def map(self, record: Any) -> Iterator[tuple[Any, tuple[int, Row]]]:
        left = record.tag == "left"
        row = record.record
        key = mr.cell(row, self.key if left else self.right_key)
        if key is None or key == "":
            self.count("rows without a key")  # as in SQL, a missing key equals nothing
            if left and self.how == "left":
                yield None, (0, row)
            return
        yield key, (0 if left else 1, row)

    def value_order(self, key: Any, value: tuple[int, Row]) -> int:
        return value[0]

    def reduce(self, key: Any, values: Iterator[tuple[int, Row]]) -> Iterator[tuple[Any, Row]]:
        left: list[Row] = []
        matched = False
        for side, row in values:
            if side == 0:
                left.append(row)
            else:
                matched = True
                for left_row in left:
                    yield key, merge(left_row, row, self.right_key)
        if self.how == "left" and not matched:
            for left_row in left:
                yield key, left_row


def merge(left: Row, right: Row, right_key: str) -> Row:
    """One row of both; the right's join column is left out."""
    joined = dict(left)
    for name, value in right.items():
        if name != right_key:
            joined[f"right_{name}" if name in left else name] = value
    return joined

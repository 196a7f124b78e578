"""What is the mean of a column in each group? `SELECT key, AVG(value) GROUP BY key`, a block at a time.

map     (block)        -> the columns key and value
reduce  (key, values)  -> sum / count: sums and counts travel, never means of means
"""

from __future__ import annotations

from typing import Any

import mapreduce as mr


class MeanByKey(mr.Job):
    """The mean of column `value` for each value of column `key`. Missing values are passed over."""

    input_format = "csv"
    reduce = mr.Mean()

    def __init__(self, key: str, value: str) -> None:
        self.key = key
        self.value = value

    @property
    def input_columns(self) -> list[str]:
        return [self.key, self.value]

    def map_block(self, block: Any) -> tuple[Any, Any]:
        return block[self.key], block[self.value]

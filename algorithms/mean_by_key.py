"""What is the mean of a column in each group? `SELECT key, AVG(value) FROM rows GROUP BY key`, a block at a time.

    map     (block)        -> the columns key and value
    reduce  (key, values)  -> sum / count

A mean of means would be wrong: groups of different size weigh differently. So the pair (sum, count) travels, which is
associative, and the division comes last.

Source: J. Lin and C. Dyer, Data-Intensive Text Processing with MapReduce, 2010, section 3.1.3.
"""

from __future__ import annotations

from typing import Any

import mapreduce as mr


class MeanByKey(mr.Job):
    """The mean of column `value` for each value of column `key`. Missing values are passed over.

    key: column to group by
    value: column of numbers to average
    """

    input_format = "csv"
    reduce = mr.Mean()

    def __init__(self, key: str, value: str) -> None:
        self.key = key
        self.value = value

    @property
    def input_columns(self) -> list[str]:
        return [self.key, self.value]

    def map_block(self, block: Any) -> tuple[Any, Any]:
        return block[self.key], mr.number_column(block, self.value)

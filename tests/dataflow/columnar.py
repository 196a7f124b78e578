"""Pairs of plain types as columns, for tests that want both forms of a batch."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from mapreduce.dataflow.batches import KEY, ColumnBatch, plain_column


def columns_from_rows(keys: list[Any], values: list[Any]) -> ColumnBatch | None:
    """Columns `key` and `value`, where keys and values are each of one plain type; else None."""
    assert len(keys) == len(values)
    key_column, value_column = plain_column(keys), plain_column(values)
    if key_column is None or value_column is None:
        return None
    return ColumnBatch(pa.RecordBatch.from_arrays([key_column, value_column], names=[KEY, "value"]))

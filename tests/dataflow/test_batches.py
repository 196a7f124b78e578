"""Rows and columns convert into each other without loss, or not at all."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.dataflow.batches import ColumnBatch, to_rows
from tests.dataflow.columnar import columns_from_rows

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
items = st.one_of(st.lists(texts), st.lists(st.integers(-(2**63), 2**63 - 1)), st.lists(st.floats(allow_nan=False)))


@given(items, items)
def test_there_and_back(keys: list[Any], values: list[Any]) -> None:
    count = min(len(keys), len(values))
    keys, values = keys[:count], values[:count]
    batch = columns_from_rows(keys, values)
    if not count:
        assert batch is None
        return
    assert batch is not None
    rows = to_rows(batch)
    assert repr(rows.values) == repr(values)
    assert (rows.keys, list(map(type, rows.keys))) == (keys, list(map(type, keys)))
    assert (len(batch), len(rows)) == (count, count)
    assert batch.table.schema.names == ["key", "value"]


@pytest.mark.parametrize(
    "keys", [["a", 1], [1, True], [1, 1.0], [2**63], [None], [b"a"], ["\ud800"], [(1, 2)], [], ["a", None]]
)
def test_other_types_stay_rows(keys: list[Any]) -> None:
    assert columns_from_rows(keys, [1] * len(keys)) is None
    assert columns_from_rows(["a"] * len(keys), keys) is None


def test_subclasses_stay_rows() -> None:
    class Name(str):
        pass

    assert columns_from_rows([Name("a")], [1]) is None


def test_several_columns_are_tuples() -> None:
    table = pa.RecordBatch.from_arrays(
        [pa.array(["a", "b"]), pa.array([1.5, 2.5]), pa.array([1, 2])], names=["key", "sum", "count"]
    )
    rows = to_rows(ColumnBatch(table))
    assert rows.values == [(1.5, 1), (2.5, 2)]


def test_rows_need_no_heavy_import() -> None:
    script = (
        "import sys; from mapreduce.dataflow import batches, merge, merge_columns, partition, runs, spill;"
        "batches.RowBatch(['a'], [1]); print([m for m in ('numpy', 'pyarrow', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""Numbers come back from a frame to the last bit, of the type that they had, and take no more bytes than they need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.dataflow.batches import ColumnBatch
from mapreduce.dataflow.narrow import FEWEST_ROWS, narrowed, widened
from mapreduce.dataflow.runs import decode_frame, encode_columns

INTS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-9, 9), st.sampled_from([2**8, 2**16, 2**32, 2**62]))
FLOATS = st.one_of(st.floats(), st.floats(width=32), st.sampled_from([-0.0, 5e-324, 1e300, 0.1]))


def tiled(values: list[Any], kind: Any) -> pa.Array:
    """Enough rows of these, the rare ones last."""
    return pa.array((values[:1] * FEWEST_ROWS) + values, kind)


@settings(deadline=None)
@given(st.lists(INTS, min_size=1, max_size=4), st.lists(FLOATS, min_size=1, max_size=4))
def test_a_frame_gives_the_same_bits(ints: list[int], floats: list[float]) -> None:
    keys, values = tiled(ints, pa.int64()), tiled(floats, pa.float64())
    rows = min(len(keys), len(values))
    table = pa.RecordBatch.from_arrays(
        [keys[:rows], values[:rows], keys[-rows:], values[-rows:]], names=["key", "a", "b", "c"]
    )
    frame = encode_columns(ColumnBatch(table))
    found: Any = decode_frame(frame)
    assert found.table.schema.equals(table.schema, check_metadata=True)
    for before, after in zip(table.columns, found.table.columns, strict=True):
        assert before.to_numpy().tobytes() == after.to_numpy().tobytes()
    assert frame.memory >= table.nbytes


def test_what_others_store_stays() -> None:
    keys = pa.array(np.arange(3000))
    for column in (pa.array([None, 1] * 1500), pa.array(np.ones(3000, np.float32)), pa.array(["a"] * 3000)):
        table = pa.RecordBatch.from_arrays([column, keys], names=["key", "value"])
        assert narrowed(table).column(0).equals(column)
        assert widened(narrowed(table)).equals(table)
    told = table.replace_schema_metadata({"mine": "x"})
    assert narrowed(told) is told
    few = table.slice(0, FEWEST_ROWS - 1)
    assert narrowed(few) is few


@pytest.mark.parametrize(
    ("values", "width"), [([7, 7 + 255], 1), ([-9, 2**16 - 10], 2), ([0, 2**32 - 1], 4), ([0, 2**32], 8)]
)
def test_integers_take_the_bytes_of_their_range(values: list[int], width: int) -> None:
    table = pa.RecordBatch.from_arrays([tiled(values, pa.int64())], names=["key"])
    assert narrowed(table).column(0).type.bit_width == 8 * width

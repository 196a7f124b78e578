"""Are records sorted, stably, by any number of key bytes, and gathered whole?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.kernels import RecordSorter, gather_records, merge_records, sort_records
from mapreduce.kernels.load import kernels_of

relaxed = settings(deadline=None, max_examples=100)  # a process's first call loads object code
if kernels_of("records", compile=True) is None:
    pytest.skip("no compiled kernels here", allow_module_level=True)

Records = np.ndarray[Any, np.dtype[np.uint8]]


def records(seed: int, count: int, width: int, values: int) -> Records:
    return np.random.default_rng(seed).integers(0, values, (count, width), dtype=np.uint8)


def plain_order(data: Records, key_bytes: int) -> list[int]:
    return sorted(range(len(data)), key=lambda i: data[i, :key_bytes].tobytes())


@relaxed
@given(st.integers(0, 99), st.integers(0, 300), st.integers(1, 40), st.sampled_from([2, 3, 256]), st.data())
def test_order_is_that_of_a_stable_sort(seed: int, count: int, width: int, values: int, data: st.DataObject) -> None:
    rows = records(seed, count, width, values)
    key_bytes = data.draw(st.integers(1, width))
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=3)))
    runs = np.split(rows, cuts)
    expected = plain_order(rows, key_bytes)
    sorter = RecordSorter()
    library = RecordSorter()
    library._kernels = None
    for each in (sorter, library):
        assert each.order(runs, key_bytes).tolist() == expected
        assert each.order([rows], key_bytes).tolist() == expected
    assert gather_records(runs, np.array(expected, np.int64)).tobytes() == rows[expected].tobytes()


@pytest.mark.parametrize(("width", "prefix"), [(100, 0), (12, 6), (20, 10)])
def test_many_records(width: int, prefix: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = records(1, 30_000, width, 256)
    rows[:, :prefix] = 65  # a common prefix, as keys that are text have
    order = sort_records(rows, 10)
    assert order.tolist() == plain_order(rows, 10)
    out = np.empty((40_000, width), np.uint8)
    gathered = gather_records(rows, order, out)
    assert np.shares_memory(gathered, out)
    assert gathered.tobytes() == rows[order].tobytes()
    monkeypatch.setenv("MAPREDUCE_KERNELS", "off")
    assert gather_records(rows, order).tobytes() == gathered.tobytes()
    assert merge_records([rows[:5], rows[5:]], 10).tolist() == order.tolist()


def test_what_is_refused() -> None:
    rows = records(1, 3, 4, 256)
    with pytest.raises(ValueError, match="keys of 5 bytes in records of 4"):
        sort_records(rows, 5)
    with pytest.raises(ValueError, match="one width"):
        merge_records([rows, records(1, 3, 5, 256)], 2)
    with pytest.raises(IndexError, match="outside 0 to 2"):
        gather_records(rows, np.array([3]))
    with pytest.raises(ValueError, match="out has shape"):
        gather_records(rows, np.array([0, 1]), np.empty((1, 4), np.uint8))

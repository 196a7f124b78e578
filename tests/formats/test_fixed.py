"""Is every fixed-length record read once, without copies for who wants arrays?"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import InputError, UsageError
from mapreduce.formats.fixed import Fixed
from tests.formats.laws import ONE, check_empty, check_format, input_file, plan_splits


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 9),
    count=st.integers(0, 12),
    data=st.binary(min_size=108, max_size=108),
    split_bytes=st.integers(1, 40),
    block_bytes=st.integers(1, 40),
)
def test_every_record_once(
    width: int, count: int, data: bytes, split_bytes: int, block_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = data[: width * count]
    expected = [content[start : start + width] for start in range(0, len(content), width)]
    path = tmp_path_factory.getbasetemp() / "records.bin"
    check_format(
        Fixed(width), content, path, expected=expected, split_sizes=[split_bytes, ONE], block_sizes=[block_bytes]
    )


def test_an_empty_file_needs_no_split(tmp_path: Path) -> None:
    check_empty(Fixed(10), tmp_path / "a.bin")


def test_the_array_is_the_blocks_own_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(12)))
    (split,) = plan_splits(Fixed(4), input_file(path), ONE)
    (block,) = Fixed(4).read_blocks(split, ONE)
    assert block.array.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert np.shares_memory(block.array, np.frombuffer(block.data, np.uint8))
    assert block.arrow.column(0).buffers()[1].address == np.frombuffer(block.data, np.uint8).ctypes.data
    assert block.place(2) == f"{path}, byte 8"


def test_a_partial_last_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x" * 205)
    message = r"205 bytes are not a multiple of the record width 100: the last record, from byte 200, has 5"
    with pytest.raises(InputError, match=message):
        Fixed(100).plan_extents(input_file(tmp_path / "a.bin"), 100)
    (tmp_path / "a.bin.gz").write_bytes(gzip.compress(b"x" * 205))
    (split,) = plan_splits(Fixed(100), input_file(tmp_path / "a.bin.gz"), 100)
    with pytest.raises(InputError, match=message):
        list(Fixed(100).read_blocks(split, ONE))


def test_a_width_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="width is 0"):
        Fixed(0)

"""Values with large arrays: the same again from a file, on its memory, and never from a damaged one."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mapreduce.dataflow.buffers import ALIGNMENT, LARGE_BYTES, checksum_of, load_apart, split_file
from mapreduce.dataflow.package import dump_apart
from mapreduce.storage.mapping import DamagedError, map_file, read_file
from mapreduce.storage.store import LocalStore, map_whole, write_pieces

SMALL = st.one_of(st.integers(), st.text(max_size=5), st.binary(max_size=5), arrays.arrays(np.int16, st.integers(0, 4)))
DTYPES: st.SearchStrategy[Any] = st.sampled_from(
    [np.uint8, np.int32, np.float64, np.complex128, "datetime64[s]", "<U3"]
)


@st.composite
def large_arrays(draw: st.DrawFn) -> Any:
    """Of about LARGE_BYTES, some of them below; C and Fortran order, views with gaps, read-only ones."""
    dtype: np.dtype[Any] = np.dtype(draw(DTYPES))
    columns = draw(st.integers(1, 3))
    rows = LARGE_BYTES // dtype.itemsize // columns + draw(st.integers(-1, 40))
    made = np.zeros((rows, columns), dtype)
    made.view(np.uint8).reshape(-1)[:: draw(st.integers(50, 99))] = draw(st.integers(1, 100))
    kind = draw(st.sampled_from(["C", "F", "gaps", "read-only"]))
    if kind == "F":
        return np.asfortranarray(made)
    if kind == "read-only":
        made.flags.writeable = False
    return made[::2] if kind == "gaps" else made


def file_of(value: Any) -> bytearray:
    return bytearray(b"".join(dump_apart(value).pieces()))


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@given(st.lists(st.one_of(SMALL, large_arrays()), max_size=4))
def test_a_value_is_the_same_again(value: list[Any]) -> None:
    again = load_apart(memoryview(file_of(value)))
    assert same(value, again)
    for before, after in zip(value, again, strict=True):
        if isinstance(before, np.ndarray):
            assert after.flags.writeable or not before.flags.writeable


@given(st.lists(large_arrays(), min_size=1, max_size=3))
def test_large_arrays_lie_on_the_file_s_memory(value: list[Any]) -> None:
    data = memoryview(file_of(value))
    _, buffers = split_file(data)
    whole = np.frombuffer(data, np.uint8)
    for array in load_apart(data):
        if array.dtype.kind in "uifc":  # dates and texts have no buffer of their own kind
            assert np.shares_memory(array, whole) == (array.nbytes >= LARGE_BYTES)
    for view in buffers:
        at = np.frombuffer(view, np.uint8).__array_interface__["data"][0] - whole.__array_interface__["data"][0]
        assert at % ALIGNMENT == 0


def test_nothing_is_copied_to_make_it() -> None:
    array = np.zeros(1_000_000)
    (view,) = dump_apart([array, array]).buffers
    assert np.shares_memory(np.frombuffer(view), array)


def test_a_function_among_it_is_carried_by_value() -> None:
    array = np.arange(50_000.0)
    apart = dump_apart([lambda: array[7], array])
    (view,) = apart.buffers
    assert np.shares_memory(np.frombuffer(view), array)
    found, again = load_apart(memoryview(bytearray(b"".join(apart.pieces()))))
    assert found() == 7.0
    assert same(again, array)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_of_ours_or_refused(data: bytes) -> None:
    for made in (data, b"mrvalue1" + data):
        try:
            stream, _ = split_file(memoryview(made))
        except DamagedError:
            continue
        assert bytes(stream) in made


@pytest.mark.parametrize("read", [map_file, read_file])
@pytest.mark.parametrize("damage", ["a bit", "cut off", "longer", "empty"])
def test_a_damaged_file_is_noticed(read: Any, damage: str, tmp_path: Path) -> None:
    pieces = dump_apart(np.arange(100_000.0)).pieces()
    size, checksum = sum(map(len, pieces)), checksum_of(pieces)
    whole = bytearray(b"".join(pieces))
    path = tmp_path / "file"
    path.write_bytes(whole)
    assert same(load_apart(read(str(path), size, checksum)), np.arange(100_000.0))
    match damage:
        case "a bit":
            whole[size // 2] ^= 1
        case "cut off":
            del whole[-1:]
        case "longer":
            whole += b"\0"
        case "empty":
            whole.clear()
    path.write_bytes(whole)
    if damage == "longer" and read is read_file:
        return  # reads no further than was written
    with pytest.raises(DamagedError):
        read(str(path), size, checksum)


def test_who_writes_has_pages_of_its_own(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    pieces = dump_apart(np.ones(100_000)).pieces()
    write_pieces(store, "file", pieces)
    before = (tmp_path / "file").read_bytes()
    one, other = (load_apart(map_whole(store, "file", len(before), checksum_of(pieces))) for _ in range(2))
    one += 1
    assert one.sum() == 200_000
    assert other.sum() == 100_000
    assert (tmp_path / "file").read_bytes() == before


def anonymous_bytes() -> int:
    """Memory of this process that it shares with nobody."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) << 10


def test_what_is_mapped_costs_no_memory_of_ours(tmp_path: Path) -> None:
    store, array = LocalStore(str(tmp_path)), np.ones(8_000_000)
    write_pieces(store, "file", pieces := dump_apart(array).pieces())
    size, checksum = sum(map(len, pieces)), checksum_of(pieces)
    before = anonymous_bytes()
    mapped = load_apart(map_whole(store, "file", size, checksum))
    assert mapped.sum() == 8_000_000
    assert anonymous_bytes() - before < 4 << 20
    copied = pickle.loads(pickle.dumps(array, 5))
    assert anonymous_bytes() - before >= copied.nbytes

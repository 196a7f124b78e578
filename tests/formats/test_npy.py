"""NumPy files: every row once, in every order, type and kind of archive; what is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import InputError, UsageError
from mapreduce.formats import npy
from mapreduce.formats.arrays import Example
from mapreduce.formats.npy import Npy
from tests.formats.laws import check_empty, check_format, input_file, plan_splits, read_all

GRID = np.arange(60.0).reshape(20, 3) / 7
SIZES: dict[str, Any] = {"split_sizes": (1, 50, 1 << 40), "block_sizes": (1, 60, 1 << 40)}


def encode(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(*, compressed: bool = False, **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", "i4", "u1", ">i2", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_laws_of_matrices(tmp_path: Path, dtype: str, order: Any) -> None:
    array = np.asarray(GRID, dtype=dtype, order=order)
    path = tmp_path / "odd [name] ü.npy"
    check_format(Npy(), encode(array), path, expected=list(array), numeric=True, **SIZES)
    file = input_file(path)
    reading = read_all(Npy().resolve([file]), file, 100, 50, columns=True, numeric=True)
    assert array.astype(float).tolist() == reading.X
    assert list(reading.rows[0]) == ["0", "1", "2"]


@pytest.mark.parametrize("values", [[1.5, 2, 3], [3, 1, 2], ["a", "ü", "ccc"], [b"a", b"b"], [True, False]])
def test_laws_of_vectors(tmp_path: Path, values: list[Any]) -> None:
    array = np.array(values)
    check_format(
        Npy(), encode(array), tmp_path / "a.npy", expected=array.tolist(), numeric=array.dtype.kind in "biuf", **SIZES
    )


def test_laws_of_other_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    cube = np.arange(24).reshape(4, 3, 2)
    check_format(Npy(), encode(cube), path, expected=list(cube), columns=False, **SIZES)  # three dimensions: no columns
    points = np.array([(1, 2.5, "a"), (2, 3.5, "b")], dtype=[("id", "i4"), ("x", "f8"), ("name", "U3")])
    expected = [{"id": 1, "x": 2.5, "name": "a"}, {"id": 2, "x": 3.5, "name": "b"}]
    check_format(Npy(target="x"), encode(points), path, expected=expected, numeric=True, target=True, **SIZES)
    check_format(
        Npy(), encode(np.empty((3, 0))), path, numeric=True, columns=False
    )  # Arrow has no rows without columns


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(0, 60),
    order=st.sampled_from("CF"),
    split_bytes=st.integers(1, 3000),
    block=st.integers(1, 900),
    kind=st.sampled_from(["npy", "npz", "compressed"]),
)
def test_every_row_once(
    tmp_path_factory: pytest.TempPathFactory, rows: int, order: Any, split_bytes: int, block: int, kind: str
) -> None:
    path = tmp_path_factory.mktemp("npy") / "a"
    X = np.asarray(np.arange(rows * 2.0).reshape(rows, 2), order=order)
    y = np.arange(rows)
    path.write_bytes(encode(X) if kind == "npy" else archive(compressed=kind == "compressed", X=X, y=y))
    file = input_file(path)
    reading = read_all(Npy().resolve([file]), file, split_bytes, block, numeric=True, target=kind != "npy")
    assert X.tolist() == reading.X
    assert kind == "npy" or reading.y == y.tolist()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_laws_of_archives(tmp_path: Path, compressed: bool, order: Any) -> None:
    X = np.asarray(GRID, order=order)
    path = tmp_path / "a.npz"
    content = archive(compressed=compressed, X=X, y=np.arange(20), other=np.arange(3))
    expected = [Example(row, number) for number, row in enumerate(X)]
    check_format(Npy(), content, path, expected=expected, numeric=True, target=True, **SIZES)
    check_format(Npy(target="y"), content, path, expected=expected, numeric=True, target=True, **SIZES)
    check_format(Npy(x="y", y=None), content, path, expected=list(range(20)), numeric=True, **SIZES)
    file = input_file(path)
    splits = plan_splits(Npy().resolve([file]), file, file.size // 3)
    assert len(splits) == (1 if compressed else 4)


def test_x_is_a_view_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(encode(GRID))
    file = input_file(path)
    format = Npy().resolve([file])
    (block,) = format.read_blocks(plan_splits(format, file, 1 << 40)[0], 1 << 20)
    assert np.shares_memory(block.X, block.X)
    assert not block.X.flags.writeable
    assert block.place(3) == f"{path}, row 3"
    assert block.bytes == file.size


def test_columns_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(encode(GRID))
    file = input_file(path)
    for format, features, target in [
        (Npy(target=-1), [0, 1], 2),
        (Npy(target="0"), [1, 2], 0),
        (Npy(target=2, features=(1,)), [1], 2),
    ]:
        resolved = format.resolve([file])
        assert resolved.feature_names() == tuple(map(str, features))
        reading = read_all(resolved, file, 100, 100, numeric=True, target=True)
        assert GRID[:, features].tolist() == reading.X
        assert GRID[:, target].tolist() == reading.y
    with pytest.raises(UsageError, match="no column '3' to serve as target"):
        Npy(target=3).resolve([file])


def test_a_remote_file_is_read_not_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy, "local_path", lambda file: None)
    check_format(Npy(), encode(GRID), tmp_path / "a.npy", expected=list(GRID), numeric=True, **SIZES)
    (tmp_path / "a.npy").write_bytes(encode(np.asfortranarray(GRID)))
    file = input_file(tmp_path / "a.npy")
    with pytest.raises(InputError, match="Fortran order"):
        read_all(Npy(), file, 100, 100)


def test_empty_files_and_no_rows(tmp_path: Path) -> None:
    check_empty(Npy(), tmp_path / "empty.npy")
    for content in (encode(np.empty((0, 3))), encode(np.empty(0)), archive(X=np.empty((0, 3)), y=np.empty(0))):
        assert check_format(Npy(), content, tmp_path / "a.npy", expected=[]) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encode(np.array([{}, []], dtype=object)), "holds Python objects"),
        (archive(X=np.array([{}], dtype=object)), "holds Python objects"),
        (encode(np.float64(1)), "a single value of float64, not rows"),
        (b"no numpy", "not a NumPy file"),
        (encode(GRID)[:-1], "cut off"),
        (encode(GRID)[:30], "header cannot be read: it is cut off"),
        (b"\x93NUMPY\x01\x00\x04\x00spam", "header cannot be read"),
        (archive(X=GRID, y=np.arange(20))[:-30], "not a whole NumPy file"),
        (archive(X=GRID, y=np.arange(3)), r"X.npy has shape \(20, 3\) and y.npy \(3,\)"),
    ],
)
def test_what_is_no_array_of_rows(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a.npy: .*{words}"):
        Npy().resolve([input_file(path)])


def test_a_damaged_compressed_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    content = bytearray(archive(compressed=True, X=np.random.default_rng(1).random((1000, 3))))
    content[5000:5100] = bytes(100)
    path.write_bytes(content)
    file = input_file(path)
    with pytest.raises(InputError, match=r"a.npz: not a whole NumPy file: after row \d+"):
        read_all(Npy().resolve([file]), file, 1 << 40, 1 << 10)


def test_names_in_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(archive(Xs=GRID, labels=np.arange(20)))
    file = input_file(path)
    with pytest.raises(UsageError, match=r"no array 'X' in the archive; .*name it with x='...'"):
        Npy().resolve([file])
    with pytest.raises(UsageError, match="no array 'label' in the archive; did you mean 'labels'"):
        Npy(x="Xs", target="label").resolve([file])


def test_files_must_have_the_same_rows(tmp_path: Path) -> None:
    for name, array in (("a", GRID), ("b", GRID[:, :2])):
        (tmp_path / f"{name}.npy").write_bytes(encode(array))
    with pytest.raises(InputError, match=r"b.npy has rows of <f8\(2,\), but .*a.npy has <f8\(3,\)"):
        Npy().resolve([input_file(tmp_path / "a.npy"), input_file(tmp_path / "b.npy")])


def test_what_makes_no_matrix(tmp_path: Path) -> None:
    for array in (np.zeros((2, 2, 2)), np.array(["a", "b"]), np.array([1j, 2])):
        path = tmp_path / "a.npy"
        path.write_bytes(encode(array))
        file = input_file(path)
        with pytest.raises(InputError, match=r"a.npy: .*makes no matrix"):
            read_all(Npy().resolve([file]), file, 100, 100, numeric=True)
    with pytest.raises(UsageError, match="no target column is named"):
        read_all(Npy().resolve([file]), file, 100, 100, target=True)


def block_of(format: Npy, path: Path) -> Any:
    file = input_file(path)
    resolved = format.resolve([file])
    (split,) = plan_splits(resolved, file, 1 << 40)
    (block,) = resolved.read_blocks(split, 1 << 40)
    return block


def test_wide_integers_are_exact(tmp_path: Path) -> None:
    wide = np.array([[(1 << 60) + 1, 2], [3, (1 << 62) - 1]])
    np.save(tmp_path / "wide.npy", wide)
    block = block_of(Npy(), tmp_path / "wide.npy")
    assert block.exact(target=False).integers().tolist() == wide.tolist()
    block = block_of(Npy(target=-1), tmp_path / "wide.npy")
    assert block.exact().integers().tolist() == wide.tolist()
    record = np.array([(1 << 60) + 1, 2])
    np.save(tmp_path / "line.npy", record)
    block = block_of(Npy(), tmp_path / "line.npy")
    assert block.exact(target=False).integers().tolist() == [[(1 << 60) + 1], [2]]

"""Parquet: every row once, whatever the row groups and the splits; projection; what is refused."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import InputError, UsageError
from mapreduce.formats import parquet
from mapreduce.formats.base import InputFile, Split
from mapreduce.formats.parquet import Parquet
from tests.formats.laws import check_empty, check_format, input_file, plan_splits, read_all


def table_of(rows: int) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "name": [f"name {row} ü" for row in range(rows)],
            "area": pa.array([row / 3 for row in range(rows)]),
            "tags": pa.array([[row, row + 1] if row % 3 else None for row in range(rows)], pa.list_(pa.int64())),
            "price": pa.array([row * 1.5 for row in range(rows)], pa.float32()),
        }
    )


def encode(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("group_rows", [1, 7, 1000], ids=["groups of a row", "groups of 7", "one group"])
def test_laws(tmp_path: Path, group_rows: int) -> None:
    table = table_of(23)
    content = encode(table, row_group_size=group_rows)
    records = check_format(
        Parquet(target="price"),
        content,
        tmp_path / "odd [name] ü.parquet",
        expected=table.to_pylist(),
        split_sizes=(1, 64, 500, len(content) // 2, 1 << 40),
        block_sizes=(1, 200, 1 << 40),
        numeric=True,
        target=True,
    )
    assert len(records) == 23


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(0, 300),
    group_rows=st.integers(1, 120),
    split_bytes=st.integers(1, 6000),
    block=st.integers(1, 3000),
)
def test_every_row_once(
    tmp_path_factory: pytest.TempPathFactory, rows: int, group_rows: int, split_bytes: int, block: int
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    path.write_bytes(
        encode(
            pa.table({"id": np.arange(rows), "text": ["x" * (n % 5) for n in range(rows)]}), row_group_size=group_rows
        )
    )
    file = input_file(path)
    format = Parquet().resolve([file])
    reading = read_all(format, file, split_bytes, block, numeric=True)
    assert [record["id"] for record in reading.records] == list(range(rows))
    assert [row[0] for row in reading.X] == list(range(rows))


def test_splits_keep_to_their_size_and_to_whole_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(encode(pa.table({"x": np.random.default_rng(1).random(10_000)}), row_group_size=1000))
    file = input_file(path)
    format = Parquet().resolve([file])
    whole = plan_splits(format, file, file.size // 4)
    assert [(split.extent.start, split.extent.end) for split in whole] == [
        (0, 2000), (2000, 4000), (4000, 6000), (6000, 8000), (8000, 10000)
    ]  # fmt: skip
    cut = plan_splits(format, file, file.size // 25)
    assert len(cut) == 30
    assert max(split.extent.bytes for split in cut) <= file.size // 25
    assert sum(split.extent.bytes for split in cut) <= file.size


def read_rows(format: Parquet, split: Split, block_bytes: int = 100) -> list[tuple[int, bytes]]:
    blocks = list(format.read_blocks(split, block_bytes))
    return [(len(block), block.X.tobytes()) for block in blocks]


def test_cuts_of_a_group_give_the_same_blocks_in_any_order_on_any_worker(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(encode(table_of(500)))
    file = input_file(path)
    format = Parquet(features=("id", "area")).resolve([file])
    splits = plan_splits(format, file, file.size // 7)
    assert len(splits) == 8
    forwards = [read_rows(format, split) for split in splits]
    backwards = [read_rows(format, split) for split in reversed(splits)]
    fresh = []
    for split in splits:
        parquet._parked.clear()
        fresh.append(read_rows(format, split))
    assert forwards == backwards[::-1] == fresh
    assert sum(rows for split in forwards for rows, _ in split) == 500


def test_a_parked_reader_is_taken_up_and_at_last_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    real = parquet._open

    def note(file: InputFile) -> Any:
        opened.append(real(file))
        return opened[-1]

    monkeypatch.setattr(parquet, "_open", note)
    path = tmp_path / "a.parquet"
    path.write_bytes(encode(table_of(500)))
    file = input_file(path)
    format = Parquet().resolve([file])
    splits = plan_splits(format, file, file.size // 7)
    opened.clear()
    for split in splits:
        read_rows(format, split)
    assert len(opened) == 1
    assert opened[0].native.closed
    assert not parquet._parked
    reader = format.read_blocks(splits[0], 10)
    next(reader)
    reader.close()  # type: ignore[attr-defined]
    assert opened[-1].native.closed
    assert not parquet._parked


def test_projection(tmp_path: Path) -> None:
    content = encode(table_of(3))
    path = tmp_path / "a.parquet"
    rows = check_format(Parquet(columns=("price", "id")), content, path, numeric=True)
    assert rows[1] == {"id": 1, "price": 1.5}
    rows = check_format(Parquet(features=("area", "id"), target="price"), content, path, numeric=True, target=True)
    assert list(rows[0]) == ["id", "area", "price"]
    file = input_file(path)
    format = Parquet(features=("area", "id")).resolve([file])
    assert format.feature_names() == ("area", "id")
    (block,) = format.read_blocks(plan_splits(format, file, 1 << 40)[0], 1 << 20)
    assert block.X.tolist() == [[0, 0], [1 / 3, 1], [2 / 3, 2]]
    assert block.place(2) == f"{path}, row 2"
    assert block.bytes == file.size
    assert Parquet(columns=("name",), target="price").resolve([file]).schema.names == ("name", "price")


def test_a_null_in_a_feature_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(encode(pa.table({"a": [1.0, 2.0, None, 4.0]}), row_group_size=2))
    file = input_file(path)
    format = Parquet().resolve([file])
    with pytest.raises(InputError, match=r"a.parquet, row 2: column 'a' has no value"):
        read_all(format, file, 1 << 40, 1, numeric=True)


def test_empty_files_and_no_rows(tmp_path: Path) -> None:
    check_empty(Parquet(), tmp_path / "empty.parquet")
    assert check_format(Parquet(), encode(table_of(0)), tmp_path / "a.parquet", expected=[]) == []


def test_names_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(encode(table_of(3)))
    file = input_file(path)
    for wrong, words in [
        (Parquet(columns=("nam",)), "did you mean 'name'"),
        (Parquet(features=("aera",)), "did you mean 'area'"),
        (Parquet(target="prise"), "did you mean 'price'"),
        (Parquet(target="name"), "target 'name' is of type string"),
        (Parquet(columns=()), "columns is empty"),
    ]:
        with pytest.raises(UsageError, match=words):
            wrong.resolve([file])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"id": [1], "b": ["x"], "c": [1]}, r"it has \['c'\]"),
        ({"id": [1]}, r"it lacks \['b'\]"),
        ({"b": ["x"], "id": [1]}, "their order"),
        ({"id": [1.5], "b": ["x"]}, "'id' is double, not int64"),
    ],
)
def test_files_must_have_the_same_columns(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    for name, columns in (("a", {"id": [1], "b": ["x"]}), ("b", other)):
        (tmp_path / f"{name}.parquet").write_bytes(encode(pa.table(columns)))
    with pytest.raises(InputError, match=rf"b.parquet and .*a.parquet have different columns: .*{words}"):
        Parquet().resolve([input_file(tmp_path / "a.parquet"), input_file(tmp_path / "b.parquet")])


def test_columns_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(encode(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])))
    with pytest.raises(InputError, match="more than one column is named 'a'"):
        Parquet().resolve([input_file(path)])


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    content = encode(table_of(1000), compression="snappy")
    for damaged in (b"no parquet at all", content[:-20], content[:100]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a.parquet: not Parquet data, or damaged: "):
            Parquet().resolve([input_file(path)])
    path.write_bytes(content[:20] + b"\xff" * 3000 + content[3020:])
    file = input_file(path)
    format = Parquet().resolve([file])
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    with pytest.raises(InputError, match=r"a.parquet: not Parquet data, or damaged: "):
        read_all(format, file, 1 << 40, 1 << 20)
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "bad\udcff.parquet"
    check_format(Parquet(), encode(table_of(5)), path)

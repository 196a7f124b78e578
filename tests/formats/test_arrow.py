"""Arrow IPC: every row once, from files and streams, with many batches and with one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather

from mapreduce.errors import InputError, UsageError
from mapreduce.formats.arrow import Arrow
from tests.formats.laws import check_empty, check_format, input_file, plan_splits, read_all


def table_of(rows: int) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "name": [f"name {row} ü" for row in range(rows)],
            "area": [row / 3 for row in range(rows)],
            "kind": pa.array([f"kind {row % 3}" for row in range(rows)]).dictionary_encode(),
        }
    )


def encode(table: pa.Table, batch_rows: int = 1000, *, stream: bool = False, **options: Any) -> bytes:
    buffer = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(buffer, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return buffer.getvalue()


@pytest.mark.parametrize("stream", [False, True], ids=["file", "stream"])
@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
@pytest.mark.parametrize("compression", [None, "lz4"])
def test_laws(tmp_path: Path, stream: bool, batch_rows: int, compression: str | None) -> None:
    table = table_of(23)
    check_format(
        Arrow(target="area"),
        encode(table, batch_rows, stream=stream, compression=compression),
        tmp_path / "odd [name] ü.arrow",
        expected=table.to_pylist(),
        split_sizes=(100, 2000, 1 << 40),
        block_sizes=(1, 1 << 40),
        numeric=True,
        target=True,
    )


@settings(max_examples=12, deadline=None)
@given(
    rows=st.integers(0, 300),
    batch_rows=st.integers(1, 120),
    split_bytes=st.integers(300, 6000),
    block=st.integers(1, 3000),
)
def test_every_row_once(
    tmp_path_factory: pytest.TempPathFactory, rows: int, batch_rows: int, split_bytes: int, block: int
) -> None:
    path = tmp_path_factory.mktemp("arrow") / "a.arrow"
    path.write_bytes(encode(table_of(rows), batch_rows))
    file = input_file(path)
    reading = read_all(Arrow().resolve([file]), file, split_bytes, block)
    assert [record["id"] for record in reading.records] == list(range(rows))


def test_splits_keep_to_their_size_and_blocks_tell_theirs(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(encode(table_of(1000)))
    file = input_file(path)
    format = Arrow().resolve([file])
    splits = plan_splits(format, file, file.size // 7)
    assert len(splits) == 8
    assert max(split.extent.bytes for split in splits) <= file.size // 7 + 1
    for stream in (False, True):
        path.write_bytes(encode(table_of(1000), 100, stream=stream))
        file = input_file(path)
        blocks = [block for split in plan_splits(format, file, 3000) for block in format.read_blocks(split, 1000)]
        assert file.size * 0.8 < sum(block.bytes for block in blocks) <= file.size


def test_projection_and_places(tmp_path: Path) -> None:
    content = encode(table_of(5), 2)
    path = tmp_path / "a.arrow"
    rows = check_format(Arrow(columns=("area", "id")), content, path, numeric=True, split_sizes=[500], block_sizes=[9])
    assert rows[1] == {"id": 1, "area": 1 / 3}
    file = input_file(path)
    format = Arrow(features=("area", "id")).resolve([file])
    blocks = list(format.read_blocks(plan_splits(format, file, 1 << 40)[0], 1 << 20))
    assert [block.X.tolist() for block in blocks][1] == [[2 / 3, 2], [1, 3]]
    assert blocks[1].place(1) == f"{path}, batch 1, row 1"
    with pytest.raises(UsageError, match="did you mean 'area'"):
        Arrow(features=("aera",)).resolve([file])


def test_feather(tmp_path: Path) -> None:
    path = tmp_path / "a.feather"
    feather.write_feather(table_of(10), str(path), chunksize=3)
    check_format(
        Arrow(), path.read_bytes(), path, expected=table_of(10).to_pylist(), split_sizes=[500], block_sizes=[9]
    )
    path.write_bytes(b"FEA1" + bytes(50))
    with pytest.raises(InputError, match="Feather file of version 1"):
        Arrow().resolve([input_file(path)])


def test_empty_files_and_no_rows(tmp_path: Path) -> None:
    check_empty(Arrow(), tmp_path / "empty.arrow")
    for stream in (False, True):
        for batch_rows in (1, 5):
            content = encode(table_of(0), batch_rows, stream=stream)
            assert check_format(Arrow(), content, tmp_path / "a.arrow", expected=[]) == []


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    content = encode(table_of(1000))
    for damaged in (b"no arrow", content[:-100], b"ARROW1"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a.arrow: not Arrow data"):
            Arrow().resolve([input_file(path)])
    stream = encode(table_of(1000), 100, stream=True)
    path.write_bytes(stream[: len(stream) // 2])
    file = input_file(path)
    with pytest.raises(InputError, match=r"a.arrow: not Arrow data, or damaged"):
        read_all(Arrow().resolve([file]), file, 1 << 40, 1 << 20)


def test_files_must_have_the_same_columns(tmp_path: Path) -> None:
    for name, table in (("a", table_of(3)), ("b", table_of(3).drop_columns(["name"]))):
        (tmp_path / f"{name}.arrow").write_bytes(encode(table))
    with pytest.raises(InputError, match=r"b.arrow and .*a.arrow have different columns: it lacks \['name'\]"):
        Arrow().resolve([input_file(tmp_path / "a.arrow"), input_file(tmp_path / "b.arrow")])

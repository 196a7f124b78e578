"""A dataset becomes a plan: formats by name and suffix, splits numbered over all files, unions, records in memory."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import mapreduce
from mapreduce.dataset import Dataset, PlannedInput
from mapreduce.errors import InputError, UsageError
from mapreduce.formats.arrays import Example
from mapreduce.formats.base import Block, InputFile
from mapreduce.formats.registry import FORMATS, format_by_name, guess_format
from mapreduce.formats.union import Tagged, TaggedBlock
from mapreduce.readers import (
    from_arrays,
    from_records,
    read,
    read_csv,
    read_fixed,
    read_npy,
    read_parquet,
    read_text,
    read_tsv,
    read_whole,
    union,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a1\na2\na3\n")
    Path("b.txt").write_text("b1\nb2\n")
    Path("empty.txt").write_text("")
    Path("left.csv").write_text("id,name\n1,one\n2,two\n")
    Path("right.tsv").write_text("id\tname\n2\tzwei\n3\tdrei\n")
    pq.write_table(pa.table({"id": [2, 4], "name": ["deux", "quatre"]}), "more.parquet")
    return tmp_path


def blocks_of(planned: PlannedInput, block_bytes: int = 1 << 20) -> list[Block]:
    return [block for split in planned.splits for block in planned.format.read_blocks(split, block_bytes)]


def records_of(dataset: Dataset, split_bytes: int | None = None, block_bytes: int = 1 << 20) -> list[Any]:
    planned = pickle.loads(pickle.dumps(dataset.plan(split_bytes)))
    return [record for block in blocks_of(planned, block_bytes) for record in block.records()]


@pytest.mark.parametrize("split_bytes", [None, 1, 4, 1000])
def test_splits_are_numbered_over_all_files(split_bytes: int | None) -> None:
    planned = read_text("b.txt", ["empty.txt", Path("a.txt")]).plan(split_bytes)
    assert [split.number for split in planned.splits] == list(range(len(planned.splits)))
    assert [file.path for file in planned.files] == ["b.txt", "empty.txt", "a.txt"]
    assert planned.bytes == 15
    assert records_of(read_text("b.txt", "a.txt"), split_bytes) == ["b1", "b2", "a1", "a2", "a3"]


def test_a_small_file_still_makes_two_splits() -> None:
    dataset = read_text("a.txt")
    assert len(dataset.splits()) == 2
    assert dataset.splits() == list(dataset.plan().splits)
    assert dataset.files() == list(dataset.plan().files)


def test_a_dataset_is_lazy_and_a_value() -> None:
    dataset = read_text("later.txt")
    with pytest.raises(InputError, match=r"later.txt: no such file"):
        dataset.plan()
    Path("later.txt").write_text("now\n")
    assert records_of(dataset) == ["now"]
    assert dataset == read_text("later.txt")


def test_formats_by_suffix() -> None:
    assert records_of(read("left.csv"))[0] == {"id": 1, "name": "one"}
    assert records_of(read("right.tsv"))[0] == {"id": 2, "name": "zwei"}
    assert records_of(read("more.parquet"))[0] == {"id": 2, "name": "deux"}
    assert records_of(read("b.txt")) == ["b1", "b2"]
    files = [InputFile(path, 1) for path in ("A.CSV.gz", "b.csv", "s3://x/c.csv.zst?region=y.txt")]
    assert guess_format(files) == "csv"
    assert guess_format([InputFile("part-0", 1), InputFile("README", 1)]) == "text"
    assert guess_format([InputFile("x.ndjson", 1)]) == "jsonl"


def test_files_of_several_formats_must_be_named() -> None:
    with pytest.raises(UsageError, match=r"several formats: a.txt \(text\) and left.csv \(csv\); name the format"):
        read("a.txt", "left.csv").plan()
    assert len(records_of(read("a.txt", "left.csv", format="text"))) == 6


def test_what_cannot_be_compressed_from_outside_says_so() -> None:
    with pytest.raises(UsageError, match=r"a.parquet.gz: a parquet file cannot be read through gzip; decompress it"):
        guess_format([InputFile("a.parquet.gz", 1)])


def test_every_format_is_registered_under_its_suffixes() -> None:
    for name, entry in FORMATS.items():
        format = format_by_name(name, {"width": 4} if name == "fixed" else None)
        assert set(entry.suffixes) <= set(format.suffixes), name
        assert format.name == {"tsv": "csv"}.get(name, name)
        for suffix in format.suffixes:
            assert type(format_by_name(guess_format([InputFile("x" + suffix, 1)]))) is type(format)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("parket", {}, "no format 'parket'; did you mean 'parquet'"),
        ("csv", {"targt": "x"}, "format 'csv' has no option 'targt'; did you mean 'target'"),
        ("parquet", {"schema": "x"}, "no option 'schema'"),
        ("whole", {"x": 1}, "it takes none"),
        ("fixed", {}, "missing 1 required positional argument: 'width'"),
    ],
)
def test_unknown_formats_and_options(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        format_by_name(name, options)


def test_readers_pass_their_options() -> None:
    numbers = read_csv("left.csv", target="id", types={"id": "float"}, columns=["id"])
    assert records_of(numbers) == [{"id": 1.0}, {"id": 2.0}]
    assert records_of(read_tsv("right.tsv", columns=["name"])) == [{"name": "zwei"}, {"name": "drei"}]
    assert records_of(read_parquet("more.parquet", columns=["id"])) == [{"id": 2}, {"id": 4}]
    assert records_of(read_fixed("b.txt", width=3)) == [b"b1\n", b"b2\n"]
    assert records_of(read_whole("b.txt"))[0] == ("b.txt", b"b1\nb2\n")
    np.save("x.npy", np.arange(4))
    assert records_of(read_npy("x.npy")) == [0, 1, 2, 3]
    assert read_parquet("more.parquet").feature_names() == ("id",)
    with pytest.raises(UsageError, match="is not a path"):
        read_text(3)  # type: ignore[arg-type]


def test_standard_input_is_spooled_before_planning(tmp_path: Path) -> None:
    dataset = union(new=read_text("-"), old=read_text("b.txt", "-"))
    assert dataset.reads_stdin
    spooled = dataset.spooled(tmp_path, io.BytesIO(b"s1\n"))
    assert not spooled.reads_stdin
    assert [record.record for record in records_of(spooled)] == ["s1", "b1", "b2", "s1"]
    assert spooled.spooled(tmp_path) is spooled
    with pytest.raises(UsageError, match="must be spooled"):
        dataset.plan()


@given(st.lists(st.integers() | st.text() | st.none(), max_size=100), st.integers(1, 2000), st.integers(1, 2000))
def test_records_in_memory_come_once(records: list[Any], split_bytes: int, block_bytes: int) -> None:
    dataset = from_records(iter(records))
    assert records_of(dataset, split_bytes, block_bytes) == records
    if len(records) > 1:
        assert len(dataset.splits()) >= 2


def test_a_plan_of_records_in_memory() -> None:
    assert from_records([]).plan().splits == ()
    assert len(from_records(range(10)).splits()) == 10
    assert len(from_records(range(100_000)).splits()) == 16
    assert from_records([1, 2]).files() == from_records([1, 2]).files() != from_records([1, 3]).files()
    assert from_records([lambda: 1]).plan().bytes > 0
    (block, *_) = blocks_of(from_records([{"a": 1, "b": "x"}, {"a": 2.5, "b": "y"}]).plan())
    assert block.arrow.to_pylist() == [{"a": 1.0, "b": "x"}]
    assert block.place(0).endswith(", record 0")
    (block, *_) = blocks_of(from_records([3, 1]).plan())
    assert block.arrow.to_pylist() == [{"value": 3}]
    assert block.X.tolist() == [[3]]
    with pytest.raises(InputError, match="in memory have no common Arrow type"):
        [block.arrow for block in blocks_of(from_records(["x", 1]).plan())]
    with pytest.raises(InputError, match="in memory make no matrix"):
        [block.X for block in blocks_of(from_records(["x", 1]).plan())]


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_arrays_in_memory(kind: str) -> None:
    X = np.arange(60.0).reshape(20, 3)
    y = np.arange(20)
    dataset = from_arrays(X if kind == "dense" else sparse.csr_matrix(X), y)
    planned = dataset.plan()
    assert len(planned.splits) >= 2
    blocks = blocks_of(planned, 100)
    rows = [block.X if kind == "dense" else block.X.toarray() for block in blocks]  # type: ignore[attr-defined]
    assert np.array_equal(np.concatenate(rows), X)
    assert np.array_equal(np.concatenate([block.y for block in blocks]), y)
    assert sum(len(block) for block in blocks) == 20
    if kind == "dense":
        assert np.shares_memory(blocks[0].X, X)
        assert not blocks[0].X.flags.writeable
        assert isinstance(records_of(dataset)[3], Example)


def test_arrays_that_do_not_fit() -> None:
    for X, y in [(np.zeros((3, 2)), np.zeros(2)), (np.zeros((3, 2)), np.zeros((3, 1))), (np.array(1), None)]:
        with pytest.raises(InputError, match="X has shape"):
            from_arrays(X, y)
    with pytest.raises(InputError, match="Python objects"):
        from_arrays(np.array([{}]))
    assert from_arrays(np.empty((0, 3)), np.empty(0)).plan().splits == ()
    with pytest.raises(UsageError, match="no target column"):
        blocks_of(from_arrays([[1.0]]).plan())[0].y


@pytest.mark.parametrize("split_bytes", [None, 1, 8, 10_000])
def test_a_union_of_formats(split_bytes: int | None) -> None:
    both = union(left=read_csv("left.csv"), right=read_parquet("more.parquet"))
    left = [Tagged("left", {"id": 1, "name": "one"}), Tagged("left", {"id": 2, "name": "two"})]
    right = [Tagged("right", {"id": 2, "name": "deux"}), Tagged("right", {"id": 4, "name": "quatre"})]
    assert records_of(both, split_bytes) == left + right
    planned = both.plan(split_bytes)
    assert [split.number for split in planned.splits] == list(range(len(planned.splits)))
    assert len(both.files()) == 2
    assert both.feature_names() == ("id",)


def test_a_union_with_itself_and_without_tags() -> None:
    lines = read_text("b.txt")
    assert records_of(union(lines.tagged("x"), lines.tagged("y"))) == [
        Tagged("x", "b1"), Tagged("x", "b2"), Tagged("y", "b1"), Tagged("y", "b2")
    ]  # fmt: skip
    assert records_of(lines.tagged("x")) == [Tagged("x", "b1"), Tagged("x", "b2")]
    assert records_of(union(union(lines, from_records([1])), read_csv("left.csv", columns=["id"]))) == [
        "b1", "b2", 1, {"id": 1}, {"id": 2}
    ]  # fmt: skip
    (block, *_) = blocks_of(union(n=from_arrays(np.eye(2), [3, 4])).plan())
    assert isinstance(block, TaggedBlock)
    assert (block.tag, block.X.tolist(), block.y.tolist(), block.arrow.num_rows) == ("n", [[1, 0]], [3], 1)
    assert block.bytes > 0
    assert block.place(0).endswith("row 0")
    with pytest.raises(UsageError, match="a union cannot be tagged"):
        union(lines).tagged("z")
    with pytest.raises(UsageError, match="a union of nothing"):
        union()


def test_another_format_over_the_same_plan() -> None:
    planned = union(left=read_text("a.txt"), right=read_text("b.txt")).plan()
    again = planned.as_dataset(planned.format).plan()
    assert again.splits == planned.splits
    assert again.format == planned.format


def test_planning_lines_imports_neither_numpy_nor_pyarrow() -> None:
    code = (
        "import sys; from mapreduce.readers import *; read_text('*.txt').plan(); read('a.txt').plan(); "
        "read_csv('left.csv'); from_records([1]).plan(); "
        "assert not {'pyarrow', 'numpy', 'numba'} & set(sys.modules), sorted(sys.modules)"
    )
    root = Path(mapreduce.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(root)})

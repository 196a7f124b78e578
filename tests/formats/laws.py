"""What must every format obey? One suite of laws; a format's own tests add what only it promises.

    check_format(Text(), b"a\\nb\\n", tmp_path / "a.txt", expected=["a", "b"])

writes the bytes to the path and checks, for every pair of split size and block size:

  once       the splits' records, in order, are the records of the whole file (and `expected`, where given)
  plan       extents ascend, do not overlap, hold something, and are the same when planned again
  blocks     no block is empty; a block can be asked twice, and by its columns or numbers as well as by its records
  lanes      `arrow` has a row a record and one schema for all blocks; its rows do not depend on the cuts; so X and y
  place      every record has a place that names the file
  select     some of a block's records are a block with those records, in every form, at the same places
  values     a format survives pickling; a reader that is dropped half-way leaves no file open

A law is left out by name only (`columns=False`, `numeric=True` asks for X), with the reason beside the call.
"""

from __future__ import annotations

import dataclasses
import math
import os
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mapreduce.formats.base import Block, Extent, Format, InputFile, Split

ONE = 1 << 40
SPLIT_SIZES = (1, 2, 3, 7, 16, 64, 1000, ONE)
BLOCK_SIZES = (1, 5, 64, ONE)


@dataclass
class Reading:
    """Everything that was read from a file with one split size and one block size."""

    records: list[Any] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    schemas: list[Any] = field(default_factory=list)
    X: list[Any] = field(default_factory=list)
    y: list[Any] = field(default_factory=list)


def input_file(path: Path) -> InputFile:
    stat = path.stat()
    return InputFile(str(path), stat.st_size, stat.st_mtime_ns)


def check_format(
    format: Format,
    content: bytes,
    path: Path,
    *,
    expected: Sequence[Any] | None = None,
    split_sizes: Iterable[int] = SPLIT_SIZES,
    block_sizes: Iterable[int] = BLOCK_SIZES,
    columns: bool = True,
    numeric: bool = False,
    target: bool = False,
) -> list[Any]:
    """Check all laws over one file of these bytes; the records of the whole file are returned."""
    path.write_bytes(content)
    file = input_file(path)
    resolved = format.resolve([file])
    assert pickle.loads(pickle.dumps(resolved)) == resolved, "a format must survive pickling"
    whole = read_all(resolved, file, ONE, ONE, columns=columns, numeric=numeric, target=target)
    if expected is not None:
        assert same(whole.records, list(expected)), f"{whole.records!r} != {list(expected)!r}"
    for split_bytes in split_sizes:
        for block_bytes in block_sizes:
            reading = read_all(
                resolved, file, split_bytes, block_bytes, columns=columns, numeric=numeric, target=target
            )
            where = f"split_bytes={split_bytes}, block_bytes={block_bytes}"
            assert same(reading.records, whole.records), f"{where}: {reading.records!r} != {whole.records!r}"
            assert same(reading.rows, whole.rows), f"{where}: columns {reading.rows!r} != {whole.rows!r}"
            assert all(schema.equals(whole.schemas[0]) for schema in reading.schemas), f"{where}: schemas differ"
            assert same(reading.X, whole.X), f"{where}: X differs"
            assert same(reading.y, whole.y), f"{where}: y differs"
    check_dropped_reader(resolved, file)
    return whole.records


def read_all(
    format: Format,
    file: InputFile,
    split_bytes: int,
    block_bytes: int,
    *,
    columns: bool = False,
    numeric: bool = False,
    target: bool = False,
) -> Reading:
    """Read a file through its splits, checking the laws of plans and blocks on the way."""
    reading = Reading()
    for split in plan_splits(format, file, split_bytes):
        for block in format.read_blocks(split, block_bytes):
            records = check_block(block, file)
            reading.records += records
            if columns:
                batch = block.arrow
                assert batch.num_rows == len(records), f"{batch.num_rows} rows for {len(records)} records"
                batch.validate(full=True)
                reading.schemas.append(batch.schema)
                reading.rows += batch.to_pylist()
            if numeric:
                X = block.X
                assert X.ndim == 2, f"X is {X.shape}"
                assert X.shape[0] == len(records), f"X is {X.shape} for {len(records)} records"
                assert X.dtype == "float64"
                reading.X += (X.toarray() if hasattr(X, "toarray") else X).tolist()
            if target:
                assert block.y.shape == (len(records),)
                assert block.y.dtype == "float64"
                reading.y += block.y.tolist()
            forms = [name for name, asked in (("X", numeric), ("y", target)) if asked]
            check_select(block, records, range(0, len(records), 2), columns=columns, forms=forms)
            check_select(block, records, [len(records) - 1], columns=columns, forms=forms)
    return reading


def check_select(block: Block, records: list[Any], rows: Sequence[int], *, columns: bool, forms: list[str]) -> None:
    """The law `select`, of one block and these of its rows."""
    some = block.select(rows)
    assert len(some) == len(rows)
    assert same(list(some.records()), [records[row] for row in rows])
    assert [some.place(index) for index in range(len(rows))] == [block.place(row) for row in rows]
    assert [some.where(index) for index in range(len(rows))] == [block.where(row) for row in rows]
    if columns:
        assert some.arrow.schema.equals(block.arrow.schema)
        assert same(some.arrow.to_pylist(), [block.arrow.to_pylist()[row] for row in rows])
    for form in forms:
        picked, whole = getattr(some, form), getattr(block, form)
        assert same(_dense(picked), _dense(whole[list(rows)])), f"{form} of some rows is not those rows of {form}"


def _dense(array: Any) -> Any:
    return array.toarray() if hasattr(array, "toarray") else array


def read_form(format: Format, content: bytes, path: Path, form: str = "records") -> Any:
    """The records, `arrow`, `X` or another form of the one block of a file of these bytes."""
    path.write_bytes(content)
    file = input_file(path)
    resolved = format.resolve([file])
    (split,) = plan_splits(resolved, file, ONE)
    (block,) = resolved.read_blocks(split, ONE)
    return list(block.records()) if form == "records" else getattr(block, form)


def plan_splits(format: Format, file: InputFile, split_bytes: int) -> list[Split]:
    extents = format.plan_extents(file, split_bytes)
    assert extents == format.plan_extents(file, split_bytes), "a plan depends on the file and the split size alone"
    end = 0
    for extent in extents:
        assert isinstance(extent, Extent)
        assert end <= extent.start <= extent.end, f"extents must ascend and not overlap: {extents}"
        assert extent.bytes >= 0
        end = extent.end
    assert sum(extent.bytes for extent in extents) <= max(file.size, 1) * 2, "bytes are for progress: about the file's"
    return [Split(number, file, extent) for number, extent in enumerate(extents)]


def check_block(block: Block, file: InputFile) -> list[Any]:
    records = list(block.records())
    assert records, "a block is never empty"
    assert len(block) == len(records), f"len(block) is {len(block)}, it has {len(records)} records"
    assert block.bytes >= 0, "bytes is the block's size in the file, for progress"
    assert same(list(block.records()), records), "a block can be read twice"
    places = [block.place(index) for index in range(len(records))]
    assert all(file.path in place for place in places), f"a place names the file: {places}"
    return records


def check_dropped_reader(format: Format, file: InputFile) -> None:
    """A reader that is closed after its first block leaves no file open (seen where /proc tells)."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        return
    before = len(os.listdir(descriptors))
    for split in plan_splits(format, file, ONE):
        reader = iter(format.read_blocks(split, 1))
        next(reader, None)
        close = getattr(reader, "close", None)
        if close is not None:
            close()
    assert len(os.listdir(descriptors)) <= before, "a file was left open"


def check_empty(format: Format, path: Path) -> None:
    """An empty file holds no record and needs no split."""
    path.write_bytes(b"")
    file = input_file(path)
    assert format.resolve([file]).plan_extents(file, 64) == []


def same(a: Any, b: Any) -> bool:
    """Equal in value and type; NaN equals NaN; 1 is not 1.0; arrays by dtype, shape and bytes."""
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(a))
    if hasattr(a, "tobytes") and hasattr(a, "dtype"):
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    return bool(a == b)

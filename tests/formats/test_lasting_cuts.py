"""Do cuts that last give every record to one split, stay where they are, and tell by its bytes what a split holds?"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.formats.base import Format, InputFile, Split
from mapreduce.formats.csv import Csv
from mapreduce.formats.fixed import Fixed
from mapreduce.formats.text import Text
from mapreduce.settings import MAX_SPLIT_BYTES, MiB, lasting_partitions, lasting_split_bytes

lines = st.lists(st.sampled_from(["", "a", "bb", "ccc", "d" * 30]), max_size=12).map("\n".join)
cells = st.sampled_from(["1", "22", '"a\nb"', '"x ""y"" z"', ""])
rows = st.lists(cells, max_size=12).map(lambda rows: "k\n" + "".join(f"{row}\n" for row in rows))
records = st.lists(st.sampled_from(["abcd", "ab\nd", "----"]), max_size=12).map("".join)
FORMATS = {"text": (Text(), lines), "csv": (Csv(types={"k": "string"}), rows), "fixed": (Fixed(4), records)}


def opened(path: Path, text: str) -> InputFile:
    path.write_bytes(text.encode())
    return InputFile(str(path), len(text.encode()))


def splits_of(format: Format, file: InputFile, split_bytes: int | None) -> list[Split]:
    extents = format.plan_lasting_extents(file, split_bytes)
    return [Split(number, file, extent) for number, extent in enumerate(extents)]


def records_in(format: Format, split: Split) -> list[object]:
    return [record for block in format.read_blocks(split, 16) for record in block.records()]


def content_of(format: Format, split: Split) -> tuple[bytes, bool]:
    piece = format.bytes_of(split)
    assert piece is not None
    return Path(split.file.path).read_bytes()[piece.start : piece.stop], split.extent.start == 0


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data(), split_bytes=st.integers(1, 40))
def test_equal_bytes_mean_equal_records(
    name: str, data: st.DataObject, split_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    format, texts = FORMATS[name]
    folder = tmp_path_factory.mktemp("cuts")
    before, after = data.draw(texts), data.draw(texts)
    if data.draw(st.booleans()):
        after = before + after[after.startswith("k\n") * 2 :]  # the file has grown
    files = [opened(folder / "before", before), opened(folder / "after", after)]
    fixed = format.resolve(files)
    held: dict[tuple[bytes, bool], list[object]] = {}
    for file in files:
        splits = splits_of(fixed, file, split_bytes)
        found = [records_in(fixed, split) for split in splits]
        extents = fixed.plan_extents(file, 1 << 20)
        whole = [record for extent in extents for record in records_in(fixed, Split(0, file, extent))]
        assert [record for part in found for record in part] == whole
        for split, part in zip(splits, found, strict=True):
            assert held.setdefault(content_of(fixed, split), part) == part


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_sizes_grow_with_the_place(a: int, b: int) -> None:
    small, large = sorted((a, b))
    assert lasting_split_bytes(small) <= lasting_split_bytes(large) <= MAX_SPLIT_BYTES
    assert lasting_split_bytes(large) <= max(MiB, large // 8)
    assert lasting_partitions(small) <= lasting_partitions(large) <= 256


def test_parts_change_four_times() -> None:
    assert [lasting_partitions(size * MiB) for size in (0, 64, 65, 256, 257, 1024, 1025, 4096, 4097, 1 << 20)] == [
        *(1, 1, 4, 4, 16, 16, 64, 64, 256, 256),
    ]


def test_what_is_inside_a_long_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = opened(tmp_path / "long", "a\n" + "b" * 1000 + "\nc\n")
    splits = splits_of(Text(), file, 100)
    pieces = [Text().bytes_of(split) for split in splits]
    assert pieces[0] == range(1003)
    assert all(piece is not None and len(piece) <= 105 for piece in pieces[1:])
    assert [records_in(Text(), split) for split in splits if records_in(Text(), split)] == [["a", "b" * 1000], ["c"]]


def test_a_compressed_file_is_known_as_a_whole(tmp_path: Path) -> None:
    file = dataclasses.replace(opened(tmp_path / "a.txt.gz", "no gzip, but who looks"))
    (split,) = splits_of(Text(), file, None)
    assert Text().bytes_of(split) is None

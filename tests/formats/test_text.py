"""Is every line read exactly once, whatever the splits, with the right characters and the right place?"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import InputError, UsageError
from mapreduce.formats.base import Format, Split
from mapreduce.formats.csv import Csv
from mapreduce.formats.fixed import Fixed
from mapreduce.formats.text import Text
from tests.formats.laws import ONE, check_empty, check_format, input_file, plan_splits, read_all

BOM = b"\xef\xbb\xbf"


def lines_of(content: bytes, encoding: str = "utf-8") -> list[str]:
    """The reference: one split over the whole file."""
    *lines, rest = content.removeprefix(BOM).decode(encoding).split("\n")
    return [line.removesuffix("\r") for line in lines] + ([rest] if rest else [])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"no newline at all", ["no newline at all"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"lone\rCR\n", ["lone\rCR"]),
        (b"a\r\r\nb\r", ["a\r", "b\r"]),
        (b"\n\n\n", ["", "", ""]),
        (b"\r\n\r\n", ["", ""]),
        (BOM + b"a\nb\n", ["a", "b"]),
        (BOM, []),
        (BOM + b"\n", [""]),
        ("é€😀\n😀€é".encode(), ["é€😀", "😀€é"]),
        (b"form\x0cfeed \xc2\x85 \xe2\x80\xa8 and \x00\n", ["form\x0cfeed \x85 \u2028 and \x00"]),
        (b"a\n" + b"x" * 3000 + b"\nb\n", ["a", "x" * 3000, "b"]),
    ],
)
def test_lines(content: bytes, expected: list[str], tmp_path: Path) -> None:
    sizes = (1, 3, 64, ONE) if len(content) < 100 else (100, 999, ONE)
    check_format(Text(), content, tmp_path / "a.txt", expected=expected, split_sizes=sizes, block_sizes=sizes)


@settings(max_examples=100, deadline=None)
@given(
    text=st.text(alphabet="ab\n\r\té€😀\ufeff", max_size=60),
    split_bytes=st.integers(1, 70),
    block_bytes=st.integers(1, 70),
)
def test_every_line_once(
    text: str, split_bytes: int, block_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "text.txt"
    content = text.encode()
    expected = lines_of(content)
    check_format(Text(), content, path, expected=expected, split_sizes=[split_bytes], block_sizes=[block_bytes])


def test_an_empty_file_needs_no_split(tmp_path: Path) -> None:
    check_empty(Text(), tmp_path / "a.txt")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii", "shift_jis", "gb18030", "UTF8"])
def test_encodings_in_which_a_newline_is_a_newline(encoding: str, tmp_path: Path) -> None:
    texts = {"latin-1": "é\nü", "cp1252": "€5\n„x“\n", "shift_jis": "日本\n語", "gb18030": "中文\n字"}
    content = texts.get(encoding, "a\nb").encode(encoding)
    check_format(Text(encoding), content, tmp_path / "a.txt", expected=lines_of(content, encoding))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "utf-7", "cp037", "iso2022_jp", "nonsense"])
def test_encodings_that_cannot_be_cut_are_refused(encoding: str) -> None:
    with pytest.raises(UsageError, match=encoding):
        Text(encoding)


@pytest.mark.parametrize("form", ["records", "arrow"])
def test_wrong_encoding_names_file_offset_bytes_and_remedy(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\ncaf\xe9 noir\n")
    file = input_file(path)
    for split in plan_splits(Text(), file, 8)[1:]:
        for block in Text().read_blocks(split, 4):
            with pytest.raises(InputError, match=rf"{path}, byte 11: b'\\xe9 no' is not utf-8.*encoding='latin-1'"):
                block.arrow if form == "arrow" else list(block.records())


def test_a_binary_file_is_pointed_to_its_format(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1\x15\x04\x15\xe0\n")
    with pytest.raises(InputError, match=r"read it as such, --format parquet \(format='parquet'\)"):
        read_all(Text(), input_file(path), ONE, ONE)


def test_utf16_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("hello\n".encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16"):
        read_all(Text(), input_file(path), ONE, ONE)


def test_a_place_is_the_byte_where_the_line_begins(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(BOM + b"one\r\ntwo\nthree")
    file = input_file(path)
    places = [
        block.place(index)
        for split in plan_splits(Text(), file, 5)
        for block in Text().read_blocks(split, 1)
        for index in range(len(block))
    ]
    assert places == [f"{path}, byte {at}" for at in (3, 8, 12)]


def test_a_split_inside_a_huge_line_reads_little_and_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 100_000 + b"\nlast\n")
    file = input_file(path)
    counts = [
        sum(len(block) for block in Text().read_blocks(Split(0, file, split.extent), 100))
        for split in plan_splits(Text(), file, 10_000)
    ]
    assert counts[0] == 1
    assert sum(counts) == 2
    assert not any(counts[1:-1])


def test_splits_are_even_and_at_most_as_large_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 1001)
    sizes = [extent.bytes for extent in Text().plan_extents(input_file(path), 100)]
    assert sum(sizes) == 1001
    assert max(sizes) <= 100
    assert min(sizes) >= 90


@pytest.mark.parametrize("format", [Text(), Csv(header=False), Fixed(1)])
def test_a_file_that_became_shorter_is_an_error(format: Format, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"1\n" * 50)
    file = input_file(path)
    resolved = format.resolve([file])
    splits = plan_splits(resolved, file, 20)
    path.write_bytes(b"1\n" * 5)
    with pytest.raises(InputError, match="has become shorter"):
        list(resolved.read_blocks(splits[-1], 1000))
    with pytest.raises(InputError, match="has become shorter"):
        list(resolved.read_blocks(splits[0], 1000))

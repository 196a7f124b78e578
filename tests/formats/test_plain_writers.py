"""Do text and raw output hold what they were given, and nothing else, by pair and by column?"""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import UsageError
from mapreduce.formats.writers import open_writer, read_pairs

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=20)
BYTES = st.lists(st.binary(max_size=5), max_size=20)


def written(name: str, pairs: list[tuple[Any, Any]]) -> bytes:
    file = io.BytesIO()
    writer = open_writer(name, file)
    for key, value in pairs:
        writer.write(key, value)
    writer.close()
    return file.getvalue()


def written_columns(name: str, keys: pa.Array, values: pa.Array) -> bytes:
    file = io.BytesIO()
    writer = open_writer(name, file)
    writer.write_columns(keys, values)
    writer.close()
    return file.getvalue()


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [("a\tb\\", None, "a\tb\\\n"), (1.5, None, "1.5\n"), ("", None, "\n"), ("a", 1, "a\t1\n"), (None, "x", "\tx\n")],
)
def test_lines(key: Any, value: Any, line: str) -> None:
    assert written("text", [(key, value)]) == line.encode()


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from([pa.string(), pa.large_string()]), st.integers(0, 3))
def test_columns_of_lines_are_the_same_bytes(texts: list[str], kind: pa.DataType, skip: int) -> None:
    keys = pa.array(texts, kind).slice(min(skip, len(texts)))
    expected = "".join(text + "\n" for text in texts[skip:]).encode()
    assert written("text", [(key, None) for key in texts[skip:]]) == expected
    assert written_columns("text", keys, pa.nulls(len(keys))) == expected


def test_columns_of_numbers_and_of_values() -> None:
    assert written_columns("text", pa.array([1.0, 2.5]), pa.nulls(2)) == b"1.0\n2.5\n"
    assert written_columns("text", pa.array(["a", "b"]), pa.array([1, None])) == b"a\t1\nb\n"


@settings(max_examples=100, deadline=None)
@given(BYTES, st.sampled_from([pa.binary(), pa.large_binary()]), st.integers(0, 3))
def test_raw_bytes(values: list[bytes], kind: pa.DataType, skip: int) -> None:
    column = pa.array(values, kind).slice(min(skip, len(values)))
    expected = b"".join(values[skip:])
    assert written("raw", [(0, value) for value in values[skip:]]) == expected
    assert written_columns("raw", pa.array(range(len(column))), column) == expected
    assert written_columns("raw", column, pa.nulls(len(column))) == expected


def test_raw_records_of_one_width() -> None:
    records = pa.array([b"abc", b"def", b"ghi"], pa.binary(3))
    assert written_columns("raw", records, records.slice(0)) == b"abcdefghi"
    assert written_columns("raw", pa.array([1, 2]), records.slice(1)) == b"defghi"
    assert written_columns("raw", pa.array(["x", "y"]), pa.array([b"abc", None], pa.binary(3))) == b"abcy"


def test_raw_takes_bytes_and_text_alone() -> None:
    with pytest.raises(UsageError, match="3 is of type int, not bytes"):
        written("raw", [("a", 3)])
    with pytest.raises(UsageError, match="is of type int, not bytes"):
        written_columns("raw", pa.array(["a"]), pa.array([3]))


def test_reading_back(tmp_path: Any) -> None:
    (tmp_path / "part").write_bytes(b"a\tb\nc\n")
    assert list(read_pairs("text", [tmp_path / "part"])) == [("a\tb", None), ("c", None)]
    with pytest.raises(UsageError, match="mr.read_fixed"):
        list(read_pairs("raw", [tmp_path / "part"]))

"""Are pairs and columns written as the same bytes, and read back as what they were?"""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mapreduce.errors import UsageError
from mapreduce.formats import line_writer
from mapreduce.formats.writers import open_writer, read_pairs, writer_class
from tests.formats.laws import same

FLOATS = [
    1e22, 1.0, 1e-7, math.nan, math.inf, -math.inf, -0.0, 0.0, 1e15, 1e16, 1e17, 123456789012345680.0, 1e10, 1e9, 0.1,
    1e-4, 9.9e-5, 1e-5, 5e-324, 1.7976931348623157e308, 9007199254740993.0, 12345678901.5, 2.5e-5,
]  # fmt: skip


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


def read_back(name: str, content: bytes, folder: Path) -> list[tuple[Any, Any]]:
    path = folder / f"part{writer_class(name).suffix}"
    path.write_bytes(content)
    return list(read_pairs(name, [path]))


@dataclass(frozen=True)
class Sums:
    n: int
    mean: float


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("word", 3, "word\t3"),
        ("", None, "\t"),
        (1, 2.0, "1\t2.0"),
        (True, False, "true\tfalse"),
        ("tab\t\\ \r\n", "tab\t\\ \r\n", "tab\\t\\\\ \\r\\n\ttab\t\\\\ \\r\\n"),
        (("a", 1, None), [1.5, "é"], '["a", 1, null]\t[1.5, "é"]'),
        (b"by\tte\xff", b"\x00", "by\\tte\udcff\t\x00"),
        (frozenset("ba"), {"k": {2, 1}}, '["a", "b"]\t{"k": [1, 2]}'),
        (np.int64(5), np.float64(0.5), "5\t0.5"),
        (np.float32(0.5), np.array([1, 2]), "0.5\t[1, 2]"),
        (datetime.date(2024, 2, 29), Sums(2, 0.5), '2024-02-29\t{"n": 2, "mean": 0.5}'),
        ("k", {(1, 2): "x"}, 'k\t{"[1, 2]": "x"}'),
        (2**70, -1e-7, f"{2**70}\t-1e-07"),
    ],
)
def test_tsv_lines(key: Any, value: Any, line: str) -> None:
    assert written("tsv", [(key, value)]) == line.encode("utf-8", "surrogateescape") + b"\n"


texts = st.text(alphabet='ab\t\n\r\\",é😀\x00', max_size=6)
columns = st.sampled_from(
    [
        (pa.string(), texts),
        (pa.large_string(), texts),
        (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
        (pa.uint8(), st.integers(0, 255)),
        (pa.float64(), st.one_of(st.floats(), st.sampled_from(FLOATS), st.integers(-(10**17), 10**17).map(float))),
        (pa.float32(), st.floats(width=32)),
        (pa.bool_(), st.booleans()),
        (pa.list_(pa.int64()), st.lists(st.integers(0, 9), max_size=2)),
        (pa.date32(), st.dates()),
        (pa.null(), st.none()),
    ]
)


@st.composite
def arrays(draw: st.DrawFn, size: int) -> pa.Array:
    type, cells = draw(columns)
    return pa.array(draw(st.lists(cells | st.none(), min_size=size + 1, max_size=size + 1)), type).slice(1)


@settings(max_examples=200, deadline=None)
@given(
    pair=st.integers(0, 5).flatmap(lambda size: st.tuples(arrays(size), arrays(size))),
    name=st.sampled_from(["tsv", "csv", "jsonl"]),
)
@example(pair=(pa.array(range(len(FLOATS))), pa.array(FLOATS)), name="tsv")
@example(pair=(pa.array(range(len(FLOATS))), pa.array(FLOATS)), name="csv")
def test_columns_and_pairs_are_the_same_bytes(pair: tuple[pa.Array, pa.Array], name: str) -> None:
    keys, values = pair
    pairs = list(zip(keys.to_pylist(), values.to_pylist(), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_writer, "COLUMN_ROWS", 2)
        assert written_columns(name, keys, values) == written(name, pairs)


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(texts, texts), max_size=5))
def test_texts_can_be_read_back(pairs: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name in ("tsv", "csv", "jsonl", "parquet"):
        assert read_back(name, written(name, pairs), folder) == pairs


def test_floats_are_written_as_repr() -> None:
    lines = written_columns("tsv", pa.array(FLOATS), pa.array(FLOATS)).decode().splitlines()
    assert lines == [f"{x!r}\t{x!r}" for x in FLOATS]


def test_types_survive_in_jsonl_and_parquet(tmp_path: Path) -> None:
    pairs = [("a", 1), ("b", 2)]
    assert same(read_back("jsonl", written("jsonl", pairs), tmp_path), pairs)
    assert same(read_back("parquet", written("parquet", pairs), tmp_path), pairs)
    assert read_back("jsonl", written("jsonl", [((1, "x"), None)]), tmp_path) == [([1, "x"], None)]
    assert json.loads(written("jsonl", [("é", {1: 2.5})])) == {"key": "é", "value": {"1": 2.5}}


def test_csv_columns_are_the_keys_of_dicts(tmp_path: Path) -> None:
    pairs = [("x", {"n": 1, "mean, of": 0.5}), ('y"', {"mean, of": 1.5, "n": 2})]
    content = written("csv", pairs)
    assert list(csv.reader(io.StringIO(content.decode()))) == [
        ["key", "n", "mean, of"], ["x", "1", "0.5"], ['y"', "2", "1.5"]
    ]  # fmt: skip
    assert read_back("csv", content, tmp_path)[0] == ("x", {"n": "1", "mean, of": "0.5"})
    for other in ({"n": 1}, {"n": 1, "m": 2}, 5):
        with pytest.raises(UsageError, match=r"key 'z' has .* the first had the columns n, mean, of"):
            written("csv", [*pairs, ("z", other)])
    with pytest.raises(UsageError, match="has the columns n, the first had no columns"):
        written("csv", [("x", 1), ("z", {"n": 1})])


@pytest.mark.parametrize("name", ["tsv", "csv", "jsonl", "parquet"])
def test_no_pairs(name: str, tmp_path: Path) -> None:
    assert read_back(name, written(name, []), tmp_path) == []


def test_parquet_in_several_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.formats.parquet_writer.BATCH_PAIRS", 3)
    pairs = [(f"k{number}", float(number)) for number in range(10)]
    content = written("parquet", pairs)
    assert read_back("parquet", content, tmp_path) == pairs
    assert str(pq.read_schema(io.BytesIO(content)).field("value").type) == "double"


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("a", 1), ("b", "x")], "the value 'x' is of type str, but the column holds int64"),
        ([("a", 1), (("b", 2), 1)], r"the key \('b', 2\) is of type tuple, but the column holds string"),
        ([("a", 1)] * 3 + [("b", 2.5)], "the value 2.5 is of type float, but the column holds int64"),
        ([("a", 2**70)], "is of type int"),
        ([("a", object())], "is of type object"),
    ],
)
def test_parquet_columns_have_one_type(
    pairs: list[tuple[Any, Any]], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapreduce.formats.parquet_writer.BATCH_PAIRS", 3)
    with pytest.raises(UsageError, match=message + ".*jsonl"):
        written("parquet", pairs)


def test_columns_of_another_type_are_cast_or_refused() -> None:
    writer = open_writer("parquet", io.BytesIO())
    writer.write_columns(pa.array([1.5]), pa.array(["x"]))
    writer.write_columns(pa.array([2]), pa.array(["y"]))
    with pytest.raises(UsageError, match="keys of type string follow keys of type double"):
        writer.write_columns(pa.array(["z"]), pa.array(["y"]))
    writer.close()


def test_an_unknown_format_has_near_names() -> None:
    with pytest.raises(UsageError, match="no output format 'jsonk'; did you mean 'jsonl'"):
        open_writer("jsonk", io.BytesIO())


def test_half_a_surrogate_pair_does_not_stop_a_job() -> None:
    assert written("tsv", [("\ud800", 1)]) == b"\xed\xa0\x80\t1\n"

"""Is every JSON line read once, and are columns and errors right?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import InputError, MapReduceError, UsageError
from mapreduce.formats.jsonl import JsonLines
from tests.formats.laws import check_empty, check_format, read_form

BOM = b"\xef\xbb\xbf"


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(alphabet='a"\\\né😀\x00', max_size=6))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


@settings(max_examples=100, deadline=None)
@given(
    records=st.lists(values, max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\n\n", " \n\t\n"]),
    ascii=st.booleans(),
    mark=st.sampled_from([b"", BOM]),
    split_bytes=st.integers(1, 60),
    block_bytes=st.integers(1, 60),
)
def test_every_value_once(
    records: list[Any],
    end: str,
    ascii: bool,
    mark: bytes,
    split_bytes: int,
    block_bytes: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text = "".join(json.dumps(record, ensure_ascii=ascii) + end for record in records)
    check_format(
        JsonLines(),
        mark + text.encode(),
        tmp_path_factory.getbasetemp() / "values.jsonl",
        expected=[json.loads(line) for line in text.split("\n") if line.strip()],
        split_sizes=[split_bytes],
        block_sizes=[block_bytes],
        columns=False,  # not every value is an object
    )


fields = st.fixed_dictionaries(
    {"i": st.integers(-(2**63), 2**63 - 1), "f": st.floats(allow_nan=False) | st.integers(-5, 5)},
    optional={"s": st.text(max_size=4) | st.none(), "b": st.booleans(), "any": values},
)


@settings(max_examples=60, deadline=None)
@given(records=st.lists(fields, min_size=1, max_size=6), split_bytes=st.integers(1, 60), nested=st.booleans())
def test_columns_are_the_objects_fields(
    records: list[dict[str, Any]], split_bytes: int, nested: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if not nested:
        records = [{name: value for name, value in record.items() if name != "any"} for record in records]
    path = tmp_path_factory.getbasetemp() / "objects.jsonl"
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    format = JsonLines(target="i", features=["f"], types={"f": "float"})
    check_format(format, content, path, split_sizes=[split_bytes], block_sizes=[1, 99], numeric=True, target=True)
    rows = read_form(format, content, path, "arrow").to_pylist()
    assert [(row["i"], row["f"]) for row in rows] == [(record["i"], float(record["f"])) for record in records]
    assert [row.get("s") for row in rows] == [record.get("s") for record in records]


def test_types_found(tmp_path: Path) -> None:
    content = b'{"i":1,"f":1,"s":"x","b":true,"n":null,"l":[1],"m":1}\n{"f":2.5,"m":"x","late":1}\n'
    batch = read_form(JsonLines(), content, tmp_path / "a.jsonl", "arrow")
    assert {field.name: str(field.type) for field in batch.schema} == {
        "i": "int64", "f": "double", "s": "string", "b": "bool", "n": "string", "l": "string", "m": "string",
        "late": "int64",
    }  # fmt: skip
    assert batch.to_pylist()[1] == {
        "i": None, "f": 2.5, "s": None, "b": None, "n": None, "l": None, "m": '"x"', "late": 1
    }  # fmt: skip


def test_an_empty_file_and_one_of_blank_lines(tmp_path: Path) -> None:
    check_empty(JsonLines(), tmp_path / "a.jsonl")
    check_format(JsonLines(), b"\n \n\t\r\n", tmp_path / "b.jsonl", expected=[])


def test_a_duplicate_key_is_as_in_python(tmp_path: Path) -> None:
    content = b'{"a":1,"a":2}\n'
    assert read_form(JsonLines(), content, tmp_path / "a.jsonl") == [{"a": 2}]
    assert read_form(JsonLines(), content, tmp_path / "a.jsonl", "arrow").to_pylist() == [{"a": 2}]


@pytest.mark.parametrize(
    ("format", "content", "form", "error", "message"),
    [
        (JsonLines(), b'{"a":1}\n\n{"a":1 \n', "records", InputError, r"a.jsonl, line 3, byte 16: not JSON: Expecting"),
        (JsonLines(), '{"a":"é"} x\n'.encode(), "records", InputError, "line 1, byte 11: not JSON: Extra data"),
        (JsonLines(), b'{"a":1}{"a":2}\n', "records", InputError, "line 1, byte 7: not JSON: Extra data"),
        (JsonLines(), b"{'a':1}\n", "records", InputError, "line 1, byte 1: not JSON"),
        (JsonLines(), b'{"a":1}\n[2]\n', "arrow", InputError, r"line 2, byte 8: \[2\] is no object"),
        (JsonLines(), b'{"a":1}\n' * 40_000 + b'{"a":1}{"a":2}\n{"a":\n3}\n', "arrow", InputError,
         "line 40001, byte 320007: not JSON: Extra data"),
        (JsonLines(types={"a": "int"}), b'{"a":1}\n{"a":2.5}\n', "arrow", InputError,
         r"line 2, byte 8, field 'a': 2.5 is not of type int; .*types=\{'a': 'float'\}"),
        (JsonLines(types={"a": "string"}), b'{"a":1}\n', "arrow", InputError, r"types=\{'a': 'float'\}"),
        (JsonLines(), b'{"a":"\\ud800"}\n', "arrow", InputError, "field 'a'"),
        (JsonLines(), b'{"a":1}\n{"b":1}\n', "X", InputError, "line 2, byte 8: column 'a' has no value"),
        (JsonLines(), b'{"a":"x"}\n', "X", InputError, "no numeric column"),
        (JsonLines(), b'{"a":1}\n', "y", UsageError, "no target"),
        (JsonLines(target="prize"), b'{"price":1}\n', "y", UsageError, "did you mean 'price'"),
        (JsonLines(columns=["prize"]), b'{"price":1}\n', "arrow", UsageError, "did you mean 'price'"),
        (JsonLines(target="a"), b"1\n", "y", InputError, "no JSON objects"),
        (JsonLines(), b'"\xff"\n', "records", InputError, "byte 1: .*is not utf-8"),
        (JsonLines(), b"[" * 200_000, "records", InputError, "line 1, byte 0: cannot be read"),
    ],
)  # fmt: skip
def test_errors(
    format: JsonLines, content: bytes, form: str, error: type[MapReduceError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        read_form(format, content, tmp_path / "a.jsonl", form)

"""Do the compiled path, pyarrow and plain Python read the same cells, and see the same first fault?"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mapreduce.kernels import csv_cells, parse_csv_columns, parse_csv_floats
from mapreduce.kernels.csv_reference import Columns, Fault, Kind, parse_by_library
from mapreduce.kernels.load import kernels_of

relaxed = settings(deadline=None, max_examples=150)  # a process's first call loads object code
many = settings(deadline=None, max_examples=600)
if kernels_of("csv", compile=True) is None:
    pytest.skip("no compiled kernels here", allow_module_level=True)

NUMBERS = st.one_of(
    st.floats().map(repr),
    st.floats(-1e3, 1e3).map(lambda x: f"{x:.6f}"),
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=False).map(str),
    st.tuples(st.integers(0, 10**19), st.integers(-330, 320)).map(lambda p: f"{p[0]}e{p[1]}"),
    st.sampled_from([" 1.5 ", "+2", "-0", "-0.0", ".5", "5.", "1e5", "1E+5", "inf", "-Infinity", "nan", '" 4 "']),
    st.sampled_from(["00000000001.5", "9007199254740993", "0.1234567890123456", "123456789.123456789", "1e-400"]),
)  # fmt: skip
WRONG = st.sampled_from(
    ["", " ", "x", "1.2.3", "1_0", "--1", "1e", "e5", '"1', '"1"2', '1"', '"1""2"', "1 2", "0x10", "\xe9", "-", "."]
)
ENDS = st.sampled_from(["\n", "\r\n", "\n\n", "\r\n\n"])


def same(a: Columns, b: Columns) -> bool:
    """Bit for bit, NaN included."""
    if a.bad != b.bad or [x.type for x in a.arrays] != [x.type for x in b.arrays]:
        return False
    return all(
        list(map(bits, x.to_pylist())) == list(map(bits, y.to_pylist()))
        for x, y in zip(a.arrays, b.arrays, strict=True)
    )


def bits(value: Any) -> Any:
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    return value


def all_paths(data: bytes, columns: int, wanted: list[int], kinds: list[Kind]) -> Columns:
    fast = parse_csv_columns(data, 44, columns, wanted, kinds)
    assert same(fast, parse_by_library(data, 44, columns, wanted, kinds, compiled=True))
    assert same(fast, parse_by_library(data, 44, columns, wanted, kinds, compiled=False))
    return fast


@many
@given(NUMBERS, st.sampled_from(["", ",", "\n", "\r\n", "\r", "\n" * 50]))
def test_a_number_is_what_float_says(text: str, behind: str) -> None:
    columns = 2 if behind == "," else 1
    found = parse_csv_floats((text + behind).encode(), 44, columns, [0])
    assert found.bad is None
    assert bits(found.matrix[0, 0].item()) == bits(float(text.strip('"')))


def test_rounding_of_many_numbers() -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(0, 1 << 64, 20_000, dtype=np.uint64).view(np.float64)
    values = values[np.isfinite(values)]
    texts = [repr(x) for x in values.tolist()] + [f"{x:.17e}" for x in values.tolist()]
    texts += [f"{x:.{p}f}" for x in rng.normal(0, 1e3, 5_000).tolist() for p in (3, 9, 12, 14, 16)]
    texts += [str(2**53 * k + k // 2) for k in range(1, 500)] + [f"{2**54 + 2 * k + 1}e{k % 23}" for k in range(500)]
    found = parse_csv_floats("\n".join(texts).encode(), 44, 1, [0]).matrix[:, 0]
    assert found.tobytes() == np.array([float(x) for x in texts]).tobytes()


@relaxed
@given(st.data())
def test_matrices_and_faults(data: st.DataObject) -> None:
    columns = data.draw(st.integers(1, 4))
    cell = NUMBERS | NUMBERS | NUMBERS | NUMBERS | (WRONG if data.draw(st.booleans()) else NUMBERS)
    width = st.just(columns) if data.draw(st.booleans()) else st.integers(1, 5)
    rows = data.draw(st.lists(width.flatmap(lambda n: st.lists(cell, min_size=n, max_size=n)), max_size=8))
    text = data.draw(st.sampled_from(["", "\n"]))
    text += "".join(",".join(row) + data.draw(ENDS) for row in rows)
    text = text[: len(text) - data.draw(st.integers(0, 2))]
    wanted = data.draw(st.lists(st.integers(0, columns - 1), min_size=1, unique=True))
    encoded = text.encode("latin-1")
    plain = all_paths(encoded, columns, wanted, [Kind.FLOAT] * len(wanted))
    found = parse_csv_floats(encoded, 44, columns, wanted)
    assert found.bad == plain.bad
    for j, array in enumerate(plain.arrays):
        assert list(map(bits, found.matrix[:, j].tolist())) == list(map(bits, array.to_pylist()))


STRINGS = st.one_of(
    st.text(st.characters(exclude_characters='",\r\n', exclude_categories=["Cs"]), max_size=40),
    st.text(max_size=20).map(lambda x: '"' + x.replace('"', '""') + '"'),
)
INTS = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.integers(-999, 999).map(str),
    st.sampled_from(["+7", " 8 ", "007", '"9"']),
)
TEXT = {Kind.FLOAT: NUMBERS, Kind.INT: INTS, Kind.STRING: STRINGS}


@relaxed
@given(st.data())
def test_columns_of_all_kinds(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(Kind), min_size=1, max_size=4))
    rows = data.draw(st.lists(st.tuples(*(TEXT[kind] for kind in kinds)), max_size=6))
    text = "".join(",".join(row) + data.draw(ENDS) for row in rows)
    wanted = data.draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, unique=True))
    encoded = text.encode("utf-8", "surrogatepass")
    all_paths(encoded, len(kinds), wanted, [kinds[i] for i in wanted])


@relaxed
@given(st.binary(max_size=60) | st.text('",\r\na1. ', max_size=60).map(str.encode), st.integers(1, 3))
@example(b'"a""b",c\r\n', 2)
def test_any_bytes(data: bytes, columns: int) -> None:
    for kind in Kind:
        all_paths(data, columns, list(range(columns)), [kind] * columns)


@pytest.mark.parametrize(
    ("text", "fault", "row", "column", "offset"),
    [
        (b"1,2\n3\n", Fault.RAGGED, 1, 1, 4),
        (b"1,2\n\n3,4,5\n", Fault.RAGGED, 1, 3, 5),
        (b"1,2\r\n3,x\r\n", Fault.NUMBER, 1, 1, 7),
        (b"1,\n", Fault.NUMBER, 0, 1, 2),
        (b'1,"2\n', Fault.QUOTE, 0, 1, 0),
    ],
)
def test_a_fault_has_its_place(text: bytes, fault: Fault, row: int, column: int, offset: int) -> None:
    bad = parse_csv_floats(text, 44, 2, [0, 1]).bad
    assert bad is not None
    assert (bad.fault, bad.row, bad.column, bad.offset) == (fault, row, column, offset)


def test_string_that_is_not_utf8() -> None:
    bad = parse_csv_columns(b"a\nb\xff\n", 44, 1, [0], [Kind.STRING]).bad
    assert bad is not None
    assert (bad.fault, bad.row) == (Fault.ENCODING, 1)


def test_given_memory_is_used() -> None:
    out = np.empty((10, 2))
    found = parse_csv_floats(b"1;2;3\n4;5;6", ord(";"), 3, [2, 0], out)
    assert np.shares_memory(found.matrix, out)
    assert found.matrix.tolist() == [[3.0, 1.0], [6.0, 4.0]]


def test_more_cells_for_python_than_the_list_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_cells, "_LISTED", 3)
    assert parse_csv_floats(b"nan,inf\n" * 50, 44, 2, [1]).matrix[:, 0].tolist() == [math.inf] * 50


@pytest.mark.parametrize("out", [np.empty((9, 2)), np.empty((9, 1), np.float32), np.empty((18, 1))[::2]])
def test_memory_that_does_not_fit(out: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ValueError, match="1 columns"):
        parse_csv_floats(b"1,2\n", 44, 2, [0], out)


@pytest.mark.parametrize("wanted", [[], [0, 0], [2], [-1]])
def test_columns_that_do_not_exist(wanted: list[int]) -> None:
    with pytest.raises(ValueError, match="of 2"):
        parse_csv_floats(b"1,2\n", 44, 2, wanted)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, pa.py_buffer])
def test_any_buffer(kind: Any) -> None:
    assert parse_csv_floats(kind(b"1,2\n"), 44, 2, [1]).matrix.tolist() == [[2.0]]
    assert parse_csv_floats(kind(b"1,x\n"), 44, 2, [1]).bad is not None

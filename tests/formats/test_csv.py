"""Is a CSV file read as Python's csv module reads it, whatever the splits, and are errors ones to act on?"""

from __future__ import annotations

import csv
import io
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import InputError, MapReduceError, UsageError
from mapreduce.formats.csv import Csv
from tests.formats.laws import ONE, check_empty, check_format, input_file, read_all, read_form

BOM = b"\xef\xbb\xbf"
HOUSES = b"price,rooms,city\n250.5,3,Bonn\n99,2,Aachen\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HOUSES, [{"price": 250.5, "rooms": 3, "city": "Bonn"}, {"price": 99.0, "rooms": 2, "city": "Aachen"}]),
        (b"a,b\r\n1,x\r\n2,y", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        (b"\n\r\na\n\n1\n\n\n2\n\n", [{"a": 1}, {"a": 2}]),
        (BOM + b'"a x",b\n1,2\n', [{"a x": 1, "b": 2}]),
        (b'a,b\n"x\ny","p""q"\n"",\n', [{"a": "x\ny", "b": 'p"q'}, {"a": "", "b": ""}]),
        (b'"a\n1",b\n1,"x\r\n,"\n', [{"a\n1": 1, "b": "x\r\n,"}]),
        (b'a,b\n5" pipe,x\n6" pipe,"y\nz"\n', [{"a": '5" pipe', "b": "x"}, {"a": '6" pipe', "b": "y\nz"}]),
        (b'a,b\n"x"y"z,1\n"x" "y,2\n', [{"a": 'xy"z', "b": 1}, {"a": 'x "y', "b": 2}]),
        (b'a,b\n1, "x\n2,y"\n', [{"a": 1, "b": ' "x'}, {"a": 2, "b": 'y"'}]),
        (b"a,b\n1,\n,x\n", [{"a": 1, "b": ""}, {"a": None, "b": "x"}]),
        (b"a,b\n1,NA\nnull,2.5\n", [{"a": 1, "b": None}, {"a": None, "b": 2.5}]),
        (b"a,b\nnan,inf\n1e3,-Infinity\n", [{"a": math.nan, "b": math.inf}, {"a": 1000.0, "b": -math.inf}]),
        (b"a,b\n 1 ,+2\n", [{"a": 1, "b": 2}]),
        (b"a\n1_000\n", [{"a": "1_000"}]),
        (b"a,b\n1,x\r2,y\n3,z\n", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 3, "b": "z"}]),
        (b'a,b\n1,"unclosed\n2,x\n', [{"a": 1, "b": "unclosed\n2,x\n"}]),
    ],
)
def test_rows(content: bytes, expected: list[dict[str, Any]], tmp_path: Path) -> None:
    check_format(Csv(), content, tmp_path / "a.csv", expected=expected, split_sizes=(1, 5, 16, ONE))


cells = st.one_of(st.text(alphabet='ab ,"\n\ré😀', max_size=8), st.integers(-99, 99).map(str), st.just(""))


@settings(max_examples=100, deadline=None)
@given(
    rows=st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=8)),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    has_last_newline=st.booleans(),
    split_bytes=st.integers(1, 80),
    block_bytes=st.integers(1, 80),
)
def test_every_row_once(
    rows: list[list[str]],
    quoting: Any,
    end: str,
    has_last_newline: bool,
    split_bytes: int,
    block_bytes: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    names = [f"f{index}" for index in range(len(rows[0]))]
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, lineterminator=end)
    for row in rows:
        writer.writerow(row) if "\r" not in "".join(row) else csv.writer(text, quoting=csv.QUOTE_ALL).writerow(row)
    written = text.getvalue() if has_last_newline else text.getvalue().removesuffix(end)
    expected = [dict(zip(names, row, strict=True)) for row in csv.reader(io.StringIO(written, newline="")) if row]
    if not expected:
        return
    check_format(
        Csv(header=False, types=dict.fromkeys(names, "string")),
        written.encode(),
        tmp_path_factory.getbasetemp() / "rows.csv",
        expected=expected,
        split_sizes=[split_bytes],
        block_sizes=[block_bytes],
    )


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)), min_size=1, max_size=6),
    split_bytes=st.integers(1, 80),
)
def test_numbers_are_the_same_in_every_lane(
    rows: list[tuple[int, float]], split_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.csv"
    content = "y,x\n" + "".join(f"{y},{x!r}\n" for y, x in rows)
    format = Csv(target="y", types={"x": "float"})
    found = check_format(
        format, content.encode(), path, split_sizes=[split_bytes], block_sizes=[1, 50], numeric=True, target=True
    )
    assert [(row["y"], bits(row["x"])) for row in found] == [(y, bits(x)) for y, x in rows]
    X = read_form(format, content.encode(), path, "X")
    assert [bits(x) for x in X[:, 0].tolist()] == [bits(x) for _, x in rows]


def bits(x: float) -> bytes:
    return struct.pack("<d", x)


def test_an_empty_file_and_one_with_a_header_only_hold_nothing(tmp_path: Path) -> None:
    check_empty(Csv(), tmp_path / "a.csv")
    for content in (b"a,b\n", b"a,b", BOM + b"a,b\r\n"):
        check_format(Csv(), content, tmp_path / "b.csv", expected=[])
        assert Csv().plan_extents(input_file(tmp_path / "b.csv"), 10) == []


def test_tab_by_suffix_and_delimiter_by_option(tmp_path: Path) -> None:
    expected = [{"a": 1, "b": "x,y"}]
    check_format(Csv(), b"a\tb\n1\tx,y\n", tmp_path / "a.tsv", expected=expected)
    check_format(Csv(delimiter="|"), b"a|b\n1|x,y\n", tmp_path / "a.csv", expected=expected)


def test_names_given_and_columns_chosen(tmp_path: Path) -> None:
    content, path = b"1,x,2.5\n2,y,3\n", tmp_path / "a.csv"
    expected = [{"c": 2.5, "a": 1}, {"c": 3.0, "a": 2}]
    check_format(Csv(header=["a", "b", "c"], columns=["c", "a"]), content, path, expected=expected)
    check_format(Csv(header=False), content, path, expected=[
        {"f0": 1, "f1": "x", "f2": 2.5}, {"f0": 2, "f1": "y", "f2": 3.0}])  # fmt: skip


def test_quotes_may_be_data(tmp_path: Path) -> None:
    check_format(Csv(quote=""), b'a,b\n"x,y"\n', tmp_path / "a.csv", expected=[{"a": '"x', "b": 'y"'}])


def test_other_encodings(tmp_path: Path) -> None:
    content = 'ort,x\n"Köln\n",1\n'.encode("latin-1")
    check_format(Csv(encoding="latin-1"), content, tmp_path / "a.csv", expected=[{"ort": "Köln\n", "x": 1}])


def test_features_default_to_all_numbers_but_the_target(tmp_path: Path) -> None:
    content = b"n,price,city,rooms\n1,9.5,x,3\n2,8.5,y,4\n"
    assert read_form(Csv(target="price"), content, tmp_path / "a.csv", "X").tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert read_form(Csv(target="price"), content, tmp_path / "a.csv", "y").tolist() == [9.5, 8.5]
    X = read_form(Csv(target="n", features=["rooms", "price"]), content, tmp_path / "a.csv", "X")
    assert X.tolist() == [[3.0, 9.5], [4.0, 8.5]]
    assert X.flags.c_contiguous


def test_an_integer_column_may_go_on_as_decimals_in_X(tmp_path: Path) -> None:
    content = b"x\n" + b"1\n" * 200_000 + b"2.5\n"
    assert read_form(Csv(), content, tmp_path / "a.csv", "X")[-1, 0] == 2.5
    with pytest.raises(InputError, match=r"line 200002, column 'x': '2.5' is not an integer.*types=\{'x': 'float'\}"):
        read_form(Csv(), content, tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("format", "content", "form", "error", "message"),
    [
        (Csv(), b"a,b\n1,2\n3\n", "records", InputError, r"a.csv, line 3: 1 cells, the file has 2 columns: \['3'\]"),
        (Csv(), b"a,b\n1,2\n3\n", "arrow", InputError, "line 3: 1 cells"),
        (Csv(), b"a,b\n1,2\n3\n", "X", InputError, "line 3: 1 cells"),
        (Csv(), b'a,b\n1,"\n\n"\n3,4,5\n', "X", InputError, "line 5: 3 cells"),
        (Csv(types={"a": "float"}), b"a,b\n1,2\nx,4\n", "records", InputError,
         r"line 3, column 'a': 'x' is not a number.*types=\{'a': 'string'\}"),
        (Csv(types={"a": "float"}), b"a,b\n1,2\nx,4\n", "arrow", InputError, "line 3, column 'a': 'x'"),
        (Csv(features=["a"], types={"a": "float"}), b"a,b\n1,2\nx,4\n", "X", InputError, "line 3, column 'a': 'x'"),
        (Csv(types={"a": "int"}), b"a\n9223372036854775808\n", "arrow", InputError, "not an integer of 64 bits"),
        (Csv(), b"a,b\n1,2\n,4\n", "X", InputError, "line 3: column 'a' has no value"),
        (Csv(), b"a\nx\n", "X", InputError, "no numeric column"),
        (Csv(), b"a\n1\n", "y", UsageError, "no target"),
        (Csv(), b"a,a\n1,2\n", "records", InputError, "two columns are named 'a'"),
        (Csv(), b"a,b\n1,\xff\n", "arrow", InputError, "byte 6: .*is not utf-8"),
        (Csv(target="prize"), HOUSES, "y", UsageError, "no column 'prize'.*did you mean 'price'"),
        (Csv(features=["room"]), HOUSES, "X", UsageError, "no column 'room'.*did you mean 'rooms'"),
        (Csv(target="city"), HOUSES, "y", UsageError, "'city' is of type string"),
        (Csv(columns=["cities"]), HOUSES, "records", UsageError, "no column 'cities'.*'city'"),
        (Csv(types={"pric": "int"}), HOUSES, "records", UsageError, "'pric'.*'price'"),
        (Csv(types={"price": "flaot"}), HOUSES, "records", UsageError, "'flaot'.*'float'"),
        (Csv(), b"a,b\r1,2\r", "records", InputError, "lone"),
    ],
)  # fmt: skip
def test_errors(
    format: Csv, content: bytes, form: str, error: type[MapReduceError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        read_form(format, content, tmp_path / "a.csv", form)


def test_headers_must_agree(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"price,rooms\n1,2\n")
    (tmp_path / "b.csv").write_bytes(b"price,room\n1,2\n")
    (tmp_path / "c.csv").write_bytes(b"")
    files = [input_file(tmp_path / name) for name in ("c.csv", "a.csv", "b.csv")]
    with pytest.raises(InputError, match=r"b.csv: column 2 is 'room', but in .*a.csv it is 'rooms'"):
        Csv().resolve(files)


@pytest.mark.parametrize("options", [{"delimiter": "ab"}, {"delimiter": '"'}, {"quote": "\n", "delimiter": ","},
                                     {"features": "price"}, {"encoding": "utf-16"}])  # fmt: skip
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Csv(**options)


def test_a_cell_may_be_longer_than_the_csv_module_likes(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    long = b"x" * 300_000
    rows = read_form(Csv(header=False), b'"' + long + b'",1\n', tmp_path / "a.csv")
    assert rows == [{"f0": long.decode(), "f1": 1}]
    assert csv.field_size_limit() == limit


def test_types_are_of_the_first_file_for_all(tmp_path: Path) -> None:
    for name, content in (("a.csv", b"x\n1\n"), ("b.csv", b"x\n2.5\n")):
        (tmp_path / name).write_bytes(content)
    files = [input_file(tmp_path / name) for name in ("a.csv", "b.csv")]
    resolved = Csv().resolve(files)
    with pytest.raises(InputError, match=r"b.csv, line 2, column 'x': '2.5'"):
        read_all(resolved, files[1], ONE, ONE)


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(
        st.lists(st.text(alphabet='0123 .,e-+_"\rx', max_size=5), min_size=2, max_size=2), min_size=1, max_size=4
    )
)
def test_with_and_without_the_kernel_X_is_the_same(
    cells: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = "\n".join(",".join(row) for row in cells).encode() + b"\n"
    format = Csv(header=["a", "b"], features=["b"], types={"a": "string", "b": "float"})
    outcomes: list[list[bytes] | str] = []
    for kernels in ("on", "off"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MAPREDUCE_KERNELS", kernels)
            try:
                X = read_form(format, content, tmp_path_factory.getbasetemp() / "kernel.csv", "X")
                outcomes.append([bits(x) for x in X[:, 0].tolist()])
            except (InputError, ValueError) as error:
                outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]

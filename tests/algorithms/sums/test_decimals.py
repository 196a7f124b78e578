"""Are the decimals of a CSV file taken as the decimals that they are, by the compiled loop and by the library?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from algorithms.linear_regression import ExactLeastSquares
from mapreduce.kernels.csv_decimals import decimals_by_library, parse_csv_decimals
from mapreduce.kernels.load import available

CELLS = st.one_of(
    st.decimals(-1000, 1000, places=4).map(str),
    st.integers(-(10**17), 10**17).map(str),
    st.floats(-1e6, 1e6).map(repr),
    st.sampled_from(["0", "-0", "-0.0", "+1", " 2 ", ".5", "5.", "1e3", "1E-3", "0.000000000001", "-.25", "007"]),
)


def numbers(slices: mr.Slices) -> list[list[Fraction]]:
    scales = [Fraction(2) ** a * 5**b for a, b in zip(slices.twos, slices.fives, strict=True)]
    return [[Fraction(int(v)) / s for v, s in zip(row, scales, strict=True)] for row in slices.integers()]


@pytest.mark.skipif(not available("csv", "decimals", compile=True), reason="no compiler")
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8))
def test_both_ways_give_the_same_numbers(rows: list[tuple[str, str]]) -> None:
    truth = [[Fraction(Decimal(cell.strip())) for cell in row] for row in rows]
    text = "".join(f"{a},{b}\n" for a, b in rows).encode()
    compiled = parse_csv_decimals(text, ord(","), 2, [0, 1])
    assert compiled is None or numbers(compiled) == truth
    assert numbers(decimals_by_library(list(zip(*rows, strict=True)), len(rows))) == truth


@pytest.mark.skipif(not available("csv", "decimals", compile=True), reason="no compiler")
def test_plain_decimals_are_read_by_the_compiled_loop() -> None:
    text = b"1.25,-300000.0000001\n0.1,12345678901234567\n" * 50
    found = parse_csv_decimals(text, ord(","), 2, [0, 1])
    assert found is not None
    assert numbers(found)[:2] == [
        [Fraction(5, 4), Fraction(-3000000000001, 10**7)],
        [Fraction(1, 10), Fraction(12345678901234567)],
    ]


def exact_block(path: Path, text: str, **options: Any) -> list[list[Fraction]]:
    path.write_text(text)
    dataset = mr.read_csv(path, **options).resolved()
    planned = dataset.plan()
    return [row for split in planned.splits for block in planned.format.read_blocks(split, 1 << 20)
            for row in numbers(block.exact())]  # fmt: skip


@pytest.mark.parametrize("kernels", ["on", "off"])
def test_blocks_of_files(kernels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPREDUCE_KERNELS", kernels)
    text = 'a,name,y\n0.1,"x, y",1e300\n"-2.50",z,1e-300\n3,w,0.30000000000000004441\n'
    assert exact_block(tmp_path / "t.csv", text, target="y") == [
        [Fraction(1, 10), Fraction(10) ** 300],
        [Fraction(-5, 2), 1 / Fraction(10) ** 300],
        [Fraction(3), Fraction(30000000000000004441, 10**20)],
    ]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "line 3: column 'a' has no value there"),
        ("inf", "line 3: column 'a' holds inf"),
        ("nan", "line 3: column 'a' holds nan"),
        ("x", "line 3, column 'a': 'x' is not a number"),
        ("1_0", "line 3, column 'a': '1_0' is not a number"),
    ],
)
def test_what_is_no_number_is_named(cell: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(mr.InputError, match=said):
        exact_block(tmp_path / "t.csv", f"a,y\n1,2\n{cell},3\n", target="y", types={"a": "float"})


def test_formats_that_hold_decimals_give_the_same_sums(datadir: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [line.split(",") for line in (datadir / "norris.csv").read_text().split()[1:]]  # y, x
    columns = {name: pa.array([Decimal(row[j]) for row in rows], pa.decimal128(18, 4)) for j, name in enumerate("yx")}
    pq.write_table(pa.table(columns), tmp_path / "norris.parquet")
    (tmp_path / "norris.libsvm").write_text("".join(f"{y} 1:{x}\n" for y, x in rows))
    datasets = [
        mr.read_csv(datadir / "norris.csv", target="y"),
        mr.read_parquet(tmp_path / "norris.parquet", target="y"),
        mr.read_libsvm(tmp_path / "norris.libsvm"),
    ]
    assert len({mr.run(ExactLeastSquares(), each, engine="inline").value.digest() for each in datasets}) == 1


def test_wide_integers_of_a_table_are_exact(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [2**60 + 1, -3], "y": [0.5, 0.25]}), tmp_path / "wide.parquet")
    planned = mr.read_parquet(tmp_path / "wide.parquet", target="y").resolved().plan()
    blocks = [block for split in planned.splits for block in planned.format.read_blocks(split, 1 << 20)]
    assert [row for block in blocks for row in numbers(block.exact())] == [
        [2**60 + 1, Fraction(1, 2)],
        [-3, Fraction(1, 4)],
    ]


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [("rows.libsvm", "1 1:2\n3 1:nan\n", mr.read_libsvm), ("rows.libsvm", "1 1:2\ninf 1:3\n", mr.read_libsvm)],
)
def test_sparse_rows_name_the_place(name: str, text: str, read: Callable[..., mr.Dataset], tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(mr.InputError, match="line 2"):
        mr.run(ExactLeastSquares(), read(tmp_path / name), engine="inline")

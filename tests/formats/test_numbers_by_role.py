"""Is a column with an odd cell among numbers read as numbers, where it must be numbers?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr

ROWS = "a,b,k,w,y\n1,2,u,1,5\n2,x y,v,1,6\n3,4,7,1,7\n4,5,v,1,8\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "odd cells.csv"
    path.write_text(ROWS)
    return path


def features(table: Path, **roles: Any) -> list[Any]:
    planned = mr.read_csv(table, **roles).plan()
    return [block.X for split in planned.splits for block in planned.format.read_blocks(split, 1 << 20)]


@pytest.mark.parametrize(
    "roles",
    [
        {"target": "y"},
        {"features": ["a", "b"]},
        {"target": "b", "features": ["a", "w"]},
        {"features": ["a"], "weights": "b"},
    ],
)
def test_the_odd_cell_is_named(table: Path, roles: dict[str, Any]) -> None:
    with pytest.raises(mr.InputError, match=r"odd cells\.csv, line 3, column 'b': 'x y' is not a number") as raised:
        features(table, **roles)
    assert "--read types=b:string" in str(raised.value)


def test_text_stays_text(table: Path) -> None:
    assert mr.read_csv(table, target="y").feature_names() == ("a", "b", "w")  # k has one number among texts
    assert mr.read_csv(table).feature_names() == ("a", "w", "y")
    assert mr.read_csv(table, target="y", types={"b": "string"}).feature_names() == ("a", "w")
    assert mr.read_csv(table, target="b").with_labels().feature_names() == ("a", "w", "y")
    assert mr.read_csv(table, target="k").with_labels().with_categories().feature_names() == ("a", "b", "w", "y")


def test_a_fit_says_which_columns_it_left_out(table: Path, run_cli: Callable[..., Any]) -> None:
    refused = run_cli("fit", "linear_regression", table, "--target", "y")
    assert (refused.rc, "line 3, column 'b': 'x y' is not a number" in refused.err) == (2, True)
    table.write_text(ROWS.replace("x y", "3").replace(",1,", ",2,", 1))
    told = run_cli("fit", "ridge", table, "--target", "y")
    assert (told.rc, "left out, not being numbers: k\n" in told.err) == (0, True)
    assert "left out" not in run_cli("fit", "ridge", table, "--target", "y", "--features", "a").err


def test_another_delimiter_is_guessed(table: Path) -> None:
    table.write_text(ROWS.replace(",", ";"))
    with pytest.raises(mr.UsageError, match=r"the only one is 'a;b;k;w;y'; read it with delimiter=';'"):
        mr.read_csv(table, target="y").plan()

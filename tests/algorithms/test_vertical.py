"""A fit of columns in several files has the bits of the fit of one file that holds them all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mapreduce as mr
from algorithms.linear_regression import ExactLeastSquares, LinearRegression
from tests.conftest import CliResult

Cli = Callable[..., CliResult]
ROWS = 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """all.csv; its columns in a.csv, b.csv and c.parquet (whose floats are those that the text of all.csv means)."""
    random = np.random.default_rng(7)
    x = np.round(random.normal(size=(ROWS, 3)), 3)
    whole = random.integers(-50, 50, ROWS) / 4
    y = np.round(x @ [1, -2, 3] + whole + random.normal(size=ROWS) / 10, 2)
    columns = {"id": np.arange(ROWS), "x0": x[:, 0], "x1": x[:, 1], "q": whole, "x2": x[:, 2], "y": y}

    def text(path: str, names: list[str]) -> None:
        rows = zip(*(columns[name].tolist() for name in names), strict=True)
        (tmp_path / path).write_text(",".join(names) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))

    text("all.csv", ["x0", "x1", "q", "x2", "y"])
    text("a.csv", ["x0", "x1"])
    pq.write_table(pa.table({"q": whole}), tmp_path / "b.parquet", row_group_size=37)
    text("c.csv", ["x2", "y"])
    return tmp_path


def beside(folder: Path) -> mr.Dataset:
    tables = mr.read_csv(folder / "a.csv"), mr.read_parquet(folder / "b.parquet"), mr.read_csv(folder / "c.csv")
    return mr.beside(*tables, target="y")


def learned(model: LinearRegression) -> str:
    values = {name: getattr(model, name) for name in model.learned}
    plain = {
        name: value.tobytes().hex() if hasattr(value, "tobytes") else repr(value) for name, value in values.items()
    }
    return hashlib.sha256(json.dumps([plain, model.feature_names_, model.target_name_]).encode()).hexdigest()


def test_the_same_bits_as_from_one_file(folder: Path) -> None:
    whole = mr.read_csv(folder / "all.csv", target="y")
    with mr.Engine("inline") as engine:
        state = engine.run(ExactLeastSquares(), whole).value.digest()
        wanted = learned(LinearRegression().fit(whole, engine=engine))
        for split_size in (1, 64, 700, 5000, 1 << 20):
            found = engine.run(ExactLeastSquares(), beside(folder), split_size=split_size, block_size=512).value
            assert found.digest() == state
        assert learned(LinearRegression().fit(beside(folder), engine=engine)) == wanted


def test_the_same_bits_for_any_workers(folder: Path) -> None:
    with mr.Engine(workers=2) as engine:
        found = engine.run(ExactLeastSquares(), beside(folder), split_size=300).value.digest()
    with mr.Engine("inline") as engine:
        assert found == engine.run(ExactLeastSquares(), mr.read_csv(folder / "all.csv", target="y")).value.digest()


def test_cached_columns(folder: Path) -> None:
    with mr.Engine("inline") as engine:
        cached = engine.cache(beside(folder))
        wanted = engine.run(ExactLeastSquares(), beside(folder)).value.digest()
        assert [engine.run(ExactLeastSquares(), cached).value.digest() for _ in range(2)] == [wanted, wanted]


def figures(told: CliResult) -> Any:
    assert told.rc == 0, told.err
    page = json.loads(told.out)
    return {name: value for name, value in page.items() if name not in ("summary", "output", "lineage")}


def test_the_command_line(run_cli: Cli, folder: Path) -> None:
    tables = ("a.csv", "--beside", "b.parquet", "--beside", "c.csv")
    whole = run_cli("fit", "linear_regression", "all.csv", "--target", "y", "--json", "--inline")
    told = run_cli("fit", "linear_regression", *tables, "--target", "y", "--json", "--inline", "-o", "model")
    assert figures(told) == figures(whole)
    alone = run_cli("predict", "model", "all.csv", "--inline")
    assert len(alone.out.splitlines()) == ROWS
    assert run_cli("predict", "model", *tables, "--inline").out == alone.out
    judged = run_cli("evaluate", "model", *tables, "--inline")
    assert judged.rc == 0, judged.err
    assert f"n\t{ROWS}" in judged.out
    refused = run_cli("fit", "linear_regression", "a.csv", "--on", "id", "--target", "y", "--inline")
    assert refused.rc == 2
    assert "name the other tables with --beside" in refused.err


def test_by_key_in_any_order(run_cli: Cli, folder: Path) -> None:
    random = np.random.default_rng(1)
    for path in ("a.csv", "c.csv"):
        header, *rows = (folder / path).read_text().splitlines()
        named = [f"k{number},{row}" for number, row in enumerate(rows)]
        some = [named[number] for number in random.permutation(ROWS)] if path == "c.csv" else named
        (folder / f"keyed-{path}").write_text("\n".join([f"id,{header}", *some]) + "\n")
    both = mr.beside(mr.read_csv(folder / "keyed-a.csv"), mr.read_csv(folder / "keyed-c.csv"), on="id", target="y")
    whole = mr.read_csv(folder / "all.csv", target="y", features=["x0", "x1", "x2"])
    with mr.Engine(workers=2) as engine:
        wanted = engine.run(ExactLeastSquares(), whole).value.digest()
        assert engine.run(ExactLeastSquares(), both, split_size=900).value.digest() == wanted
        assert learned(LinearRegression().fit(both, engine=engine)) == learned(LinearRegression().fit(whole))
    keyed = ("keyed-a.csv", "--beside", "keyed-c.csv", "--on", "id", "--inline")
    told = run_cli("fit", "linear_regression", *keyed, "--target", "y", "-o", "model")
    assert told.rc == 0, told.err
    predicted = run_cli("predict", "model", *keyed)
    assert predicted.rc == 0, predicted.err
    assert predicted.out == run_cli("predict", "model", "all.csv", "--inline").out
    lacking = run_cli("fit", "linear_regression", "all.csv", "--beside", "keyed-c.csv", "--on", "id", "--target", "y")
    assert lacking.rc == 2
    assert "no column 'id' to join by" in lacking.err


def test_sums_of_tables_beside_each_other_are_not_kept(run_cli: Cli, folder: Path) -> None:
    told = run_cli(
        *("fit", "linear_regression", "a.csv", "--beside", "c.csv", "--target", "y"),
        "--keep-sums",
        "-o",
        "m",
        "--inline",
    )
    assert told.rc == 2
    assert "sums of tables beside each other (--beside) are not kept" in told.err

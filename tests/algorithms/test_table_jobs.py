"""Do the jobs on tables agree with DuckDB, numpy and pandas?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import mapreduce as mr
from algorithms.histogram import Histogram
from algorithms.join import Join
from algorithms.mean_by_key import MeanByKey

SPLIT = "100KB"


def rows_of(query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        rows: list[tuple[Any, ...]] = database.sql(query).fetchall()
        return rows


@pytest.mark.parametrize("key", ["carrier", "month", "tailnum", "hour"])
@pytest.mark.parametrize("value", ["dep_delay", "distance"])
def test_mean_by_key_is_that_of_duckdb(key: str, value: str, engine: mr.Engine, datadir: Path) -> None:
    job = MeanByKey(key, value)
    dataset = mr.read_csv(datadir / "flights.csv", columns=job.input_columns)
    found = dict(engine.run(job, dataset, split_size=SPLIT, reducers=2).records())
    expected = dict(rows_of(f"SELECT {key}, AVG({value}) FROM '{datadir}/flights.csv' GROUP BY {key}"))
    if None in expected:
        expected[""] = expected.pop(None)  # a text that is empty is a text
    assert found == expected  # integers: sums are exact, and one division rounds the same


def test_mean_of_floats_by_key_is_that_of_pandas(engine: mr.Engine, datadir: Path) -> None:
    found = dict(engine.run(MeanByKey("species", "petal_width"), mr.read_csv(datadir / "iris.csv")).records())
    expected = pd.read_csv(datadir / "iris.csv").groupby("species").petal_width.mean()
    assert found == pytest.approx(expected.to_dict(), rel=1e-15 * 50)  # 50 additions in another order


@pytest.mark.parametrize(("value", "said"), [("tailnum", "not numeric"), ("delay", "did you mean.*'dep_delay'")])
def test_mean_of_what_is_no_number(value: str, said: str, engine: mr.Engine, datadir: Path) -> None:
    with pytest.raises(mr.InputError, match=said):
        engine.run(MeanByKey("carrier", value), mr.read_csv(datadir / "flights.csv"))


@pytest.mark.parametrize(("column", "width", "origin"), [("dep_delay", 15.0, 0.0), ("distance", 250.0, 17.0)])
def test_histogram_is_that_of_numpy(column: str, width: float, origin: float, engine: mr.Engine, datadir: Path) -> None:
    values = pd.read_csv(datadir / "flights.csv")[column]
    present = values.dropna().to_numpy()
    first = math.floor((present.min() - origin) / width)
    last = math.floor((present.max() - origin) / width) + 1
    edges = origin + width * np.arange(first, last + 1)
    counts, _ = np.histogram(present, edges)
    expected = {edge: count for edge, count in zip(edges.tolist(), counts.tolist(), strict=False) if count}
    if values.hasnans:
        expected["missing"] = int(values.isna().sum())
    dataset = mr.read_csv(datadir / "flights.csv")
    assert dict(engine.run(Histogram(column, width, origin), dataset, split_size=SPLIT).records()) == expected


def test_histogram_of_what_is_no_number(engine: mr.Engine) -> None:
    rows = [{"x": math.inf}, {"x": math.nan}, {"x": 0.5}]
    found = dict(engine.run(Histogram("x"), mr.from_records(rows)).records())
    assert found == {math.inf: 1, "missing": 1, 0.0: 1}
    with pytest.raises(mr.InputError, match="column 'x' holds 'a', which is no number"):
        engine.run(Histogram("x"), mr.from_records([{"x": "a"}]))
    with pytest.raises(mr.UsageError, match="width is 0"):
        Histogram("x", 0)


def joined(job: Join, engine: mr.Engine, left: Path, right: Path) -> list[dict[str, Any]]:
    tables = mr.union(left=mr.read_csv(left), right=mr.read_csv(right))
    return [row for _, row in engine.run(job, tables, split_size=SPLIT, reducers=2).records()]


def test_join_is_that_of_duckdb(engine: mr.Engine, datadir: Path) -> None:
    left, right = datadir / "airlines.csv", datadir / "flights.csv"
    found = joined(Join("carrier"), engine, left, right)
    names = ("carrier", "name", "flight", "time_hour", "dep_delay")
    query = f"FROM '{left}' JOIN read_csv('{right}', types={{'time_hour': 'VARCHAR'}}) USING (carrier)"
    expected = rows_of(f"SELECT {', '.join(names)} {query}")
    assert sorted(map(repr, expected)) == sorted(repr(tuple(row[name] for name in names)) for row in found)


def test_left_join_of_many_to_many_is_that_of_duckdb(engine: mr.Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for name, rows in (("a", 300), ("b", 400)):
        keys = rng.integers(0, 60, rows).astype(object)
        keys[rng.random(rows) < 0.1] = None
        pd.DataFrame({"id" if name == "a" else "ref": keys, "n": np.arange(rows)}).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    left, right = tmp_path / "a.csv", tmp_path / "b.csv"
    for how in ("inner", "left"):
        found = joined(Join("id", "ref", how), engine, left, right)
        query = f"SELECT id, a.n, b.n FROM '{left}' AS a {how} JOIN '{right}' AS b ON id = ref"
        pairs = [(row["id"], row["n"], row.get("right_n")) for row in found]
        assert sorted(map(repr, pairs)) == sorted(map(repr, rows_of(query)))


def test_join_takes_two_tables_that_have_the_column(engine: mr.Engine, datadir: Path) -> None:
    with pytest.raises(mr.UsageError, match="takes two inputs"):
        Join("carrier").dataset(["one.csv"], mr.read_csv)
    with pytest.raises(mr.InputError, match="did you mean 'carrier'"):
        joined(Join("carier"), engine, datadir / "airlines.csv", datadir / "flights.csv")

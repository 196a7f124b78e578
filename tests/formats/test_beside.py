"""Tables beside each other are the table that they were cut from, whatever the files, formats and sizes of splits."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.dataset import Dataset
from mapreduce.errors import InputError, UsageError
from mapreduce.formats import beside as beside_format
from mapreduce.formats.base import Block

FORMATS = ("csv", "tsv", "jsonl", "parquet", "arrow")


def write(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=7)
    elif path.suffix == ".arrow":
        pyarrow.feather.write_feather(table, path, chunksize=5)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        between = "\t" if path.suffix == ".tsv" else ","
        pyarrow.csv.write_csv(table, path, pyarrow.csv.WriteOptions(delimiter=between))


def blocks_of(dataset: Dataset, split_bytes: int | None = None, block_bytes: int = 100) -> list[Block]:
    planned = pickle.loads(pickle.dumps(dataset.plan(split_bytes)))
    return [block for split in planned.splits for block in planned.format.read_blocks(split, block_bytes)]


def fractions(slices: mr.Slices) -> list[list[Fraction]]:
    scales = [2**two * 5**five for two, five in zip(slices.twos, slices.fives, strict=True)]
    return [[Fraction(int(v), scale) for v, scale in zip(row, scales, strict=True)] for row in slices.integers()]


def everything(blocks: list[Block]) -> dict[str, Any]:
    """All forms of all rows. Floats are whole 64ths where text is exact as well: then all formats hold the same."""
    weights, exact_weights = [b.weights for b in blocks], [b.exact_weights() for b in blocks]
    return {
        "records": [record for block in blocks for record in block.records()],
        "arrow": [row for block in blocks for row in block.arrow.to_pylist()],
        "X": np.concatenate([block.X for block in blocks]).tolist(),
        "y": np.concatenate([block.y for block in blocks]).tolist(),
        "labels": np.concatenate([block.labels for block in blocks]).tolist(),
        "weights": [w.tolist() for each in weights if each is not None for w in each],
        "exact": [row for block in blocks for row in fractions(block.exact())],
        "exact_weights": [row for each in exact_weights if each is not None for row in fractions(each)],
        "rows": sum(map(len, blocks)),
    }


WORDS = np.array(["_a_", "_größe_", "_b c_", "_", "_x,y_", "_1_"])


def random_table(seed: int) -> pa.Table:
    """Up to 60 rows; x, w and y among columns of all kinds. No float is whole, for its first cells tell a type."""
    random = np.random.default_rng(seed)
    rows = int(random.integers(1, 40))
    columns: dict[str, Any] = {
        "x": (2 * random.integers(-(10**6), 10**6, rows) + 1) / 64,
        "w": (2 * random.integers(0, 10**6, rows) + 1) / 64,
        "y": random.integers(-(2**40), 2**40, rows),
    }
    for number in range(random.integers(0, 5)):
        kinds = [
            WORDS[random.integers(0, len(WORDS), rows)],
            random.integers(0, 9, rows),
            (2 * random.integers(0, 99, rows) + 1) / 4,
        ]
        columns[f"c{number}"] = kinds[random.integers(0, 3)]
    names = list(columns)
    random.shuffle(names)
    return pa.table({name: columns[name] for name in names})


def cut(table: pa.Table, columns: list[int], rows: list[int], suffixes: list[str], folder: Path) -> list[Dataset]:
    """The table's columns in several datasets, each of several files."""
    datasets = []
    ends = zip([0, *columns], [*columns, table.num_columns], suffixes, strict=True)
    for number, (start, end, suffix) in enumerate(ends):
        cuts = [0, *(row for row in rows if row % (number + 2)), table.num_rows]
        paths = [folder / f"{number}-{start}.{suffix}" for start in cuts[:-1]]
        for path, low, high in zip(paths, cuts, cuts[1:], strict=False):
            write(table.select(range(start, end)).slice(low, high - low), path)
        datasets.append(mr.read(*paths, format=suffix))
    return datasets


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.data())
def test_tables_beside_each_other_are_the_table(seed: int, data: st.DataObject) -> None:
    folder = Path(mkdtemp())
    table = random_table(seed)
    columns = sorted(data.draw(st.sets(st.integers(1, table.num_columns - 1), min_size=1, max_size=3)))
    rows = sorted(data.draw(st.sets(st.integers(1, table.num_rows), max_size=2)) - {table.num_rows})
    suffixes = data.draw(st.lists(st.sampled_from(FORMATS), min_size=len(columns) + 1, max_size=len(columns) + 1))
    parts = cut(table, columns, rows, suffixes, folder)
    write(table, folder / "all.parquet")
    roles: dict[str, Any] = {"target": "y", "weights": "w"}
    if data.draw(st.booleans()):
        roles = {"target": "y", "features": data.draw(st.permutations(["x", "w"]))}
    split_bytes = data.draw(st.sampled_from([1, 10, 100, 1000, None]))
    block_bytes = data.draw(st.sampled_from([1, 50, 1 << 20]))
    joined, whole = mr.beside(*parts, **roles), mr.read_parquet(folder / "all.parquet", **roles)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside_format, "MIN_PIECE_BYTES", data.draw(st.sampled_from([1, 1 << 16])))
        found = everything(blocks_of(joined, split_bytes, block_bytes))
    wanted = everything(blocks_of(whole))
    if "features" in roles:  # then records need hold no more than columns with a role
        for form in ("records", "arrow"):
            found[form] = [{name: row[name] for name in ("x", "w", "y")} for row in found[form]]
            wanted[form] = [{name: row[name] for name in ("x", "w", "y")} for row in wanted[form]]
    assert found == wanted
    assert joined.feature_names() == whole.feature_names()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("id,x\n1,0.5\n2,1.5\n3,2.5\n")
    Path("b.csv").write_text("z,y\n7,1\n8,2\n9,3\n")
    Path("short.csv").write_text("z,y\n7,1\n8,2\n")
    Path("same.csv").write_text("x,y\n7,1\n8,2\n9,3\n")
    Path("text.csv").write_text("z,s\n7,a\n8,b\n9,\n")
    np.save("c.npy", np.eye(3))
    return tmp_path


def test_what_cannot_stand_beside_is_refused(here: Path) -> None:
    a, b = mr.read_csv("a.csv"), mr.read_csv("b.csv")
    with pytest.raises(InputError, match=r"a.csv has 3 rows, short.csv has 2; .*the same rows in the same order: mend"):
        mr.beside(a, mr.read_csv("short.csv")).plan()
    with pytest.raises(InputError, match=r"column 'x' is in a.csv and in same.csv; rename it in one, or leave it out"):
        mr.beside(a, mr.read_csv("same.csv")).plan()
    assert mr.beside(a, mr.read_csv("same.csv", columns=["y"])).feature_names() == ("id", "x", "y")
    with pytest.raises(UsageError, match=r"c.npy: npy has no columns with names; tables beside each other are csv"):
        mr.beside(a, mr.read_npy("c.npy")).plan()
    with pytest.raises(UsageError, match="beside takes two datasets or more"):
        mr.beside(a)
    with pytest.raises(UsageError, match="no union, tagged or cached one"):
        mr.beside(a, mr.union(b, b))
    with pytest.raises(
        UsageError, match="no column 'q' to serve as target; did you mean|no column 'q' to serve as target"
    ):
        mr.beside(a, b, target="q").plan()
    with pytest.raises(UsageError, match="two targets are named, 'x' and 'y', each by a table; name one"):
        mr.beside(mr.read_csv("a.csv", target="x"), mr.read_csv("b.csv", target="y")).plan()
    with pytest.raises(UsageError, match="no members of a union"):
        mr.union(mr.beside(a, b), a)
    with pytest.raises(UsageError, match="features is the string 'x'"):
        mr.beside(a, b, features="x")


def test_roles_may_be_named_by_the_tables(here: Path) -> None:
    joined = mr.beside(mr.read_csv("a.csv", features=["x"], weights="id"), mr.read_csv("b.csv", target="y"))
    assert joined.feature_names() == ("x", "z")
    assert (joined.target_name(), joined.weights_name()) == ("y", "id")
    (block,) = blocks_of(joined, 1000, 1 << 20)
    assert block.X.tolist() == [[0.5, 7], [1.5, 8], [2.5, 9]]
    assert block.y.tolist() == [1, 2, 3]
    assert block.place(1) == "a.csv, line 3"
    assert joined.resolved().resolved().feature_names() == ("x", "z")


def test_labels_and_categories_beside_each_other(here: Path) -> None:
    joined = mr.beside(mr.read_csv("a.csv"), mr.read_csv("text.csv"), target="s", features=["z", "x"])
    with pytest.raises(UsageError, match="target 's' is of type string, not numeric"):
        joined.plan()
    (block,) = blocks_of(joined.with_labels(), 1000, 1 << 20)
    assert block.select([0, 1]).X.tolist() == [[7, 0.5], [8, 1.5]]
    with pytest.raises(InputError, match=r"text.csv, line 4: the target 's' has no value there"):
        _ = block.labels
    joined = mr.beside(mr.read_csv("a.csv"), mr.read_csv("text.csv"), target="x").with_categories()
    assert joined.feature_names() == ("id", "z", "s")
    (block,) = blocks_of(joined, 1000, 1 << 20)
    assert [values.tolist() for values in block.categories(["id"])] == [[1, 2, 3]]


def test_a_number_that_is_none_is_named_in_its_own_file(here: Path) -> None:
    rows = [f"{n},{n}\n" for n in range(200_000)]
    Path("long.csv").write_text("z,y\n" + "".join(rows) + "x,1\n")
    Path("other.csv").write_text("x\n" + "1\n" * 200_001)
    joined = mr.beside(mr.read_csv("other.csv"), mr.read_csv("long.csv"), target="y")
    with pytest.raises(InputError, match=r"long.csv, line 200002, column 'z': 'x' is not a number"):
        blocks = blocks_of(joined, 1 << 16, 1 << 16)
        assert len(blocks) > 10
        assert [block.X for block in blocks]


def test_rows_with_quotes_and_newlines_are_counted(here: Path) -> None:
    rows = [f'"a ""{n}""\nb",{n}\n' if n % 3 else f"{n},{n}\n" for n in range(3000)]
    Path("quoted.csv").write_text("s,y\n" + "".join(rows))
    Path("plain.csv").write_text("x\n" + "".join(f"{n}\n" for n in range(3000)))
    joined = mr.beside(
        mr.read_csv("plain.csv"), mr.read_csv("quoted.csv", types={"s": "int"}), features=["x"], target="y"
    )
    blocks = blocks_of(joined, 2000, 700)
    assert np.concatenate([block.X[:, 0] for block in blocks]).tolist() == list(range(3000))
    assert np.concatenate([block.y for block in blocks]).tolist() == list(range(3000))


def test_a_file_that_shrank_is_noticed(here: Path) -> None:
    planned = mr.beside(mr.read_csv("a.csv"), mr.read_csv("b.csv"), target="y").plan()
    Path("b.csv").write_text("z,y\n7,1\n")
    with pytest.raises(InputError, match=r"b.csv: has fewer rows than when they were counted|b.csv has become shorter"):
        list(planned.format.read_blocks(planned.splits[0], 1 << 20))


@pytest.mark.parametrize("suffixes", [("csv", "jsonl"), ("parquet", "csv"), ("arrow", "tsv"), ("jsonl", "parquet")])
def test_tables_joined_by_key_are_the_table_in_the_order_of_the_first(
    suffixes: tuple[str, str], tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    table = random_table(11)
    keys = [f"key {n}" for n in range(table.num_rows)] if "jsonl" in suffixes else list(range(table.num_rows))
    first = table.select([0, 1]).append_column("id", pa.array(keys))
    second = table.select(range(2, table.num_columns)).append_column("id", pa.array(keys))
    write(first, tmp_path / f"a.{suffixes[0]}")
    write(second.take(random.permutation(table.num_rows)), tmp_path / f"b.{suffixes[1]}")
    write(table, tmp_path / "all.parquet")
    roles: dict[str, Any] = {"target": "y", "weights": "w"}
    joined = mr.beside(mr.read(tmp_path / f"a.{suffixes[0]}"), mr.read(tmp_path / f"b.{suffixes[1]}"), on="id", **roles)
    whole = mr.read_parquet(tmp_path / "all.parquet", **roles)
    with mr.Engine("inline") as engine:
        found = engine.run(Everything(), joined, split_size=200).value
        wanted = engine.run(Everything(), whole).value
        assert joined.feature_names() == whole.feature_names()
        assert engine.run(Rows(), engine.cache(joined)).value == table.num_rows
    assert [record.pop("id") for record in found["records"]] == keys
    for row in found["arrow"]:
        row.pop("id")
    assert found == wanted


class Rows(mr.Fold):
    def map(self, block: Any) -> int:
        return len(block)

    def reduce(self, a: int, b: int) -> int:
        return a + b


class Everything(mr.Fold):
    def map(self, block: Any) -> dict[str, Any]:
        return everything([block])

    def reduce(self, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
        return {name: a[name] + b[name] for name in a}


def test_keys_that_join_nothing_are_named(here: Path) -> None:
    Path("twice.csv").write_text("id,y\n1,1\n2,2\n2,3\n3,4\n")
    Path("less.csv").write_text("id,y\n3,1\n1,2\n")
    Path("null.csv").write_text("id,y\n1,1\n,2\n3,4\n")
    Path("words.csv").write_text("id,y\na,1\nb,2\nc,4\n")
    Path("bad.csv").write_text("id,y\n3,1\n2,x\n1,2\n")
    a = mr.read_csv("a.csv", columns=["id", "x"])

    def run(path: str, **options: Any) -> Any:
        joined = mr.beside(a, mr.read_csv(path, **options), on="id", target="y")
        return mr.run(Everything(), joined, engine="inline")

    with pytest.raises(
        InputError, match=r"twice.csv, line 4: id 2 was in twice.csv, line 3 already; tables are joined"
    ):
        run("twice.csv")
    with pytest.raises(InputError, match=r"a.csv, line 3: id 2 is in no row of less.csv; each table must have all"):
        run("less.csv")
    with pytest.raises(InputError, match=r"null.csv, line 3.*'id'.* has no value there"):
        run("null.csv")
    with pytest.raises(InputError, match=r"bad.csv, line 3, column 'y': 'x' is not an integer"):
        run("bad.csv", types={"y": "int"})
    with pytest.raises(
        UsageError, match=r"'id' holds numbers in one table and text in another: a.csv \(int64\), words"
    ):
        run("words.csv")
    with pytest.raises(UsageError, match="b.csv: no column 'id' to join by"):
        run("b.csv")
    with pytest.raises(UsageError, match="brought together by a job that an engine runs ahead"):
        mr.beside(a, mr.read_csv("less.csv"), on="id").plan()


def test_large_tables_are_counted_by_a_job(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mapreduce.engines import join_tables

    monkeypatch.setattr(join_tables, "COUNTED_HERE_BYTES", 0)
    monkeypatch.setattr(beside_format, "MIN_PIECE_BYTES", 1)
    joined = mr.beside(mr.read_csv("a.csv"), mr.read_csv("b.csv"), target="y")
    with mr.Engine("inline") as engine:
        assert engine.run(Rows(), joined, split_size=10).value == 3
        assert len(engine._made_ready) == 1
        assert engine.run(Rows(), joined, split_size=10).value == 3
        assert len(engine._made_ready) == 1
    with pytest.raises(InputError, match="a.csv has 3 rows, short.csv has 2"):
        mr.run(Rows(), mr.beside(mr.read_csv("a.csv"), mr.read_csv("short.csv")), engine="inline")

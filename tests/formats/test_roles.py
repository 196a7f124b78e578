"""Labels, categories and weights: the same from every format, of one type for all blocks, with complaints that help."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import mapreduce as mr
from mapreduce.dataset import Dataset
from mapreduce.errors import InputError, UsageError
from mapreduce.formats.base import Block

TABLE = pa.table(
    {
        "x": [0.1, 0.2, 0.3, 0.4, 0.5],
        "n": [1, 2, 3, 4, 5],
        "w": [0.5, 0.0, 2.25, 1.0, 0.1],
        "species": ["setosa", "versicolor", "setosa", "größe", "virginica"],
        "grade": [3, 1, 2, 3, 9007199254740993],
        "ok": [True, False, True, True, False],
    }
)


def write_json(table: pa.Table, path: str) -> None:
    import json

    Path(path).write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


WRITERS: dict[str, Callable[[pa.Table, str], None]] = {
    "csv": pyarrow.csv.write_csv,
    "jsonl": write_json,
    "parquet": lambda table, path: pq.write_table(table, path, row_group_size=2),
    "arrow": pyarrow.feather.write_feather,
}
READERS: dict[str, Callable[..., Dataset]] = {
    "csv": mr.read_csv, "jsonl": mr.read_jsonl, "parquet": mr.read_parquet, "arrow": mr.read_arrow
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, write in WRITERS.items():
        write(TABLE, f"t.{name}")
    return tmp_path


def blocks_of(dataset: Dataset, split_bytes: int | None = 30) -> list[Block]:
    planned = pickle.loads(pickle.dumps(dataset.plan(split_bytes)))
    return [block for split in planned.splits for block in planned.format.read_blocks(split, 30)]


def fractions(slices: mr.Slices) -> list[list[Fraction]]:
    scales = [2**two * 5**five for two, five in zip(slices.twos, slices.fives, strict=True)]
    return [[Fraction(int(v), scale) for v, scale in zip(row, scales, strict=True)] for row in slices.integers()]


def joined(dataset: Dataset, what: Callable[[Block], Any]) -> Any:
    return np.concatenate([what(block) for block in blocks_of(dataset)])


@pytest.mark.parametrize("name", READERS)
def test_labels_are_the_values_as_they_are(name: str) -> None:
    for target, kind in (("species", object), ("grade", np.int64), ("x", np.float64), ("ok", np.bool_)):
        dataset = READERS[name](f"t.{name}", target=target).with_labels()
        if name == "csv" and target == "ok":  # true and false are words there
            assert joined(dataset, lambda block: block.labels).tolist() == ["true", "false", "true", "true", "false"]
            continue
        labels = joined(dataset, lambda block: block.labels)
        assert labels.dtype == kind
        assert labels.tolist() == TABLE[target].to_pylist()
        assert all(not block.labels.flags.writeable for block in blocks_of(dataset))


@pytest.mark.parametrize("name", READERS)
def test_a_text_target_leaves_the_other_forms_alone(name: str) -> None:
    plain = READERS[name](f"t.{name}", target="x", features=["n", "w"])
    labelled = READERS[name](f"t.{name}", target="species", features=["n", "w"]).with_labels()
    assert np.array_equal(joined(labelled, lambda block: block.X), joined(plain, lambda block: block.X))
    assert labelled.feature_names() == ("n", "w")
    assert labelled.target_name() == "species"
    assert READERS[name](f"t.{name}", target="species").with_labels().feature_names() == (
        ("x", "n", "w", "grade") if name == "csv" else ("x", "n", "w", "grade", "ok")
    )
    block = blocks_of(labelled)[0]
    assert block.exact(target=False).columns == 2
    assert block.select([0]).labels.tolist() == ["setosa"]
    for form in (lambda: block.y, block.exact):
        with pytest.raises((UsageError, InputError), match=r"'species' is of type string, not numeric"):
            form()
    numeric = READERS[name](f"t.{name}", target="x", features=["n", "w"]).with_labels()
    assert np.array_equal(joined(numeric, lambda block: block.y), joined(plain, lambda block: block.y))
    assert [fractions(b.exact()) for b in blocks_of(numeric)] == [fractions(b.exact()) for b in blocks_of(plain)]


@pytest.mark.parametrize("name", READERS)
def test_without_labels_text_is_refused_as_before(name: str) -> None:
    with pytest.raises(UsageError, match="target 'species' is of type string, not numeric"):
        READERS[name](f"t.{name}", target="species").plan()
    with pytest.raises(UsageError, match="feature 'species' is of type string, not numeric"):
        READERS[name](f"t.{name}", target="x", features=["species"]).with_labels().plan()


@pytest.mark.parametrize("name", READERS)
def test_categories_may_be_text(name: str) -> None:
    dataset = READERS[name](f"t.{name}", target="ok", weights="w", features=["species", "grade"])
    dataset = dataset.with_labels().with_categories()
    columns = [np.concatenate(parts) for parts in zip(*(b.categories() for b in blocks_of(dataset)), strict=True)]
    assert [column.tolist() for column in columns] == [TABLE["species"].to_pylist(), TABLE["grade"].to_pylist()]
    assert [column.dtype.kind for column in columns] == ["O", "i"]
    assert joined(dataset, lambda block: block.weights).tolist() == TABLE["w"].to_pylist()
    block = blocks_of(dataset)[0]
    assert block.categories(["species"])[0].tolist() == ["setosa"]
    with pytest.raises(UsageError, match="feature 'species' is of type string, not numeric"):
        block.X
    every = READERS[name](f"t.{name}", target="ok", weights="w").with_labels().with_categories()
    assert every.feature_names() == ("x", "n", "species", "grade")
    numbers = READERS[name](f"t.{name}", target="x", features=["n", "w"]).with_categories()
    assert joined(numbers, lambda block: block.X).tolist() == [
        list(row.values()) for row in TABLE.select(["n", "w"]).to_pylist()
    ]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("target", [None, "n"])
def test_weights_are_no_features(name: str, target: str | None) -> None:
    dataset = READERS[name](f"t.{name}", target=target, weights="w", columns=["x", "n", "w"])
    assert dataset.weights_name() == "w"
    assert dataset.feature_names() == (("x", "n") if target is None else ("x",))
    assert joined(dataset, lambda block: block.weights).tolist() == TABLE["w"].to_pylist()
    plain = READERS[name](f"t.{name}", target=target, features=dataset.feature_names())
    assert plain.weights_name() is None
    for weighted, other in zip(blocks_of(dataset), blocks_of(plain), strict=True):
        has_target = target is not None
        assert np.array_equal(weighted.X, other.X)
        assert fractions(weighted.exact(target=has_target)) == fractions(other.exact(target=has_target))
        exact = weighted.exact_weights()
        assert exact is not None
        assert exact.columns == 1
        assert len(exact) == len(weighted)
        assert weighted.weights is not None
        assert [[float(value)] for (value,) in fractions(exact)] == [[weight] for weight in weighted.weights.tolist()]
        assert other.weights is None
        assert other.exact_weights() is None


def test_weights_of_text_are_decimals() -> None:
    (block,) = blocks_of(mr.read_csv("t.csv", target="x", weights="w"), None)[-1:]
    exact = block.exact_weights()
    assert exact is not None
    assert fractions(exact)[-1] == [Fraction(1, 10)]
    block.exact()
    again = block.exact_weights()  # from what was parsed beside X and y
    assert again is not None
    assert fractions(again)[-1] == [Fraction(1, 10)]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("bad", [-0.5, float("nan"), float("inf"), None])
def test_bad_weights_are_named(name: str, bad: float | None) -> None:
    if name == "jsonl" and bad is not None and not np.isfinite(bad):
        return  # there are no such numbers in JSON
    WRITERS[name](pa.table({"x": [1.0, 2.0], "y": [1.0, 2.0], "w": pa.array([1.0, bad], pa.float64())}), f"bad.{name}")
    words = "has no value there" if bad is None else f"the weight 'w' is {bad}"
    place = "line 3" if name == "csv" else "line 2" if name == "jsonl" else "row 1"
    for form in (lambda block: block.weights, lambda block: block.exact_weights()):
        with pytest.raises(InputError, match=rf"bad.{name}(, batch 0)?, {place}.*({words}|'w' holds {bad})"):
            joined(READERS[name](f"bad.{name}", target="y", weights="w"), form)


@pytest.mark.parametrize("name", READERS)
def test_missing_labels_are_named(name: str) -> None:
    table = pa.table({"x": [1.0, 2.0], "y": ["a", None], "z": pa.array([1.0, float("nan")])})
    if name == "csv":
        Path("bad.csv").write_text("x,y,z\n1,a,1\n2,,nan\n")
    else:
        WRITERS[name](table, f"bad.{name}")
    place = "line 3" if name == "csv" else "line 2" if name == "jsonl" else "row 1"
    with pytest.raises(InputError, match=rf"bad.{name}.*, {place}.*: the target 'y' has no value there; fill or drop"):
        joined(READERS[name](f"bad.{name}", target="y").with_labels(), lambda block: block.labels)
    if name != "jsonl":
        with pytest.raises(
            InputError, match=rf"bad.{name}.*, {place}.*: the target 'z' holds nan, which names no class"
        ):
            joined(READERS[name](f"bad.{name}", target="z").with_labels(), lambda block: block.labels)


def test_the_type_of_labels_is_that_of_the_column_in_every_block(tmp_path: Path) -> None:
    Path("f.csv").write_text("x,y\n" + "1,1\n" * 20 + "2,1.5\n" + "3,2\n" * 20)
    kinds = {block.labels.dtype for block in blocks_of(mr.read_csv("f.csv", target="y").with_labels())}
    assert kinds == {np.dtype(np.float64)}
    text = mr.read_csv("f.csv", target="y", types={"y": "string"}).with_labels()
    assert set(joined(text, lambda block: block.labels)) == {"1", "1.5", "2"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "ww"}, "no column 'ww' to serve as weights; did you mean 'w'"),
        ({"weights": "species"}, "weights 'species' is of type string, not numeric"),
        ({"weights": "w", "features": ["x", "w"]}, "'w' is both feature and weights"),
        ({"weights": "w", "target": "w"}, "'w' is both target and weights"),
    ],
)
def test_wrong_roles(options: dict[str, Any], words: str) -> None:
    for name, read in READERS.items():
        with pytest.raises(UsageError, match=words):
            read(f"t.{name}", **options).plan()


def test_types_that_name_no_classes() -> None:
    pq.write_table(pa.table({"x": [1.0], "y": pa.array([[1]])}), "list.parquet")
    with pytest.raises(UsageError, match="target 'y' is of type list<.*>, which names no classes"):
        mr.read_parquet("list.parquet", target="y").with_labels().plan()
    Path("list.jsonl").write_text('{"x": 1, "y": [1]}\n')
    with pytest.raises(UsageError, match="target 'y' is of type json, which names no classes"):
        mr.read_jsonl("list.jsonl", target="y").with_labels().plan()
    pq.write_table(pa.table({"x": [1.0], "y": pa.array([1 << 63], pa.uint64())}), "wide.parquet")
    with pytest.raises(InputError, match="'y' holds integers of more than 64 bits; write it as text"):
        joined(mr.read_parquet("wide.parquet", target="y").with_labels(), lambda block: block.labels)


def test_labels_of_dictionaries_are_their_values() -> None:
    column = TABLE["species"].dictionary_encode()
    pq.write_table(pa.table({"x": TABLE["x"], "y": column}), "coded.parquet")
    dataset = mr.read_parquet("coded.parquet", target="y").with_labels()
    assert joined(dataset, lambda block: block.labels).tolist() == TABLE["species"].to_pylist()


def test_labels_of_numpy_files() -> None:
    X = np.arange(12.0).reshape(4, 3)
    np.save("x.npy", X)
    assert joined(mr.read_npy("x.npy", target=-1).with_labels(), lambda b: b.labels).tolist() == [2, 5, 8, 11]
    weighted = mr.read_npy("x.npy", target=-1, weights=0)
    assert weighted.feature_names() == ("1",)
    assert joined(weighted, lambda b: b.weights).tolist() == [0, 3, 6, 9]
    for y in (["a", "bb", "a", "c"], np.array([b"a", b"b", b"c", b"d"]), [1, 2, 3, 1 << 60], [True, False, True, True]):
        np.savez("xy.npz", X=X, y=y, importance=[1, 0, 2, 5])
        dataset = mr.read_npy("xy.npz", weights="importance").with_labels()
        wanted = [each.decode() if isinstance(each, bytes) else each for each in np.asarray(y).tolist()]
        assert joined(dataset, lambda b: b.labels).tolist() == wanted
        assert joined(dataset, lambda b: b.weights).tolist() == [1, 0, 2, 5]
        assert joined(dataset, lambda b: b.X).tolist() == X.tolist()
    np.savez("bad.npz", X=X, w=[1, 2])
    with pytest.raises(InputError, match=r"X.npy has shape \(4, 3\) and w.npy \(2,\)"):
        mr.read_npy("bad.npz", weights="w").plan()
    people = np.array([("a", 1.5, 2), ("b", 2.5, 1)], [("name", "U3"), ("size", "f8"), ("w", "i4")])
    np.save("people.npy", people)
    dataset = mr.read_npy("people.npy", target="name", weights="w").with_labels()
    assert joined(dataset, lambda b: b.labels).tolist() == ["a", "b"]
    assert joined(dataset, lambda b: b.X).tolist() == [[1.5], [2.5]]
    both = mr.read_npy("people.npy", target="size", weights="w").with_categories()
    assert [values.tolist() for values in blocks_of(both)[0].categories()] == [["a"]]


def test_labels_of_arrays_in_memory() -> None:
    X = np.arange(12.0).reshape(4, 3)
    for y in (["a", "bb", "a", "c"], np.array(["x", "y", "x", "zz"], object), [1, 2, 3, 1 << 60], [0.5, 1, 2, 3]):
        dataset = mr.from_arrays(X, y, weights=[1, 0, 2.5, 5])
        assert joined(dataset, lambda b: b.labels).tolist() == np.asarray(y).tolist()
        assert joined(dataset.with_labels(), lambda b: b.labels).tolist() == np.asarray(y).tolist()
        assert joined(dataset, lambda b: b.weights).tolist() == [1, 0, 2.5, 5]
    assert mr.from_arrays(X, ["a", "b", "c", "d"]).files() != mr.from_arrays(X, ["a", "b", "c", "e"]).files()
    with pytest.raises(InputError, match="y takes one number a row"):
        joined(mr.from_arrays(X, ["a", "b", "c", "d"]), lambda b: b.y)
    with pytest.raises(InputError, match=r"y\[1\] is 1 among Python objects; give numbers, or text throughout"):
        mr.from_arrays(X, np.array(["a", 1, "b", "c"], object))
    with pytest.raises(InputError, match=r"row 1: the weight 'weights' is -1.0"):
        mr.from_arrays(X, weights=[1, -1, 2, 3])
    with pytest.raises(InputError, match=r"X has shape \(4, 3\) and weights \(2,\)"):
        mr.from_arrays(X, weights=[1, 2])


def test_labels_of_libsvm_are_its_numbers() -> None:
    Path("t.libsvm").write_text("+1 1:2\n-1 2:3\n1 1:1\n")
    assert joined(mr.read_libsvm("t.libsvm").with_labels(), lambda b: b.labels).tolist() == [1, -1, 1]
    Path("nan.libsvm").write_text("nan 1:2\n")
    with pytest.raises(InputError, match=r"nan.libsvm, line 1: the target 'label' holds nan, which names no class"):
        joined(mr.read_libsvm("nan.libsvm"), lambda b: b.labels)


def test_cached_and_joined_datasets_have_labels_and_weights() -> None:
    dataset = mr.read_csv("t.csv", target="species", weights="w", features=["x", "n"]).with_labels()
    with mr.Engine("inline") as engine:
        cached = engine.cache(dataset)
        for _ in range(2):
            assert engine.run(Labels(), cached).value == TABLE["species"].to_pylist()
            assert engine.run(Labels(), cached.with_labels()).value == TABLE["species"].to_pylist()
        assert cached.target_name() == "species"
        assert cached.weights_name() == "w"
        with pytest.raises(UsageError, match="say with_categories"):
            cached.with_categories()
    both = mr.union(mr.read_csv("t.csv", target="species"), mr.read_parquet("t.parquet", target="species").tagged("p"))
    assert joined(both.with_labels(), lambda b: b.labels).tolist() == TABLE["species"].to_pylist() * 2
    assert both.with_labels().target_name() == "species"
    resolved = both.with_labels().resolved()
    assert joined(resolved.with_labels(), lambda b: b.labels).tolist() == TABLE["species"].to_pylist() * 2


class Labels(mr.Fold):
    def map(self, block: Any) -> list[Any]:
        assert block.weights is not None
        assert len(block.weights) == len(block.exact_weights())
        return list(block.labels)

    def reduce(self, a: list[Any], b: list[Any]) -> list[Any]:
        return a + b

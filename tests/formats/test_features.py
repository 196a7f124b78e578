"""X and y of a batch: which columns, which numbers, which complaints."""

from __future__ import annotations

import decimal
import random

import numpy as np
import pyarrow as pa
import pytest

from mapreduce.errors import InputError, UsageError
from mapreduce.formats.columns import check_string_lists
from mapreduce.formats.csv import Csv
from mapreduce.formats.features import ArrowBlock, numeric_column, numeric_matrix
from mapreduce.formats.roles import Roles, choose_roles

COLUMNS = [("city", "string"), ("rooms", "int64"), ("area", "double"), ("price", "double"), ("new", "bool")]


def choose(features: list[str] | None, target: str | None) -> tuple[str, ...] | None:
    return choose_roles(COLUMNS, Roles(None if features is None else tuple(features), target)).features


def test_features_default_to_every_numeric_column_but_the_target() -> None:
    assert choose(None, "price") == ("rooms", "area", "new")
    assert choose(None, None) == ("rooms", "area", "price", "new")


def test_named_features_keep_the_order_of_their_naming() -> None:
    assert choose(["area", "rooms"], "price") == ("area", "rooms")


@pytest.mark.parametrize(
    ("features", "target", "words"),
    [
        (["romms"], None, "did you mean 'rooms'"),
        (None, "prise", "did you mean 'price'"),
        (["city"], None, "of type string, not numeric"),
        (None, "city", "target 'city' is of type string"),
        (["area", "area"], None, "named twice"),
        (["price"], "price", "both feature and target"),
    ],
)
def test_wrong_names_are_refused_with_the_remedy(features: list[str] | None, target: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        choose(features, target)


def test_a_string_is_no_list_of_features_and_none_is_no_feature() -> None:
    with pytest.raises(UsageError, match="give a list"):
        check_string_lists(features="area")
    with pytest.raises(UsageError, match="features is empty"):
        _ = Csv(features=[]).asked


def test_a_file_without_numbers_or_with_twin_names_is_refused() -> None:
    with pytest.raises(InputError, match=r"no numeric column besides the target 'b'.*a \(string\)"):
        choose_roles([("a", "string"), ("b", "double")], Roles(None, "b"))
    with pytest.raises(InputError, match="2 columns are named 'a'"):
        choose_roles([("a", "double"), ("a", "double")], Roles(("a",)))


def test_matrix_takes_every_numeric_type_in_c_order() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "double": pa.array([0.1, 0.2]),
            "float": pa.array([1.5, 2.5], pa.float32()),
            "half": pa.array(np.array([1, 2], np.float16)),
            "int": pa.array([-1, 2**60], pa.int64()),
            "uint": pa.array([0, 255], pa.uint8()),
            "bool": pa.array([True, False]),
            "decimal": pa.array([decimal.Decimal("1.25"), decimal.Decimal("-3.50")]),
        }
    )
    X = numeric_matrix(batch, batch.schema.names)
    assert X.tolist() == [[0.1, 1.5, 1, -1, 0, 1, 1.25], [0.2, 2.5, 2, 2**60, 255, 0, -3.5]]
    assert X.dtype == np.float64
    assert X.flags.c_contiguous
    assert not X.flags.writeable


def test_matrix_of_a_slice_and_of_no_rows() -> None:
    batch = pa.RecordBatch.from_pydict({"a": [0.0, 1.0, 2.0], "b": [True, False, True]})
    assert numeric_matrix(batch.slice(1, 2), ["b", "a"]).tolist() == [[0, 1], [1, 2]]
    assert numeric_matrix(batch.slice(1, 1), ["a"]).flags.c_contiguous
    assert numeric_matrix(batch.slice(0, 0), ["a", "b"]).shape == (0, 2)
    assert numeric_column(batch.slice(1, 2), "a").tolist() == [1, 2]


def test_nan_passes_and_null_is_refused_with_its_place() -> None:
    batch = pa.RecordBatch.from_pydict({"a": pa.array([float("nan"), 1.0, None]), "b": [1, 2, 3], "c": ["x", "y", "z"]})
    assert np.isnan(numeric_matrix(batch.slice(0, 1), ["a"])[0, 0])
    block = ArrowBlock(batch, "points.parquet", 40, Roles(("a",), "a"))
    for form in ("X", "y"):
        with pytest.raises(InputError, match=r"points.parquet, row 42: column 'a' has no value"):
            getattr(block, form)
    with pytest.raises(InputError, match="of type string"):
        numeric_column(batch, "c")


def test_block_without_target_or_features_says_so() -> None:
    block = ArrowBlock(pa.RecordBatch.from_pydict({"name": ["a"]}), "names.parquet", 0, Roles())
    with pytest.raises(UsageError, match="no target column"):
        _ = block.y
    with pytest.raises(InputError, match="no numeric column"):
        _ = block.X
    with pytest.raises(InputError, match="did you mean 'name'"):
        block["nam"]


@pytest.mark.parametrize(("digits", "scale"), [(15, 1), (15, 6), (16, 22), (30, 3), (38, 16), (60, 25)])
def test_decimals_become_the_nearest_floats(digits: int, scale: int) -> None:
    """Arrow's own cast makes 0.30000000000000004 of 0.3."""
    draw = random.Random(scale)
    whole = [0, 1, -1, 3, 1 << 53, -(1 << 53), (1 << 53) + 1, *(draw.randrange(-(10**15), 10**15) for _ in range(500))]
    whole += [10 ** (digits - 1) + draw.randrange(10 ** (digits - 1)) for _ in range(20 if digits > 15 else 0)]
    context = decimal.Context(prec=80)
    values = [context.scaleb(decimal.Decimal(number), -scale) for number in whole]
    kind = pa.decimal128(38, scale) if digits <= 38 else pa.decimal256(70, scale)
    batch = pa.RecordBatch.from_pydict({"x": pa.array(values, kind)}).slice(1)
    found = numeric_matrix(batch, ["x"])[:, 0].tolist()
    assert found == [float(value) for value in values[1:]]

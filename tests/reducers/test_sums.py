"""Are sums and means the correctly rounded ones, in both lanes and however values are cut up? Against fractions."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mapreduce as mr
from mapreduce.dataflow.batches import Batch, ColumnBatch
from mapreduce.dataflow.combine import PartialsBuffer
from mapreduce.dataflow.combine_columns import ColumnsBuffer, TotalsBuffer
from mapreduce.dataflow.merge_columns import merge_partials
from mapreduce.dataflow.partitioner import Partitioner
from mapreduce.dataflow.plain_pairs import PlainPairsBuffer
from mapreduce.dataflow.reduce_task import finished
from mapreduce.reducers.exact_sums import expansion_of, nearest

EDGES = [0.1, -0.1, 0.2, 1.0, 3.0, 1e16, -1e16, 1e300, -1e300, 1e-300, 5e-324, -5e-324, 2.0**53, 1.0 + 2.0**-52, -0.0]
HUGE = [1e308, -1e308, 1.7976931348623157e308, -1.7976931348623157e308, 2.0**1023, 2.0**970, -(2.0**969)]
FLOATS = st.one_of(
    st.sampled_from(EDGES),
    st.sampled_from(HUGE),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e3, 1e3).map(lambda value: round(value, 2)),
)
NUMBERS = st.one_of(FLOATS, st.integers(-(2**70), 2**70), st.integers(-9, 9), st.booleans(), st.none())
BUFFER = 2000
REDUCERS: list[mr.Monoid] = [mr.Sum(), mr.Mean()]
relaxed = settings(deadline=None, max_examples=40)


class Pairs(mr.Job):
    reduce = mr.Sum()

    def map(self, record: Any) -> Iterator[tuple[Any, Any]]:
        yield record


def rounded(value: Fraction) -> float:
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return inf if value > 0 else -inf


def truth(reducer: mr.Monoid, values: list[Any]) -> Any:
    numbers = [value for value in values if value is not None]
    if not numbers:
        return None
    total = sum(map(Fraction, numbers), Fraction())
    if isinstance(reducer, mr.Mean):
        return rounded(total / len(numbers))
    return rounded(total) if any(isinstance(value, float) for value in numbers) else int(total)


def same(found: Any, expected: Any) -> bool:
    """The same number of the same type; 0.0 is not -0.0."""
    return type(found) is type(expected) and repr(found) == repr(expected)


def pieces_of(data: st.DataObject, items: list[Any]) -> list[list[Any]]:
    ends = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=4)))
    return [items[start:end] for start, end in zip([0, *ends], [*ends, len(items)], strict=True)]


@relaxed
@given(st.data(), st.lists(NUMBERS, min_size=1, max_size=20))
def test_partials_of_rows(data: st.DataObject, values: list[Any]) -> None:
    for reducer in REDUCERS:
        partials: list[Any] = []
        for piece in pieces_of(data, data.draw(st.permutations(values))):
            found: dict[str, Any] = {}
            for part in pieces_of(data, piece):
                reducer.add_pairs(found, (("k", value) for value in part))
            partials += found.values()
        while len(partials) > 1:
            b = partials.pop(data.draw(st.integers(0, len(partials) - 1)))
            partials[0] = reducer.merge(partials[0], b)
        assert same(reducer.finish(partials[0]), truth(reducer, values))
        one = reducer.first(values[0])
        for value in values[1:]:
            one = reducer.add(one, value)
        assert repr(one) == repr(partials[0])  # the state itself has one form


@relaxed
@given(st.lists(FLOATS, max_size=12), st.randoms())
def test_an_expansion_is_the_sum(values: list[float], random: random.Random) -> None:
    parts = expansion_of(list(values))
    assert sum(map(Fraction, parts)) == sum(map(Fraction, values))
    assert same(nearest(parts), rounded(Fraction(sum(map(Fraction, values)))))
    random.shuffle(values)
    assert expansion_of(list(values)) == parts
    assert expansion_of([*parts, *(-part for part in reversed(parts))]) == (0.0,)


LANES = ("rows", "plain pairs", "columns", "totals")


def runs_of(lane: str, reducer: mr.Monoid, blocks: list[list[tuple[Any, Any]]], kind: Any) -> list[list[Batch]]:
    """The runs that a map task spills, its buffer as small as can be."""
    key_type = pa.int64() if any(type(key) is int for block in blocks for key, _ in block) else pa.string()
    partitioner = Partitioner(Pairs(), 1, None)
    runs: list[list[Batch]] = []
    make: dict[str, Callable[[], Any]] = {
        "rows": lambda: PartialsBuffer(reducer, partitioner, BUFFER, columns_pay=True),
        "columns": lambda: ColumnsBuffer(reducer, partitioner, BUFFER),
        "totals": lambda: TotalsBuffer(reducer, partitioner, BUFFER),
        "plain pairs": lambda: PlainPairsBuffer(reducer, partitioner, BUFFER),
    }
    buffer = make[lane]()

    def spill() -> None:
        runs.append([batch for _, batch in buffer.drain()])

    for block in blocks:
        keys, values = [key for key, _ in block], [value for _, value in block]
        if lane in ("rows", "plain pairs"):
            for _ in buffer.add_pairs(iter(block)):
                if buffer.full:
                    spill()
            continue
        batch = buffer.columns_for(pa.array(keys, key_type), pa.array(values, kind))
        assert batch is not None
        assert buffer.add(batch) == len(block)
        if buffer.full:
            spill()
    if not buffer.empty:
        spill()
    return runs


def result_of(runs: list[list[Batch]], reducer: mr.Monoid) -> dict[Any, Any]:
    found: list[tuple[Any, Any]] = []
    for batch in merge_partials([iter(run) for run in runs], reducer):
        if isinstance(batch, ColumnBatch):
            keys, values = finished(batch, reducer)
            found += zip(keys.to_pylist(), values.to_pylist(), strict=True)
        else:
            found += zip(batch.keys, map(reducer.finish, batch.values), strict=True)
    assert [key for key, _ in found] == sorted({key for key, _ in found})
    return dict(found)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("key_of", [str, int])
@relaxed
@given(data=st.data(), values=st.lists(FLOATS, max_size=30))
@example(data=None, values=[1e308, 1e308, -1e308])
@example(data=None, values=[1e300, 1.0, 1e-300, -1e300])
@example(data=None, values=[-0.0])
def test_both_lanes(lane: str, compiled: bool, key_of: type, data: st.DataObject | None, values: list[float]) -> None:
    pairs = [(key_of(number % 5), value) for number, value in enumerate(values)]
    expected: dict[Any, list[float]] = {}
    for key, value in pairs:
        expected.setdefault(key, []).append(value)
    blocks = [pairs] if data is None else pieces_of(data, data.draw(st.permutations(pairs)))
    tasks = [blocks] if data is None else pieces_of(data, blocks)
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setenv("MAPREDUCE_KERNELS", "off")
        for reducer in REDUCERS:
            runs = list(chain.from_iterable(runs_of(lane, reducer, task, pa.float64()) for task in tasks))
            if len(runs) > 2:  # some are merged before
                runs = [list(merge_partials([iter(run) for run in runs[:2]], reducer)), *runs[2:]]
            found = result_of(runs, reducer)
            assert found.keys() == expected.keys()
            for key in found:
                assert same(found[key], truth(reducer, expected[key]))


@pytest.mark.parametrize("lane", ["columns", "rows", "plain pairs"])
def test_missing_values_and_runs_of_other_types(lane: str) -> None:
    first = [("a", None), ("b", 0.1), ("b", None), ("c", 1e300), ("c", 1.0)]
    second = [("b", 1), ("c", 2), ("d", 2**62), ("d", None)]
    for reducer in REDUCERS:
        runs = runs_of(lane, reducer, [first], pa.float64()) + runs_of(lane, reducer, [second], pa.int64())
        values = {key: [value for k, value in first + second if k == key] for key in "abcd"}
        assert {key: repr(value) for key, value in result_of(runs, reducer).items()} == {
            key: repr(truth(reducer, values[key])) for key in "abcd"
        }


@pytest.mark.parametrize("lane", LANES)
def test_infinity_and_nan_in_any_order(lane: str) -> None:
    values = {
        "a": [inf, 1.0, 1e308, 1e308],
        "b": [inf, -inf, 1.0],
        "c": [nan, inf, 2.0],
        "d": [-inf, 1e300],
        "e": [nan],
    }
    expected = {"a": inf, "b": nan, "c": nan, "d": -inf, "e": nan}
    pairs = [(key, value) for key, some in values.items() for value in some]
    draw = random.Random(2)
    for reducer in REDUCERS:
        for _ in range(10):
            draw.shuffle(pairs)
            cut = draw.randrange(len(pairs))
            runs = runs_of(lane, reducer, [pairs[:cut]], pa.float64()) + runs_of(
                lane, reducer, [pairs[cut:]], pa.float64()
            )
            assert repr(result_of(runs, reducer)) == repr(expected)


@pytest.mark.parametrize("compiled", [True, False])
def test_many_rows_against_fsum(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as floats go: every group needs more than two of them."""
    if not compiled:
        monkeypatch.setenv("MAPREDUCE_KERNELS", "off")
    rng = np.random.default_rng(5)
    numbers = rng.integers(0, 300, 30_000)
    values = rng.normal(size=30_000) * 10.0 ** rng.integers(-200, 200, 30_000)
    values[::3] = np.round(values[::3] % 100, 2)
    for keys in (numbers.astype(str), numbers):
        blocks = [
            list(zip(k.tolist(), v.tolist(), strict=True))
            for k, v in zip(np.split(keys, 10), np.split(values, 10), strict=True)
        ]
        for lane in LANES:
            found = result_of(runs_of(lane, mr.Sum(), blocks, pa.float64()), mr.Sum())
            assert found == {key: math.fsum(values[keys == key]) for key in set(keys.tolist())}


def test_blocks_without_rows() -> None:
    for reducer in REDUCERS:
        buffer = ColumnsBuffer(reducer, Partitioner(Pairs(), 1, None), BUFFER)
        for _ in range(2):
            batch = buffer.columns_for(pa.array([], pa.int64()), pa.array([], pa.float64()))
            assert batch is not None and buffer.add(batch) == 0
        assert list(buffer.drain()) == []


def test_means_near_ties_are_rounded_right() -> None:
    """Quotients that lie half way between floats, or as near to it as can be."""
    rng = random.Random(3)
    values = {}
    for number in range(3000):
        count = rng.choice([1, 2, 3, 4, 7, 8, 10, 16, 49])
        half = (2 * rng.randrange(2**52, 2**53) + 1) * 2.0 ** rng.choice([-1070, -60, 0, 300])
        near = [half * rng.choice([0.5, 1.0]), rng.choice([0.0, half * 2.0**-110, -half * 2.0**-60])]
        values[f"{number:04}"] = (near * count)[: rng.randrange(1, count + 1)]
    pairs = [(key, value) for key, some in values.items() for value in some]
    found = result_of(runs_of("totals", mr.Mean(), [pairs], pa.float64()), mr.Mean())
    assert found == {key: truth(mr.Mean(), some) for key, some in values.items()}


def total(values: list[Any], reducer: mr.Monoid = REDUCERS[0]) -> Any:
    partials: dict[int, Any] = {}
    reducer.add_pairs(partials, ((0, value) for value in values))
    return reducer.finish(partials[0])


def test_other_types_are_added_as_they_add() -> None:
    assert total([Decimal("0.1"), Decimal("0.2")]) == Decimal("0.3")
    assert total([Fraction(1, 3), Fraction(2, 3), 1]) == 2
    assert total([1, Fraction(1, 3), None]) == Fraction(4, 3)
    assert total(["a", "b", None, "c"]) == "abc"
    assert total([(1,), (2, 3)]) == (1, 2, 3)
    assert total([(1.5,), (2.5,)]) == (1.5, 2.5)
    assert total([[1], [2]]) == [1, 2]
    assert total([1 + 2j, 3]) == 4 + 2j
    assert total([np.array([1.0, 2.0]), np.array([3.0, 4.0])]).tolist() == [4.0, 6.0]
    assert total([Decimal(1), Decimal(2)], mr.Mean()) == Decimal("1.5")
    with pytest.raises(TypeError, match="can only concatenate"):
        total(["a", 1.5])
    with pytest.raises(TypeError):
        total([1, "a"])


def test_a_value_is_not_changed_in_place() -> None:
    first = [1]
    total([first, [2], [3]])
    assert first == [1]


def test_numbers_of_numpy_count_as_python_s() -> None:
    several: list[list[Any]] = [[np.int64(2**62)] * 4, [np.uint64(2**64 - 1), np.int8(1)], [np.bool_(True), True]]
    for values in several:
        assert same(total(list(values)), sum(int(value) for value in values))
    assert same(
        total([np.float32(0.1), np.float16(0.1), 1]),
        truth(mr.Sum(), [float(np.float32(0.1)), float(np.float16(0.1)), 1]),
    )
    assert same(total([np.float64(0.1)] * 10, mr.Mean()), 0.1)


def test_integers_of_any_size_next_to_floats() -> None:
    assert same(total([2**53 + 1, 0.5]), float(2**53 + 2))
    assert same(total([10**400, 1.5]), inf)
    assert same(total([10**400, 1.5, -(10**400)]), 1.5)
    assert same(total([10**400, 1.5, -(10**400), 0.5], mr.Mean()), 0.5)
    assert total([2**1023, 2.0**1023, -(2**1023)]) == 2.0**1023


class ByRow(mr.Job):
    reduce: Any = mr.Sum()

    def map(self, row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        yield row["key"], row["value"]


class ByColumn(mr.Job):
    reduce: Any = mr.Sum()

    def map_block(self, block: Any) -> tuple[Any, Any]:
        return block["key"], block["value"]


@pytest.mark.parametrize("reducer", REDUCERS, ids=repr)
def test_files_however_cut(reducer: mr.Monoid, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    keys = rng.integers(0, 20, 2000)
    values = np.round(rng.normal(size=2000), 3) * 10.0 ** rng.integers(-20, 20, 2000)
    values[::500] = 1e300 * (-1.0) ** np.arange(4)
    expected = {f"k{key}": truth(reducer, values[keys == key].tolist()) for key in range(20)}
    found = []
    for name in ("a", "b"):
        order = rng.permutation(2000)
        rows = "".join(f"k{keys[i]},{float(values[i])!r}\n" for i in order.tolist())
        (tmp_path / f"{name}.csv").write_text("key,value\n" + rows)
        for workers, split_size in ((0, 1 << 20), (1, 20_000), (2, 7_000), (3, 31_000))[: 4 if name == "a" else 1]:
            for job in (ByRow(), ByColumn()):
                job.reduce = reducer
                data = mr.read_csv(tmp_path / f"{name}.csv", types={"value": "float"})
                options: dict[str, Any] = {"engine": "inline"} if not workers else {"workers": workers}
                result = mr.run(job, data, split_size=split_size, reducers=2, **options)
                found.append(dict(result.records()))
    assert all(result == expected for result in found)


def test_the_laws_hold_over_floats(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = "".join(f"k{i % 3},{value!r}\n" for i, value in enumerate((rng.normal(size=300) ** 9).tolist()))
    (tmp_path / "data.csv").write_text("key,value\n" + rows)
    for reducer in REDUCERS:
        job = ByRow()
        job.reduce = reducer
        verdicts = mr.check_job_laws(job, mr.read_csv(tmp_path / "data.csv"))
        assert [verdict.law for verdict in verdicts if not verdict.holds] == []

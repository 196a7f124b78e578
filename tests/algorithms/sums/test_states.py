"""Are exact sums exact, whatever the numbers, and do they keep every law?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mapreduce as mr
from algorithms.sums import ClassSums, Counts, ExactGram, ExactSum, PowerSums, state_from_bytes

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DECIMALS = st.decimals(-(10**12), 10**12, places=5)
INTEGERS = st.integers(-(2**80), 2**80)
ROWS = st.one_of(*(st.lists(st.tuples(kind, kind), min_size=1, max_size=6) for kind in (FLOATS, DECIMALS, INTEGERS)))


STATES: list[Any] = [ExactSum, PowerSums, ExactGram]


def table(rows: Sequence[Sequence[Any]]) -> Any:
    """Rows as an array: of float64 where they are floats, else of Python's numbers."""
    is_float = all(isinstance(value, float) for row in rows for value in row)
    return np.array(rows, float if is_float else object).reshape(len(rows), 2)


def exact(rows: Sequence[Sequence[Any]]) -> list[list[Fraction]]:
    return [[Fraction(value) for value in row] for row in rows]


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_sums_and_products_are_those_of_fractions(rows: list[tuple[Any, Any]]) -> None:
    truth = exact(rows)
    assert ExactSum.of(table(rows)).sums() == [sum(row[j] for row in truth) for j in range(2)]
    gram = ExactGram.of(table(rows)).matrix()
    Z = [[Fraction(1), *row] for row in truth]
    assert gram == [[sum(z[i] * z[j] for z in Z) for j in range(3)] for i in range(3)]


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_powers_and_ends_are_those_of_fractions(rows: list[tuple[Any, Any]]) -> None:
    truth = exact(rows)
    found = PowerSums.of(table(rows))
    assert found.sums() == [[sum(row[j] ** k for row in truth) for k in (1, 2, 3, 4)] for j in range(2)]
    assert found.ends == tuple((min(row[j] for row in truth), max(row[j] for row in truth)) for j in range(2))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=2, max_size=6), st.integers(0, 1000))
def test_digests_do_not_tell_how_sums_were_made(rows: list[tuple[float, float]], seed: int) -> None:
    a, b = table(rows[:1]), table(rows[1:])
    shuffled = table([rows[at] for at in np.random.default_rng(seed).permutation(len(rows))])
    for state in STATES:
        whole: Any = state.of(table(rows))
        assert (state.of(b) + state.of(a)).digest() == whole.digest() == state.of(shuffled).digest()
        assert (whole - state.of(b)).digest() == state.of(a).digest()
        assert state.from_bytes(whole.to_bytes()) == whole == state_from_bytes(whole.to_bytes())


def classes(rows: Any) -> ClassSums:
    return ClassSums.of(rows, [str(value)[:1] for value in rows[:, 0]], PowerSums.of)


@pytest.mark.parametrize(
    ("of", "zero"),
    [
        (ExactSum.of, lambda: ExactSum.zero(2)),
        (PowerSums.of, lambda: PowerSums.zero(2)),
        (ExactGram.of, lambda: ExactGram.zero(2)),
        (lambda rows: ExactGram.of(rows, weights=np.abs(rows[:, 1])), lambda: ExactGram.zero(2)),
        (classes, ClassSums.zero),
        (lambda rows: Counts.of(rows[:, 0]), Counts.zero),
    ],
    ids=["sum", "powers", "gram", "weighted", "classes", "counts"],
)
def test_every_law_holds(of: Callable[[Any], Any], zero: Callable[[], Any]) -> None:
    rng = np.random.default_rng(5)
    rows = np.round(rng.normal(0, 1, (60, 2)), 1) * 10.0 ** rng.integers(-9, 9, (60, 1))
    found = mr.check_laws(
        lambda part: of(np.array(part)), lambda a, b: a + b, list(rows), zero=zero, subtract=lambda a, b: a - b
    )
    assert [verdict.law for verdict in found] == ["split", "associative", "commutative", "permute", "zero", "subtract"]
    assert all(verdict.holds for verdict in found), found


def test_floats_break_the_laws_and_are_shown_with_few_rows() -> None:
    rows = list(np.random.default_rng(6).normal(0, 1, 200))
    found = {verdict.law: verdict for verdict in mr.check_laws(sum, lambda a, b: a + b, rows)}
    assert not found["associative"].holds
    assert len(found["associative"].rows) == 3
    assert found["associative"].left != found["associative"].right
    assert found["commutative"].holds


@pytest.mark.parametrize(
    "values",
    [[1e300, 1e-300, -1e300], [5e-324, -0.0, 2.2250738585072014e-308], [0.1] * 10, [2.0**53, 1.0, -(2.0**53)], [0.0]],
)
def test_floats_are_correctly_rounded(values: list[float]) -> None:
    import math

    found = ExactSum.of(np.array(values))
    assert found.floats()[0].hex() == math.fsum(values).hex()


def test_integers_and_decimals_keep_every_digit() -> None:
    assert ExactSum.of(np.array([2**62, 2**62, 1])).sums() == [2**63 + 1]
    assert ExactSum.of(np.array([2**64 - 1], np.uint64)).sums() == [2**64 - 1]
    assert ExactSum.of([Decimal("0.1")] * 3).sums() == [Fraction(3, 10)]
    assert ExactSum.of([Decimal("0.1")] * 3).floats()[0] == 0.3
    assert ExactSum.of([0.1] * 3).sums() != [Fraction(3, 10)]  # these are binary fractions


def test_no_rows_are_zero() -> None:
    for state in STATES:
        assert state.of(np.zeros((0, 3))) == state.zero(3)
    assert np.isnan(ExactSum.zero(1).means()).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_named(bad: float) -> None:
    with pytest.raises(mr.InputError, match="row 1, column 1"):
        ExactGram.of(np.array([[1.0, 2.0], [3.0, bad]]))


def test_what_cannot_be_taken_away() -> None:
    with pytest.raises(mr.InputError, match="2 rows are taken away from 1"):
        ExactSum.of([1.0]) - ExactSum.of([1.0, 2.0])
    with pytest.raises(mr.InputError, match="other columns"):
        ExactSum.of(np.ones((1, 2))) + ExactSum.of(np.ones((1, 3)))
    with pytest.raises(mr.InputError, match="damaged"):
        ExactSum.from_bytes(ExactSum.of([1.5]).to_bytes()[:-1])


def test_a_choice_of_columns_is_as_if_the_others_had_never_been() -> None:
    rows = np.random.default_rng(8).normal(0, 1, (50, 5))
    assert ExactGram.of(rows).pick([3, 1]) == ExactGram.of(rows[:, [3, 1]])


def test_many_rows_are_the_sum_of_few() -> None:
    rows = np.random.default_rng(9).integers(-(2**40), 2**40, (70_000, 2))
    parts = [ExactGram.of(rows[start : start + 9_999]) for start in range(0, len(rows), 9_999)]
    total = ExactGram.zero(2)
    for part in reversed(parts):
        total = part + total
    assert total.digest() == ExactGram.of(rows).digest()
    assert total.matrix()[0][1] == int(rows[:, 0].sum())

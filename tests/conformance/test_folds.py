"""Folds, the cache, and iteration on every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mapreduce as mr

Array = np.ndarray[Any, Any]


class Shape(mr.Fold):
    """The tree in which partials were reduced, as nested pairs of block places."""

    def map(self, block: Any) -> Any:
        return list(block.records())

    def reduce(self, a: Any, b: Any) -> Any:
        return (a, b)


class FloatSum(mr.Fold):
    """A float sum, whose bits tell the order of addition."""

    def map(self, block: Any) -> Array:
        return np.asarray(block.X.sum(axis=0))

    def reduce(self, a: Array, b: Array) -> Array:
        return a + b


def rows(count: int) -> Array:
    return np.random.default_rng(5).normal(1e6, 1e3, (count, 3)) / 3


def test_tree_is_fixed_by_the_input(engine: mr.Engine) -> None:
    tree = engine.run(Shape(), mr.from_records(range(5))).value
    assert tree == ((([0], [1]), ([2], [3])), [4])


@pytest.mark.parametrize("splits", [1, 31, 33, 70])
def test_float_sums_have_the_same_bits_on_every_engine(engine: mr.Engine, splits: int) -> None:
    X = rows(splits * 4)
    dataset = mr.from_arrays(X)
    got = engine.run(FloatSum(), dataset, split_size=96, block_size=48).value
    with mr.Engine("inline") as reference:
        expected = reference.run(FloatSum(), dataset, split_size=96, block_size=48).value
    assert got.tobytes() == expected.tobytes()
    np.testing.assert_allclose(got, X.sum(axis=0), rtol=1e-12)


class Large(mr.Fold):
    """Partials too large for a message."""

    def map(self, block: Any) -> Array:
        return np.full(50_000, float(len(block)))

    def reduce(self, a: Array, b: Array) -> Array:
        return a + b


def test_large_partials(engine: mr.Engine) -> None:
    value = engine.run(Large(), mr.from_records(range(40))).value
    assert value.shape == (50_000,)
    assert (value == 40).all()


def test_empty_fold_says_so(engine: mr.Engine) -> None:
    with pytest.raises(mr.EmptyInputError, match="has no records"):
        engine.run(Large(), mr.from_records([]))


class WithZero(Large):
    """Knows what nothing is."""

    def zero(self) -> Array:
        return np.zeros(1)

    def finish(self, partial: Array) -> float:
        return float(partial.sum())


def test_zero_of_empty_input(engine: mr.Engine) -> None:
    assert engine.run(WithZero(), mr.from_records([])).value == 0.0


class Moments(mr.Fold):
    """Uses X, y and records of a block."""

    def map(self, block: Any) -> tuple[int, float, float, int]:
        return len(block), float(block.X.sum()), float(block.y.sum()), sum(1 for _ in block.records())

    def reduce(self, a: Any, b: Any) -> Any:
        return tuple(x + y for x, y in zip(a, b, strict=True))


def test_cache_gives_the_same_as_reading(engine: mr.Engine, tmp_path: Path) -> None:
    lines = ["a,b,y", *(f"{i},{i * 2},{i * 3}" for i in range(1000))]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines))
    dataset = mr.read_csv(path, target="y")
    plain = engine.run(Moments(), dataset).value
    cached = engine.cache(dataset)
    for _ in range(3):
        assert engine.run(Moments(), cached).value == plain
    path.unlink()
    assert engine.run(Moments(), cached).value == plain, "the cache must not need the file any more"
    assert plain[0] == plain[3] == 1000


def test_cache_of_a_form_that_is_asked_for_later(engine: mr.Engine, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i}\n" for i in range(100)))
    cached = engine.cache(mr.read_csv(path, target="y"))

    class OnlyX(mr.Fold):
        def map(self, block: Any) -> float:
            return float(block.X.sum())

        def reduce(self, a: float, b: float) -> float:
            return a + b

    assert engine.run(OnlyX(), cached).value == 4950
    assert engine.run(Moments(), cached).value == (100, 4950.0, 4950.0, 100)


class Step(mr.Fold):
    """One step towards the mean."""

    def __init__(self, center: Array) -> None:
        self.center = center

    def map(self, block: Any) -> tuple[Array, int]:
        return (block.X - self.center).sum(axis=0), len(block)

    def reduce(self, a: Any, b: Any) -> tuple[Array, int]:
        return a[0] + b[0], a[1] + b[1]

    def finish(self, partial: tuple[Array, int]) -> Array:
        return np.asarray(self.center + partial[0] / (2 * partial[1]))


def test_iteration(engine: mr.Engine) -> None:
    X = rows(300)
    points = engine.cache(mr.from_arrays(X))
    center = np.zeros(3)
    for _ in range(60):
        center = engine.run(Step(center), points).value
    np.testing.assert_allclose(center, X.mean(axis=0), rtol=1e-12)

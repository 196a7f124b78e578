"""Numbers that floats do not bear: every model is made of their exact sums, or says which of them it cannot take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from algorithms.models import digest_of_model
from algorithms.sums import ClassSums, ExactGram, ExactSum, PowerSums
from tests.algorithms.invariance_cases import CASES, Case

FINITE = {
    "1e300 and 1e-300 in one column": ["1e300", "-3.5", "1e-300", "0", "2.25", "-1e300", "7"],
    "beyond float64": ["1", "2", "1e999", "3", "4", "5", "6"],
    "negative zero": ["-0", "0.0", "-0.0", "1", "2", "3", "0"],
    "denormals": ["5e-324", "1e-310", "-4.9e-324", "0", "2e-320", "3e-323", "1"],
    "integers beyond 2^53": ["9007199254740993", "18446744073709551617", "-9007199254740993", "5", "1", "2", "10" * 15],
}
NO_NUMBERS = {
    "nan": ("nan", "line 4: .*'x' holds nan"),
    "infinity": ("inf", "line 4: .*'x' holds inf"),
    "negative infinity": ("-Infinity", "line 4: .*'x' holds -inf"),
    "missing": ("", "line 4: .*'x' has no value there"),
    "text": ("abc", "line 4.* 'x': 'abc' is not a number"),
}
MODELS = {name: case for name, case in CASES.items() if name == case.name}
REFUSED = "holds -.*no counts|lie too far apart|beyond float64|holds inf|constant|collinear|names no class"
"""What models may say of finite numbers: counts below 0, variances that one matrix cannot hold, and so on."""


def write(path: Path, values: list[str]) -> Path:
    rows = [f"{v},{i * 5 % 7}.5,{i * i % 11},{'ab'[i % 3 == 0]}\n" for i, v in enumerate(values * 2)]
    path.write_text("x,z,y,c\n" + "".join(rows))
    return path


def read(case: Case, path: Path) -> mr.Dataset:
    model = case.estimator()
    features, target = ["x", "z"], "c" if model.kind == "classifier" else "y" if model.needs_target else None
    if case.name == "anova":
        features, target = ["c"], "x"
    if case.name == "categorical_naive_bayes":
        features = ["x"]
    return mr.read_csv(path, features=features, target=target, types={"x": "float"})


def numbers_in(state: Any) -> Iterator[Fraction]:
    """All sums of a state."""
    if isinstance(state, ClassSums):
        for each in state.states.values():
            yield from numbers_in(each)
    elif isinstance(state, ExactGram | PowerSums | ExactSum):
        yield from state.numbers.fractions()


IN_SHORT = ("linear_regression", "lasso", "gaussian_naive_bayes", "quadratic_discriminant_analysis", "pca", "summary")
MODELS_IN_SHORT = [
    pytest.param(name, marks=() if name in IN_SHORT else pytest.mark.thorough, id=name) for name in MODELS
]


@pytest.mark.parametrize("kind", FINITE)
@pytest.mark.parametrize("name", MODELS_IN_SHORT)
def test_finite_numbers(name: str, kind: str, tmp_path: Path) -> None:
    """The same model of any order of the rows; in its sums, the sum of the decimals that stand in the text."""
    values, found = FINITE[kind], set()
    for number, order in enumerate((values, values[::-1])):
        model = MODELS[name].estimator()
        dataset = read(MODELS[name], write(tmp_path / f"{number}.csv", values))
        with mr.Engine("inline") as engine:
            fold, rows = model.fold(), model.reads(dataset)
            if order is not values:
                lines = (tmp_path / f"{number}.csv").read_text().splitlines(keepends=True)
                (tmp_path / f"{number}.csv").write_text("".join([lines[0], *lines[:0:-1]]))
            try:
                model.fit(dataset, engine=engine)
            except mr.InputError as error:
                found.add("refused")
                assert re.search(REFUSED, str(error)), error
                continue
            state = engine.run(fold, rows).value
        found.add(digest_of_model(model))
        squares = sum(Fraction(value) ** 2 for value in values * 2)
        if isinstance(state, ExactGram | PowerSums):
            assert squares in set(numbers_in(state))
    assert len(found) == 1


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("name", MODELS_IN_SHORT)
def test_what_is_no_number_is_named(name: str, kind: str, tmp_path: Path) -> None:
    if name == "categorical_naive_bayes" and kind == "text":
        pytest.skip("text names a category")
    cell, message = NO_NUMBERS[kind]
    path = write(tmp_path / "rows.csv", ["1", "2", cell, "3", "4", "5", "6"])
    with mr.Engine("inline") as engine, pytest.raises(mr.InputError, match=rf"rows\.csv, {message}"):
        MODELS[name].estimator().fit(read(MODELS[name], path), engine=engine)

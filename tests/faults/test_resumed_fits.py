"""A fit that is killed at any step: the same program goes on with the step it had come to, and makes the same model."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from algorithms.kmeans import KMeans
from algorithms.linear_regression import LinearRegression
from algorithms.logistic_regression import LogisticRegression
from mapreduce.engines.steps import Steps
from mapreduce.errors import ResourceError
from mapreduce.storage.leftovers import remove_dead_folders
from mapreduce.storage.paths import EVENTS, LOG
from tests.faults.killed_runs import When, die, finished_tasks, in_child, killed_at_record, killed_at_step

DATA = Path(__file__).resolve().parents[2] / "data"


class Count(mr.Observer):
    """Counts the folds that were run."""

    def __init__(self) -> None:
        self.runs = 0

    def finished(self, outcome: Any) -> None:
        self.runs += 1


def fit_kmeans(model: Path, *, clusters: int = 3, fresh: bool = False) -> int:
    """Fits, and returns how many folds were run."""
    return fit(KMeans(n_clusters=clusters), mr.read_csv(str(DATA / "iris.csv"), features=IRIS), model, fresh=fresh)


IRIS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def fit(estimator: Any, dataset: mr.Dataset, model: Path, *, fresh: bool = False) -> int:
    count = Count()
    with mr.Engine("inline") as engine, engine.resumable(model, fresh=fresh):
        estimator.fit(dataset, engine=engine, observer=count)
        estimator.save(model)
    return count.runs


def bytes_of(model: Path) -> dict[str, bytes]:
    """Of all that a fit leaves, but for what it tells of itself: the event log has times in it."""
    files = [path for path in model.rglob("*") if path.is_file() and path.name not in (EVENTS, LOG)]
    return {path.relative_to(model).as_posix(): path.read_bytes() for path in files}


def killed_after_step(number: int, run: Callable[[], object]) -> bool:
    """Run until the process dies, straight after it has kept the value of that step."""

    def prepare() -> None:
        keep = Steps._keep

        def counting(self: Steps, origin: Any, value: Any) -> None:
            keep(self, origin, value)
            if self._number == number:
                die()

        Steps._keep = counting  # type: ignore[method-assign]

    return in_child(run, prepare) != 0


@pytest.fixture(autouse=True)
def caches_of_the_killed_go() -> Iterator[None]:
    """As the next process would see to."""
    yield
    remove_dead_folders()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    model = tmp_path_factory.mktemp("whole") / "model"
    runs = fit_kmeans(model)
    return bytes_of(model), runs


def test_it_goes_on_with_the_step_it_had_come_to(tmp_path: Path, undisturbed: tuple[dict[str, bytes], int]) -> None:
    whole, runs = undisturbed
    for step in range(runs):
        model = tmp_path / str(step)
        assert killed_after_step(step, lambda model=model: fit_kmeans(model))  # type: ignore[misc]
        assert not (model / "model.json").exists()
        assert fit_kmeans(model) == runs - (step + 1)
        assert bytes_of(model) == whole


def test_killed_again_and_again_it_gets_there(tmp_path: Path, undisturbed: tuple[dict[str, bytes], int]) -> None:
    whole, runs = undisturbed
    model = tmp_path / "model"
    for step in range(runs):
        assert killed_after_step(step, lambda: fit_kmeans(model))
    assert fit_kmeans(model) == 0
    assert bytes_of(model) == whole


@pytest.mark.timeout(60)
def test_killed_at_any_step_in_the_file_system(tmp_path: Path, undisturbed: tuple[dict[str, bytes], int]) -> None:
    whole, _ = undisturbed
    number, model = 1, tmp_path / "1"
    while killed_at_step(partial(fit_kmeans, model), number, tmp_path):
        fit_kmeans(model)
        assert bytes_of(model) == whole
        number += 3  # every third: each costs a fork and two fits
        model = tmp_path / str(number)
    assert number > 20


def test_a_fit_of_one_pass_goes_on_within_it(tmp_path: Path) -> None:
    """It is one fold over files: what its journal tells is not run again."""
    houses = mr.read_csv(str(DATA / "houses.csv"), target="price")
    fit(LinearRegression(), houses, tmp_path / "whole")
    assert killed_at_record(lambda: fit(LinearRegression(), houses, tmp_path / "model"), 2, When.AFTER)
    assert len(finished_tasks(tmp_path / "model" / "_job" / "steps" / "00000")) == 2
    fit(LinearRegression(), houses, tmp_path / "model")
    assert bytes_of(tmp_path / "model") == bytes_of(tmp_path / "whole")


def test_logistic_regression(tmp_path: Path) -> None:
    table = tmp_path / "virginica.csv"
    head, *rows = (DATA / "iris.csv").read_text().splitlines()
    lines = [row.rpartition(",")[0] + (",1" if row.endswith("virginica") else ",0") for row in rows]
    table.write_text("\n".join([head, *lines]) + "\n")
    dataset = mr.read_csv(str(table), target="species")
    runs = fit(LogisticRegression(), dataset, tmp_path / "whole")
    assert killed_after_step(3, lambda: fit(LogisticRegression(), dataset, tmp_path / "model"))
    assert fit(LogisticRegression(), dataset, tmp_path / "model") == runs - 4
    assert bytes_of(tmp_path / "model") == bytes_of(tmp_path / "whole")


def test_other_options_start_afresh_and_say_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, undisturbed: tuple[dict[str, bytes], int]
) -> None:
    model = tmp_path / "model"
    assert killed_after_step(2, lambda: fit_kmeans(model, clusters=2))
    with caplog.at_level(logging.WARNING):
        assert fit_kmeans(model, clusters=3) == undisturbed[1]
    assert "starting afresh: option" in caplog.text
    assert bytes_of(model) == undisturbed[0]


def test_a_changed_input_starts_afresh_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table, model = tmp_path / "points.csv", tmp_path / "model"
    table.write_bytes((DATA / "iris.csv").read_bytes())

    def run() -> int:
        return fit(KMeans(n_clusters=2), mr.read_csv(str(table), features=IRIS), model)

    assert killed_after_step(1, run)
    os.utime(table, ns=(1, 1))
    with caplog.at_level(logging.WARNING):
        run()
    assert f"starting afresh: input {table} has changed" in caplog.text


def test_fresh_forgets_an_unfinished_fit_but_not_its_own(
    tmp_path: Path, undisturbed: tuple[dict[str, bytes], int]
) -> None:
    model, runs = tmp_path / "model", undisturbed[1]
    assert killed_after_step(2, lambda: fit_kmeans(model))
    assert killed_after_step(1, lambda: fit_kmeans(model, fresh=True))
    assert fit_kmeans(model, fresh=True) == runs - 2
    assert bytes_of(model) == undisturbed[0]


def test_a_damaged_step_is_run_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, undisturbed: tuple[dict[str, bytes], int]
) -> None:
    model = tmp_path / "model"
    assert killed_after_step(4, lambda: fit_kmeans(model))
    kept = model / "_job" / "steps" / "00002.value"
    data = bytearray(kept.read_bytes())
    data[-3] ^= 1
    kept.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert fit_kmeans(model) == undisturbed[1] - 2
    assert "going on from step 3: what it kept is damaged" in caplog.text
    assert bytes_of(model) == undisturbed[0]


def test_two_fits_of_one_model(tmp_path: Path) -> None:
    with mr.Engine("inline") as engine, engine.resumable(tmp_path / "model"):
        refused = pytest.raises(ResourceError, match=f"pid {os.getpid()}")
        with mr.Engine("inline") as other, refused, other.resumable(tmp_path / "model"):
            raise AssertionError("claimed twice")
        with pytest.raises(mr.UsageError, match="nested"), engine.resumable(tmp_path / "other"):
            raise AssertionError("nested")


def test_an_exception_keeps_the_steps(tmp_path: Path, undisturbed: tuple[dict[str, bytes], int]) -> None:
    model = tmp_path / "model"
    with mr.Engine("inline") as engine, pytest.raises(KeyboardInterrupt), engine.resumable(model):
        dataset = mr.read_csv(str(DATA / "iris.csv"), features=IRIS)
        KMeans(n_clusters=3).fit(dataset, engine=engine)
        raise KeyboardInterrupt
    assert fit_kmeans(model) == 0
    assert bytes_of(model) == undisturbed[0]

"""Does every built-in run, and explain itself, from the command line as it does from Python?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import algorithms
import mapreduce as mr
from mapreduce.cli.main import app
from tests.algorithms.conftest import parts

Options = dict[str, Any]

RUNS: dict[str, tuple[list[str], Options]] = {
    "wordcount": (["hamlet.txt"], {}),
    "wordcount_columns": (["hamlet.txt"], {}),
    "grep": (["hamlet.txt"], {"pattern": "ghost|king", "ignore_case": True}),
    "distinct": (["hamlet.txt"], {}),
    "sort": (["hamlet.txt", "norris.csv"], {}),
    "sort_records": (["houses.csv"], {"width": 8, "key_bytes": 3}),
    "inverted_index": (["norris.csv", "airlines.csv"], {}),
    "ngrams": (["hamlet.txt"], {"n": 4}),
    "cooccurrence": (["norris.csv", "hamlet.txt"], {"window": 1}),
    "top_k": (["hamlet.txt"], {"k": 25}),
    "histogram": (["flights.csv"], {"column": "dep_delay", "width": 10.0}),
    "join": (["airlines.csv", "flights.csv"], {"key": "carrier"}),
    "mean_by_key": (["flights.csv"], {"key": "dest", "value": "arr_delay"}),
}


def class_of(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def dataset_of(job: Any, paths: list[str]) -> mr.Dataset:
    """As the command line reads a job's input."""
    options = dict(getattr(job, "input_options", {}))
    if hasattr(job, "input_columns"):
        options["columns"] = job.input_columns

    def read(*some: str) -> mr.Dataset:
        return mr.read(*some, format=getattr(job, "input_format", "text"), **options)

    dataset: mr.Dataset = job.dataset(paths, read) if hasattr(job, "dataset") else read(*paths)
    return dataset


def test_every_job_is_run_here() -> None:
    keyed = [name for name, target in algorithms.JOBS.items() if not issubclass(class_of(target), mr.Fold)]
    assert list(RUNS) == keyed


@pytest.mark.parametrize("name", RUNS)
def test_prints_what_python_writes(
    name: str, engine: mr.Engine, datadir: Path, tmp_path: Path, run_cli: Callable[..., Any]
) -> None:
    files, options = RUNS[name]
    paths = [str(datadir / file) for file in files]
    job = class_of(algorithms.JOBS[name])(**options)
    engine.run(job, dataset_of(job, paths), output=tmp_path / "out")
    settings = [word for option, value in options.items() for word in ("--set", f"{option}={value}")]
    done = run_cli("run", name, *paths, *settings, "--workers", "2", "-q")
    assert (done.rc, done.err) == (0, "")
    assert done.out.encode() == parts(tmp_path / "out").replace(b"\r\n", b"\n")
    assert done.out.count("\n") > 10


@pytest.mark.parametrize("name", [*algorithms.JOBS, *algorithms.ESTIMATORS])
def test_is_a_lesson(name: str) -> None:
    target = {**algorithms.JOBS, **algorithms.ESTIMATORS}[name]
    module = import_module(target.partition(":")[0])
    assert module.__doc__ is not None
    assert "?" in module.__doc__.partition("\n")[0] or ":" in module.__doc__.partition("\n")[0]
    for part in ("map  ", "reduce  "):
        assert part in module.__doc__, f"the module says nothing of its {part.strip()}"
    shown = CliRunner().invoke(app, ["show", name])
    assert shown.exit_code == 0
    assert inspect.getsource(module).strip() in shown.output
    for option in inspect.signature(class_of(target)).parameters:
        (line,) = [line for line in shown.output.splitlines() if line.startswith(f"  {option}: ")][:1]
        assert "   " in line.strip(), f"the class says nothing of {option}"


def test_a_table_is_what_its_suffix_says(datadir: Path, tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    flights = pd.read_csv(datadir / "flights.csv")
    flights.to_parquet(tmp_path / "flights.parquet")
    flights.to_csv(tmp_path / "flights.tsv", sep="\t", index=False)
    options = ["--set", "key=carrier", "--set", "value=distance", "-q", "--inline"]
    expected = run_cli("run", "mean_by_key", datadir / "flights.csv", *options)
    assert expected.out.startswith("9E\t")
    for name in ("flights.parquet", "flights.tsv"):
        assert run_cli("run", "mean_by_key", name, *options) == expected
    joined = run_cli("run", "join", datadir / "airlines.csv", "flights.parquet", "--set", "key=carrier", "-q")
    assert joined.out.count("\n") == len(flights)


def test_the_list_names_them_all() -> None:
    listed = CliRunner().invoke(app, ["jobs"])
    assert listed.exit_code == 0
    names = [*algorithms.JOBS, *algorithms.ESTIMATORS]
    for name in names:
        lines = [line for line in listed.output.splitlines() if line.split()[:1] == [name]]
        assert len(lines) == names.count(name)  # one may be a job and an algorithm
        assert all(len(line.split()) > 3 for line in lines), f"{name} has no line of its own"

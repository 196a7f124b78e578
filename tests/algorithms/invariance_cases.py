"""Which models are shown to have the same bits, on which data? A row for each estimator that learns from exact sums.

To add one: a row of CASES, with a table of real data small enough for some hundred fits, and `excluded`: what cannot be
varied for it (names of variations: invariance.py), with the reason.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import algorithms
import mapreduce as mr

DATA = Path(__file__).resolve().parents[2] / "data"
PLACES = 16
"""Decimals of Parquet columns: enough for all tables."""
SUFFIXES = {"other digits": "csv"}
READERS: dict[str, Callable[..., mr.Dataset]] = {
    "csv": mr.read_csv, "csv.gz": mr.read_csv, "other digits": mr.read_csv, "tsv": mr.read_tsv, "jsonl": mr.read_jsonl,
    "parquet": mr.read_parquet, "libsvm": mr.read_libsvm,
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Rows of text: decimals and labels as a file has them. The last column is the target, if there is one."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def columns(self, names: Sequence[str]) -> Table:
        at = [self.header.index(name) for name in names]
        return Table(tuple(names), tuple(tuple(row[j] for j in at) for row in self.rows))

    def ordered(self, order: str) -> Table:
        rows = list(self.rows)
        if order == "shuffled":
            random.Random(5).shuffle(rows)
        return Table(self.header, tuple(rows[::-1] if order == "reversed" else rows))

    def coded(self) -> Table:
        """Labels as numbers, and columns x0, x1, ...: for formats that hold neither text nor names."""
        labels = sorted({row[-1] for row in self.rows}) if not _is_number(self.rows[0][-1]) else None
        rows = self.rows if labels is None else [(*row[:-1], str(labels.index(row[-1]))) for row in self.rows]
        return Table(tuple(f"x{number}" for number in range(len(self.header))), tuple(rows))

    def read(self, paths: Any, format: str = "csv", **roles: Any) -> mr.Dataset:
        if format == "libsvm":
            return mr.read_libsvm(paths)
        return READERS[format](paths, **roles)

    def cut(self, folder: Path, files: str, format: str) -> list[Path]:
        """Write the rows to files of unequal size."""
        folder.mkdir(exist_ok=True, parents=True)
        names = {
            "one": ["rows"],
            "renamed": ["other-name"],
            "two": ["a", "b"],
            "eleven": [f"part-{number * 7 % 11:02}" for number in range(11)],
        }[files]
        cuts = [len(self.rows) * n * n // len(names) ** 2 for n in range(len(names) + 1)]
        paths = []
        for name, start, end in zip(names, cuts, cuts[1:], strict=False):
            part = Table(self.header, self.rows[start:end])
            if part.rows:
                paths.append(part.write(folder / f"{name}.{SUFFIXES.get(format, format)}", format))
        return paths

    def write(self, path: Path, format: str = "csv") -> Path:
        if format == "parquet":
            self._write_parquet(path)
            return path
        if format == "jsonl":
            lines = [
                "{" + ", ".join(f"{json.dumps(n)}: {_json(c)}" for n, c in self._cells(row)) + "}" for row in self.rows
            ]
        elif format == "libsvm":
            lines = [
                " ".join([row[-1], *(f"{j}:{c}" for j, c in enumerate(row[:-1], 1) if Decimal(c))]) for row in self.rows
            ]
        else:
            mark = "\t" if format == "tsv" else ","
            form = _otherwise if format == "other digits" else str
            lines = [mark.join(self.header), *(mark.join(map(form, row)) for row in self.rows)]
        data = "".join(f"{line}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(data) if format == "csv.gz" else data)
        return path

    def _cells(self, row: tuple[str, ...]) -> list[tuple[str, str]]:
        return list(zip(self.header, row, strict=True))

    def _write_parquet(self, path: Path) -> None:
        """Decimals as decimals, whole numbers as integers, text as text."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {}
        for name, cells in zip(self.header, zip(*self.rows, strict=True), strict=True):
            if not all(map(_is_number, cells)):
                columns[name] = pa.array(cells)
            elif not any("." in cell for cell in cells):
                columns[name] = pa.array([int(cell) for cell in cells])
            else:
                columns[name] = pa.array([Decimal(cell) for cell in cells], pa.decimal128(38, PLACES))
        pq.write_table(pa.table(columns), path, row_group_size=29)


def _is_number(cell: str) -> bool:
    return cell.lstrip("-").replace(".", "", 1).isdigit()


def _json(cell: str) -> str:
    return cell if _is_number(cell) else json.dumps(cell)


def _otherwise(cell: str) -> str:
    """The same decimal, written in another way."""
    if not _is_number(cell) or "." not in cell:
        return cell
    return f"{Decimal(cell) * 1000}e-3" if len(cell) % 2 else f"{cell}00"


@dataclass(frozen=True, eq=False)
class Case:
    """A model of a table. `features`: by name where the estimator would not take the others of the table."""

    name: str
    table: Table
    target: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)

    def estimator(self) -> Any:
        module, _, cls = algorithms.ESTIMATORS[self.name].partition(":")
        return getattr(import_module(module), cls)(**self.parameters)

    @property
    def roles(self) -> dict[str, Any]:
        return {"target": self.target, "features": [name for name in self.table.header if name != self.target]}

    def arrays(self) -> tuple[Any, ...]:
        """X, and y if there is a target: the floats nearest to the decimals; labels as numbers."""
        import numpy as np

        values = np.array([[float(cell) for cell in row] for row in self.table.coded().rows])
        return (values,) if self.target is None else (values[:, :-1], values[:, -1])

    def read(self, paths: Any, table: Table, format: str = "csv") -> mr.Dataset:
        """The table that is given may be the coded one."""
        names = [name for name in table.header if self.target is None or name != table.header[-1]]
        target = None if self.target is None else table.header[-1]
        return table.read(paths, format, target=target, features=names)


@cache
def _table(file: str, columns: tuple[str, ...], rows: int, every: int = 1) -> Table:
    with open(DATA / file, newline="") as lines:
        found = [row for row in csv.DictReader(lines) if all(row[name] for name in columns)]
    return Table(columns, tuple(tuple(row[name] for name in columns) for row in found[: rows * every : every]))


@cache
def _digits() -> Table:
    """How dark some pixels of handwritten digits are."""
    pixels = range(400, 412)
    rows = []
    for line in (DATA / "digits.libsvm").read_text().splitlines():
        label, *pairs = line.split()
        dark = dict(pair.split(":") for pair in pairs)
        rows.append((*(dark.get(str(pixel), "0") for pixel in pixels), "one" if label == "1" else "zero"))
    return Table((*(f"p{pixel}" for pixel in pixels), "digit"), tuple(rows))


HOUSES = ("lot_area", "year_built", "mas_vnr_area", "first_flr_sf", "full_bath", "longitude", "latitude", "price")
IRIS = ("sepal_length", "sepal_width", "petal_length", "petal_width", "species")
FLIGHTS = ("month", "carrier", "dest", "origin")
DELAYS = ("carrier", "arr_delay")
_NO_NUMBERS = "features are text"
_TEXT = dict.fromkeys(("libsvm", "partial fit", "npy", "doubles", "jsonl"), _NO_NUMBERS)
_NO_TARGET = {"libsvm": "a label stands in each line, and here is no target"}
_ENDS = {"forget": "the ends of a column do not follow when rows are taken away"}
_PASSES = dict.fromkeys(("refit", "forget", "merge", "partial fit"), "quantiles do not follow from sums")


def _cases() -> dict[str, Case]:
    houses = _table("houses.csv", HOUSES, 240)
    by_species = _table("iris.csv", IRIS, 150)
    iris = Table(IRIS, tuple(row for start in range(50) for row in by_species.rows[start::50]))  # each file has all
    lengths = iris.columns(IRIS[:4])
    flights = _table("flights.csv", FLIGHTS, 300, every=19)
    delays = _table("flights.csv", DELAYS, 300, every=13)

    def price(name: str, **parameters: Any) -> Case:
        return Case(name, houses, "price", parameters)

    def species(name: str, **parameters: Any) -> Case:
        return Case(name, iris, "species", parameters)

    def lengths_of(name: str, excluded: Mapping[str, str] | None = None, **parameters: Any) -> Case:
        return Case(name, lengths, None, parameters, {**_NO_TARGET, **(excluded or {})})

    grid = {"n_alphas": 12, "folds": 3}
    return {
        "linear_regression": price("linear_regression"),
        "linear_regression degree 2": Case(
            "linear_regression", houses.columns(HOUSES[3:]), "price", {"degree": 2, "collinear": "minimum_norm"}
        ),
        "ridge": price("ridge", alpha=3.5),
        "lasso": price("lasso", alpha=120.5),
        "elastic_net": price("elastic_net", alpha=0.75, objective="glmnet"),
        "ridge_cv": price("ridge_cv", **grid),
        "lasso_cv": price("lasso_cv", **grid),
        "elastic_net_cv": price("elastic_net_cv", l1_ratio=[0.3, 0.8], **grid),
        "stepwise_regression": Case(
            "stepwise_regression",
            houses,
            "price",
            {},
            {"npy": "columns of an array are called 0, 1, ...; it names those that it chose"},
        ),
        "gaussian_naive_bayes": species("gaussian_naive_bayes"),
        "multinomial_naive_bayes": Case("multinomial_naive_bayes", _digits(), "digit"),
        "complement_naive_bayes": Case("complement_naive_bayes", _digits(), "digit"),
        "bernoulli_naive_bayes": Case("bernoulli_naive_bayes", _digits(), "digit", {"binarize": 64.0}),
        "categorical_naive_bayes": Case("categorical_naive_bayes", flights, "origin", {}, _TEXT),
        "gaussian_discriminant_analysis": species("gaussian_discriminant_analysis"),
        "linear_discriminant_analysis": species("linear_discriminant_analysis"),
        "linear_discriminant_analysis shrunk": species("linear_discriminant_analysis", shrinkage=0.3),
        "quadratic_discriminant_analysis": species("quadratic_discriminant_analysis"),
        "pca": lengths_of("pca"),
        "whitening": lengths_of("whitening"),
        "covariance": lengths_of("covariance"),
        "correlation": lengths_of("correlation"),
        "anova": Case("anova", delays, "arr_delay", {}, _TEXT),
        "summary": lengths_of("summary", _ENDS),
        "summary with quantiles": lengths_of("summary", _PASSES, quantiles=[0.1, 0.5]),
    }


CASES = _cases()
NO_SUMS = {
    "kmeans": "iterates over the rows in floats",
    "logistic_regression": "iterates over the rows in floats",
}
"""Estimators that are not in the table, and why."""

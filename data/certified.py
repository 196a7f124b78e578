"""What does NIST certify? The files of its Statistical Reference Datasets, as they are, and the values in them.

    regressions()   y, x... with coefficients, their standard errors, residual deviation, R2, F
    univariate()    y with mean, standard deviation
    analyses()      groups and y with sums of squares, F, R2, residual deviation

Cells stay the text that they are, so that whoever reads them decides how to round. Source: https://www.itl.nist.gov/div898/strd
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NIST = Path(__file__).parent / "nist"

POWERS = {"Filip": 10, "Pontius": 2} | {f"Wampler{number}": 5 for number in range(1, 6)}
"""Models that are polynomials in x, and of which degree."""
LINEAR = ("Norris", "Longley", "NoInt1", "NoInt2", *POWERS)
THROUGH_ORIGIN = ("NoInt1", "NoInt2")
UNIVARIATE = ("PiDigits", "Lottery", "Lew", "Mavro", "Michelso", "NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4")
ANALYSES = ("SiRstv", *(f"SmLs0{number}" for number in range(1, 10)), "AtmWtAg")

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Table:
    """A dataset: names of columns and rows of cells."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def write_csv(self, path: Path) -> Path:
        path.write_text("\n".join([",".join(self.columns), *map(",".join, self.rows)]) + "\n")
        return path


@dataclass(frozen=True, slots=True)
class Regression:
    """`coef` and `std_error` begin with the intercept, where there is one; of a polynomial follow powers of x."""

    table: Table
    degree: int
    coef: tuple[float, ...]
    std_error: tuple[float, ...]
    sigma: float
    r2: float
    f: float

    @property
    def has_intercept(self) -> bool:
        return self.table.name not in THROUGH_ORIGIN


@dataclass(frozen=True, slots=True)
class Univariate:
    table: Table
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """One-way analysis of variance: (degrees of freedom, sum of squares) between and within groups."""

    table: Table
    between: tuple[int, float]
    within: tuple[int, float]
    f: float
    r2: float
    sigma: float


def regressions() -> list[Regression]:
    return [_regression(name) for name in LINEAR]


def univariate() -> list[Univariate]:
    return [_univariate(name) for name in UNIVARIATE]


def analyses() -> list[Analysis]:
    return [_analysis(name) for name in ANALYSES]


def _regression(name: str) -> Regression:
    head, cells = _read(name)
    parameters = [_floats(line)[-2:] for line in head if re.match(r"\s+B\d+\s", line)]
    columns = ("y", "x") if len(cells[0]) == 2 else ("y", *(f"x{n}" for n in range(1, len(cells[0]))))
    explained = next(line for line in head if line.startswith("Regression"))
    return Regression(
        Table(name, columns, cells),
        POWERS.get(name, 1),
        tuple(estimate for estimate, _ in parameters),
        tuple(error for _, error in parameters),
        _after(head, "Standard Deviation "),
        _after(head, "R-Squared"),
        math.inf if "Infinity" in explained else _floats(explained)[-1],
    )


def _univariate(name: str) -> Univariate:
    head, cells = _read(name)
    return Univariate(
        Table(name, ("y",), cells), _after(head, "Sample Mean"), _after(head, "Sample Standard Deviation")
    )


def _analysis(name: str) -> Analysis:
    head, cells = _read(name)
    between, within = (next(_floats(line) for line in head if line.startswith(word)) for word in ("Between", "Within"))
    return Analysis(
        Table(name, ("group", "y"), cells),
        (int(between[0]), between[1]),
        (int(within[0]), within[1]),
        between[3],
        _after(head, "Certified R-Squared"),
        _after(head, "Standard Deviation"),
    )


def _read(name: str) -> tuple[list[str], list[list[str]]]:
    """The lines before the data, and the data's cells."""
    path = NIST / f"{name}.dat"
    text = (
        path.read_text("ascii") if path.exists() else gzip.decompress(Path(f"{path}.gz").read_bytes()).decode("ascii")
    )
    lines = text.splitlines()
    start = max(number for number, line in enumerate(lines) if line.startswith("Data:"))
    body = (line.split() for line in lines[start + 1 :])
    return lines[:start], [cells for cells in body if cells and all(map(NUMBER.fullmatch, cells))]


def _after(head: Sequence[str], words: str) -> float:
    """The last number of the line with these words and a number behind them."""
    found = [numbers for line in head if words in line and (numbers := _floats(line.partition(words)[2]))]
    return found[-1][-1]


def _floats(text: str) -> list[float]:
    return [float(number.replace("D", "E")) for number in NUMBER.findall(text)]

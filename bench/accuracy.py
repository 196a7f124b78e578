"""How many digits are right? NIST's certified values, against ours from the command line and against peers.

`python -m bench accuracy`. A cell is the number of correct digits of the worst figure, as NIST counts them: minus the
decimal logarithm of the relative error, 15 where all certified digits are there. Powers of x for polynomials are made
in float64 for those who take a matrix.
"""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.certified import Analysis, Regression, Univariate, analyses, regressions, univariate

MOST = 15.0
"""NIST certifies so many digits."""

Answer = tuple[Sequence[float], Sequence[float]]
"""Coefficients and standard errors, the intercept first; () for what a tool does not give."""


def table(_rounds: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return "\n".join([linear(Path(folder)), single(Path(folder)), groups(Path(folder))])


def digits(found: float, certified: float) -> float:
    """Correct digits; 0 for none at all."""
    if not math.isfinite(found) or f"{found:.14e}" == f"{certified:.14e}":
        return MOST if f"{found:.14e}" == f"{certified:.14e}" else 0.0
    error = abs(found - certified) / (abs(certified) or 1.0)
    return min(MOST, max(0.0, -math.log10(error)))


def worst(found: Sequence[float], certified: Sequence[float]) -> float | None:
    return min(map(digits, found, certified), default=None) if len(found) else None


# Regressions


def linear(folder: Path) -> str:
    cases = regressions()
    tools: dict[str, Callable[[Regression], Answer]] = {
        "exact sums": lambda case: ours(folder, case),
        "`solver=tsqr`": lambda case: ours(folder, case, "--set", "solver=tsqr"),
        "scikit-learn": sklearn_answer,
    }
    if _has("statsmodels"):
        tools["statsmodels pinv"] = lambda case: statsmodels_answer(case, "pinv")
        tools["statsmodels qr"] = lambda case: statsmodels_answer(case, "qr")
    if _has("pyspark"):
        told = spark_answers(folder, cases)
        tools["Spark MLlib"] = lambda case: told[case.table.name]
    answers = {tool: [answer(case) for case in cases] for tool, answer in tools.items()}
    names = [case.table.name for case in cases]
    coef = [
        [tool, *(worst(found, case.coef) for (found, _), case in zip(each, cases, strict=True))]
        for tool, each in answers.items()
    ]
    errors = [
        [tool, *(worst(found, case.std_error) for (_, found), case in zip(each, cases, strict=True))]
        for tool, each in answers.items()
        if any(len(found) for _, found in each)
    ]
    return _markdown("Linear regression: worst coefficient", names, coef) + _markdown(
        "Linear regression: worst standard error", names, errors
    )


def ours(folder: Path, case: Regression, *more: str) -> Answer:
    options = ("--set", f"degree={case.degree}", "--set", f"fit_intercept={case.has_intercept}", *more)
    told = _mapreduce("fit", "linear_regression", case.table.write_csv(folder / "rows.csv"), "--target", "y", *options)
    first, error = ([told["intercept"]], [told["intercept_error"]]) if case.has_intercept else ([], [])
    return [*first, *told["coef"].values()], [*error, *map(float, told["std_error"].values())]


def design(case: Regression) -> tuple[Any, Any]:
    rows = np.array(case.table.rows, np.float64)
    X = rows[:, 1:]
    return (X ** np.arange(1, case.degree + 1) if case.degree > 1 else X), rows[:, 0]


def sklearn_answer(case: Regression) -> Answer:
    from sklearn.linear_model import LinearRegression

    X, y = design(case)
    model = LinearRegression(fit_intercept=case.has_intercept).fit(X, y)
    return [*([model.intercept_] if case.has_intercept else []), *model.coef_], []


def statsmodels_answer(case: Regression, method: str) -> Answer:
    import statsmodels.api as sm

    X, y = design(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = sm.OLS(y, sm.add_constant(X) if case.has_intercept else X).fit(method=method)
        return fit.params.tolist(), fit.bse.tolist()


def spark_answers(folder: Path, cases: Sequence[Regression]) -> dict[str, Answer]:
    for case in cases:
        X, y = design(case)
        np.savez(folder / f"{case.table.name}.npz", X=X, y=y, intercept=case.has_intercept)
    output = folder / "spark.json"
    subprocess.run(
        [sys.executable, "-m", "bench.peers.accuracy_pyspark", str(folder), str(output)],
        check=True,
        capture_output=True,
    )
    told = json.loads(output.read_text())
    return {name: (answer[0], answer[1]) for name, answer in told.items()}


# Univariate


def single(folder: Path) -> str:
    cases = univariate()
    tools: dict[str, Callable[[Univariate], tuple[float, float]]] = {
        "exact sums": lambda case: our_summary(folder, case),
        "numpy": lambda case: (float(_values(case).mean()), float(_values(case).std(ddof=1))),
    }
    if _has("pandas"):
        tools["pandas"] = lambda case: _pandas(_values(case))
    if _has("polars"):
        tools["Polars"] = lambda case: _polars(_values(case))
    if _has("duckdb"):
        tools["DuckDB"] = lambda case: _duckdb(_values(case))
    rows = [
        [
            tool,
            *(min(digits(mean, case.mean), digits(sd, case.deviation)) for case in cases for mean, sd in [ask(case)]),
        ]
        for tool, ask in tools.items()
    ]
    return _markdown("Mean and standard deviation: the worse of both", [case.table.name for case in cases], rows)


def our_summary(folder: Path, case: Univariate) -> tuple[float, float]:
    told = _mapreduce("run", "summary", case.table.write_csv(folder / "rows.csv"))["value"]["y"]
    return told["mean"], told["deviation"]


def _values(case: Univariate) -> Any:
    return np.array(case.table.rows, np.float64)[:, 0]


def _pandas(values: Any) -> tuple[float, float]:
    import pandas as pd

    column = pd.Series(values)
    return float(column.mean()), float(column.std())


def _polars(values: Any) -> tuple[float, float]:
    import polars as pl

    column: Any = pl.Series(values)
    return float(column.mean()), float(column.std())


def _duckdb(values: Any) -> tuple[float, float]:
    import duckdb
    import pyarrow as pa

    with duckdb.connect() as session:
        session.register("numbers", pa.table({"y": values}))
        mean, deviation = session.sql("select avg(y), stddev_samp(y) from numbers").fetchall()[0]
    return mean, deviation


# Analysis of variance


def groups(folder: Path) -> str:
    cases = analyses()
    tools: dict[str, Callable[[Analysis], float]] = {
        "exact sums": lambda case: our_anova(folder, case),
        "scipy f_oneway": scipy_f,
    }
    if _has("statsmodels"):
        tools["statsmodels"] = statsmodels_f
    rows = [[tool, *(digits(ask(case), case.f) for case in cases)] for tool, ask in tools.items()]
    return _markdown("Analysis of variance: F", [case.table.name for case in cases], rows)


def our_anova(folder: Path, case: Analysis) -> float:
    path = case.table.write_csv(folder / "rows.csv")
    return float(_mapreduce("fit", "anova", path, "--target", "y", "--features", "group")["f"])


def scipy_f(case: Analysis) -> float:
    from scipy.stats import f_oneway

    return float(f_oneway(*_samples(case)).statistic)


def statsmodels_f(case: Analysis) -> float:
    from statsmodels.stats.oneway import anova_oneway

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(anova_oneway(_samples(case), use_var="equal").statistic)


def _samples(case: Analysis) -> list[Any]:
    rows = np.array(case.table.rows, np.float64)
    return [rows[rows[:, 0] == group, 1] for group in np.unique(rows[:, 0])]


def _mapreduce(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "mapreduce", *map(str, arguments), "--json", "-q"]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    told: dict[str, Any] = json.loads(done.stdout or done.stderr)
    return told


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _markdown(title: str, names: Iterable[str], rows: Sequence[Sequence[Any]]) -> str:
    heads = ["", *names]
    lines = [f"### {title}", "", f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for tool, *cells in rows:
        shown = ["" if cell is None else f"{cell:.1f}" for cell in cells]
        lines.append(f"| {tool} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n\n"

"""Spark MLlib's linear regression, as it is when nobody sets anything, on matrices in a folder."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import LinearRegression
from pyspark.sql import SparkSession


def main() -> None:
    folder, output = map(Path, sys.argv[1:])
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    answers = {path.stem: answer(session, np.load(path)) for path in sorted(folder.glob("*.npz"))}
    output.write_text(json.dumps(answers))
    session.stop()


def answer(session: Any, case: Any) -> tuple[list[float], list[float]]:
    """Coefficients and standard errors, the intercept first."""
    rows = [(float(y), Vectors.dense(x)) for x, y in zip(case["X"], case["y"], strict=True)]
    has_intercept = bool(case["intercept"])
    model = LinearRegression(fitIntercept=has_intercept).fit(session.createDataFrame(rows, ["label", "features"]))
    coef = model.coefficients.toArray().tolist()
    try:
        errors = list(model.summary.coefficientStandardErrors)  # the intercept's last
    except Exception as error:  # not there where another solver was taken
        print(f"no standard errors: {error}", file=sys.stderr)
        errors = []
    if has_intercept:
        return [float(model.intercept), *coef], [*errors[-1:], *errors[:-1]]
    return coef, errors


if __name__ == "__main__":
    main()

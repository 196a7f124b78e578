"""Polars reads the CSV, numpy forms the Gram matrix and solves the normal equations."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl


def main() -> None:
    source, output = sys.argv[1:]
    table = pl.read_csv(source)
    X, y = table.drop("y").to_numpy(), table["y"].to_numpy()
    x_mean, y_mean = X.mean(axis=0), y.mean()
    X -= x_mean
    coefficients = np.linalg.solve(X.T @ X, X.T @ (y - y_mean))
    Path(output).write_text(json.dumps([*coefficients.tolist(), float(y_mean - x_mean @ coefficients)]))


if __name__ == "__main__":
    main()

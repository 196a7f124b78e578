"""How fast is a least-squares fit from CSV?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from bench.answers import Floats, close, numbers
from bench.measure import Measurement
from bench.question import OURS, Contestant, Question, ours, peer


def coefficients(output: Path, run: Measurement) -> Floats:
    """Slopes, then intercept: a JSON list from a peer, a model's directory from us."""
    if output.is_dir():
        figures = json.loads((output / "model.json").read_text())["figures"]
        return np.array([*figures["coef"].values(), figures["intercept"]])
    return numbers(output, run)


LEAST_SQUARES = Question(
    name="least_squares",
    title="Least squares from CSV, 20 features",
    data="numeric",
    contestants=(
        ours("fit", "linear_regression", "{input}", "--target", "y", "-o", "{output}", "--workers", "2", "-q"),
        Contestant(
            f"{OURS}, sums of floats",
            (
                *(sys.executable, "-m", "mapreduce", "fit", "linear_regression", "{input}", "--target", "y"),
                *("--set", "sums=float", "-o", "{output}", "--workers", "2", "-q"),
            ),
        ),
        peer("pandas + scikit-learn", "least_squares_sklearn", 2, "pandas", "sklearn"),
        peer("Polars + numpy Gram", "least_squares_polars", 0.9, "polars"),
        peer("Spark MLlib", "least_squares_pyspark", 10, "pyspark", programs=("java",)),
    ),
    answer=coefficients,
    difference=close,
    note="Our sums are exact, unless said otherwise. pandas reads with its pyarrow engine, the fastest of its three.",
)
QUESTIONS = (LEAST_SQUARES,)

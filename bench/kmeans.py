"""How fast are ten iterations of k-means from Parquet?"""

from __future__ import annotations

from pathlib import Path

from bench.answers import Floats, close, numbers
from bench.measure import Measurement
from bench.question import Question, ours, peer


def centers(output: Path, run: Measurement) -> Floats:
    """A (k, d) array: a JSON list from a peer, a model's directory from us."""
    return numbers(output, run)


SETTINGS = ("--set", "k=20", "--set", "iterations=10", "--workers", "2", "-q")
KMEANS = Question(
    name="kmeans",
    title="k-means, 20 columns, k = 20, 10 iterations from Parquet",
    data="points",
    contestants=(
        ours("fit", "kmeans", "{input}", "-o", "{output}", *SETTINGS),
        peer("scikit-learn", "kmeans_sklearn", 0.7, "sklearn"),
        peer(
            "Spark MLlib",
            "kmeans_pyspark",
            10,
            "pyspark",
            programs=("java",),
            comparable=False,
            note="its API takes no initial centres",
        ),
    ),
    answer=centers,
    difference=close,
    size="162MB",
    note="One million points (at 162 MB); the first 20 are the initial centres.",
)
QUESTIONS = (KMEANS,)

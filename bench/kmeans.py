"""How fast are ten iterations of k-means from Parquet?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.answers import Floats, close, numbers
from bench.measure import Measurement
from bench.question import Question, ours, peer


def centers(output: Path, run: Measurement) -> Floats:
    """A (k, d) array: a JSON list from a peer, a model's directory from us."""
    if output.is_dir():
        with np.load(next(output.glob("arrays-*.npz"))) as arrays:
            return np.asarray(arrays["cluster_centers_"])
    return numbers(output, run)


def keep_first_points(path: Path) -> None:
    """The first points beside the file, to start from."""
    import pyarrow.parquet as pq

    first = next(pq.ParquetFile(path).iter_batches(batch_size=CENTERS))
    np.save(f"{path}.first.npy", np.column_stack(first.columns))


CENTERS = 20
SETTINGS = [f"n_clusters={CENTERS}", "max_iter=10", "tol=0", "init={input}.first.npy"]
KMEANS = Question(
    name="kmeans",
    title="k-means, 20 columns, k = 20, 10 iterations from Parquet",
    data="points",
    contestants=(
        ours(
            "fit",
            "kmeans",
            "{input}",
            "-o",
            "{output}",
            *(word for setting in SETTINGS for word in ("--set", setting)),
            "--workers",
            "2",
            "-q",
        ),
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
    prepare=keep_first_points,
    size="162MB",
    note="One million points (at 162 MB); the first 20 are the initial centres.",
)
QUESTIONS = (KMEANS,)

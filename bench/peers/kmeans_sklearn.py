"""scikit-learn's Lloyd from the first k points as centres, ten iterations."""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
from sklearn.cluster import KMeans

CENTERS, ITERATIONS = 20, 10


def main() -> None:
    source, output = sys.argv[1:]
    X = pq.read_table(source).to_pandas().to_numpy()
    first = X[:CENTERS].copy()
    model = KMeans(CENTERS, init=first, n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd").fit(X)
    Path(output).write_text(json.dumps(model.cluster_centers_.tolist()))


if __name__ == "__main__":
    main()

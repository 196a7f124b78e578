"""Spark MLlib on two local threads: ten iterations from random centres of its own (the API takes none)."""

import json
import sys
from pathlib import Path

from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession

CENTERS, ITERATIONS = 20, 10


def main() -> None:
    source, output = sys.argv[1:]
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = spark.config("spark.driver.memory", "4g").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    table = session.read.parquet(source)
    rows = VectorAssembler(inputCols=table.columns, outputCol="features").transform(table).select("features").cache()
    model = KMeans(k=CENTERS, initMode="random", seed=1, maxIter=ITERATIONS, tol=0.0).fit(rows)
    Path(output).write_text(json.dumps([center.tolist() for center in model.clusterCenters()]))
    session.stop()


if __name__ == "__main__":
    main()

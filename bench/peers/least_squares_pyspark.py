"""Spark MLlib on two local threads: the normal equations."""

import json
import sys
from pathlib import Path

from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import SparkSession


def main() -> None:
    source, output = sys.argv[1:]
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = spark.config("spark.driver.memory", "4g").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    with open(source) as file:
        columns = file.readline().rstrip().split(",")
    table = session.read.csv(source, header=True, schema=", ".join(f"{column} DOUBLE" for column in columns))
    rows = VectorAssembler(inputCols=columns[:-1], outputCol="features").transform(table)
    model = LinearRegression(labelCol=columns[-1], solver="normal").fit(rows)
    Path(output).write_text(json.dumps([*model.coefficients.toArray().tolist(), float(model.intercept)]))
    session.stop()


if __name__ == "__main__":
    main()

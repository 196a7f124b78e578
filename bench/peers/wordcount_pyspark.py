"""PySpark's RDDs on two local threads, with a Python function for the map."""

import sys
from operator import add

from pyspark import SparkConf, SparkContext


def main() -> None:
    source, output = sys.argv[1:]
    context = SparkContext(conf=SparkConf().setMaster("local[2]").set("spark.ui.enabled", "false"))
    context.setLogLevel("ERROR")
    counts = context.textFile(source).flatMap(lambda line: line.split()).map(lambda word: (word, 1)).reduceByKey(add)
    counts.map(lambda pair: f"{pair[0]}\t{pair[1]}").saveAsTextFile(output)
    context.stop()


if __name__ == "__main__":
    main()

"""Polars: a group-by over the scanned CSV, on the streaming engine."""

import sys

import polars as pl


def main() -> None:
    source, output = sys.argv[1:]
    means = pl.scan_csv(source).group_by("key").agg(pl.col("value").mean())
    means.collect(engine="streaming").write_csv(output, include_header=False, separator="\t")


if __name__ == "__main__":
    main()

"""Polars: lines scanned as a one-column table, split, exploded, grouped, on the streaming engine."""

import sys

import polars as pl


def main() -> None:
    source, output = sys.argv[1:]
    lines = pl.scan_csv(source, separator="\x01", has_header=False, quote_char=None, schema={"line": pl.String})
    words = lines.select(pl.col("line").str.split(" ").explode().alias("word"))
    counts = words.filter(pl.col("word") != "").group_by("word").len()
    counts.collect(engine="streaming").write_csv(output, include_header=False, separator="\t")


if __name__ == "__main__":
    main()

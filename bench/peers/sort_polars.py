"""Polars: lines as a one-column table, sorted."""

import sys

import polars as pl


def main() -> None:
    source, output = sys.argv[1:]
    lines = pl.scan_csv(source, separator="\x01", has_header=False, quote_char=None, schema={"line": pl.String})
    lines.collect().sort("line").write_csv(output, include_header=False, separator="\x01", quote_style="never")


if __name__ == "__main__":
    main()

"""DuckDB: a group-by over the CSV."""

import sys

import duckdb

QUERY = """
COPY (SELECT key, avg(value) FROM read_csv('{source}', columns = {{'key': 'BIGINT', 'value': 'DOUBLE'}}) GROUP BY key)
TO '{output}' (FORMAT csv, DELIMITER '\t', HEADER false)
"""


def main() -> None:
    source, output = sys.argv[1:]
    duckdb.connect(config={"threads": 2}).execute(QUERY.format(source=source, output=output))


if __name__ == "__main__":
    main()

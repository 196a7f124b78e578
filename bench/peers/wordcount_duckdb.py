"""DuckDB: lines read as a one-column table, split, unnested, grouped."""

import sys

import duckdb

QUERY = """
COPY (
    SELECT word, count(*) AS n
    FROM (
        SELECT unnest(string_split(line, ' ')) AS word
        FROM read_csv('{source}', columns = {{'line': 'VARCHAR'}}, delim = '\x01', quote = '', escape = '',
                      header = false, auto_detect = false)
    )
    WHERE word <> ''
    GROUP BY word
) TO '{output}' (FORMAT csv, DELIMITER '\t', HEADER false)
"""


def main() -> None:
    source, output = sys.argv[1:]
    duckdb.connect(config={"threads": 2}).execute(QUERY.format(source=source, output=output))


if __name__ == "__main__":
    main()

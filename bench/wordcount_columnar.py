"""How fast is a word count whose map takes whole blocks (the columnar lane)?"""

from __future__ import annotations

from bench.answers import counts, same_counts
from bench.question import Question, ours, peer

WORDCOUNT_COLUMNAR = Question(
    name="wordcount_columnar",
    title="Word count, columnar",
    data="text",
    contestants=(
        ours("run", "wordcount_columns", "{input}", "-o", "{output}", "--workers", "2", "-q"),
        peer("DuckDB", "wordcount_duckdb", 1.0, "duckdb"),
        peer("Polars", "wordcount_polars", 1.2, "polars"),
    ),
    answer=counts,
    difference=same_counts,
    note="200,000 distinct words by Zipf's law.",
)
QUESTIONS = (WORDCOUNT_COLUMNAR,)

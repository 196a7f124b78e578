"""How fast is a mean by key over a CSV with a million keys?"""

from __future__ import annotations

from bench.answers import close_means, means
from bench.question import Question, ours, peer

SETTINGS = ("--set", "key=key", "--set", "value=value", "--workers", "2", "-q")
MEAN_BY_KEY = Question(
    name="mean_by_key",
    title="Mean by key from CSV, 1M keys",
    data="keyed",
    contestants=(
        ours("run", "mean_by_key", "{input}", "-o", "{output}", *SETTINGS),
        peer("DuckDB", "mean_by_key_duckdb", 0.7, "duckdb"),
        peer("Polars", "mean_by_key_polars", 0.7, "polars"),
    ),
    answer=means,
    difference=close_means,
)
QUESTIONS = (MEAN_BY_KEY,)

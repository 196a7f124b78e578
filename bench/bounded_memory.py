"""Does a worker stay within its memory when the keys alone are more than it may hold?"""

from __future__ import annotations

from bench.answers import line_set, same
from bench.question import Question, ours, peer

MEMORY = "512MB"
BOUNDED_MEMORY = Question(
    name="bounded_memory",
    title=f"Word count of ten million distinct words, {MEMORY} a worker",
    data="wide",
    contestants=(
        ours("run", "wordcount", "{input}", "-o", "{output}", "--memory", MEMORY, "--workers", "2", "-q"),
        peer("DuckDB", "wordcount_duckdb", None, "duckdb"),
    ),
    answer=line_set,
    difference=same,
    size="2GB",
    note="DuckDB has no such bound here: it is there to check the answer.",
)
QUESTIONS = (BOUNDED_MEMORY,)

"""How fast are 100-byte records sorted?"""

from __future__ import annotations

from bench.answers import digest, same
from bench.question import Contestant, Question, ours, peer

GNU_SORT = Contestant(
    name="GNU sort --parallel=2",
    command=("sort", "--parallel=2", "-S", "2G", "-o", "{output}", "{input}"),
    target=1.0,
    programs=("sort",),
    environment={"LC_ALL": "C"},
)
SORT = Question(
    name="sort",
    title="Sort of 100-byte records",
    data="records",
    contestants=(
        ours("run", "sort_records", "{input}", "-o", "{output}", "--workers", "2", "-q"),
        GNU_SORT,
        peer("Polars", "sort_polars", 1.0, "polars"),
    ),
    answer=digest,
    difference=same,
    size="500MB",
    note="Each record ends with a newline, so that line tools sort the same file. GNU sort may hold 2 GiB, as we may.",
)
QUESTIONS = (SORT,)

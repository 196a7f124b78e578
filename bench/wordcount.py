"""How fast is a word count whose map is a plain Python function?"""

from __future__ import annotations

from bench.answers import counts, same_counts
from bench.question import Question, ours, peer

WORDCOUNT = Question(
    name="wordcount",
    title="Word count, Python map function",
    data="text",
    contestants=(
        ours("run", "wordcount", "{input}", "-o", "{output}", "--workers", "2", "-q"),
        peer("multiprocessing + Counter", "wordcount_pool", 0.9),
        peer("PySpark RDD", "wordcount_pyspark", 3, "pyspark", programs=("java",)),
        peer("Dask bag", "wordcount_dask", 3, "dask"),
        peer("mrjob local", "wordcount_mrjob", 40, "mrjob"),
    ),
    answer=counts,
    difference=same_counts,
    note="200,000 distinct words by Zipf's law.",
)
QUESTIONS = (WORDCOUNT,)

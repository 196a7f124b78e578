"""`python -m bench [QUESTION ...]`: measure ours and every installed peer; print tables, keep them.

python -m bench wordcount --size 200MB --size 1GB --runs 3

Tables go to standard output and to bench/results/<date>.md.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import shlex
import sys
from pathlib import Path

from bench.measure import pin_to_two_cpus
from bench.question import Question
from bench.runner import ask, cache
from bench.table import header
from mapreduce.settings import parse_size

FILES = (
    "wordcount",
    "wordcount_columnar",
    "least_squares",
    "sort",
    "kmeans",
    "mean_by_key",
    "overhead",
    "bounded_memory",
    "reliability",
    "cluster",
    "replicas",
)
TABLES = ("accuracy", "accumulator", "tracker_time", "simulate_osdi", "cluster_wire", "broadcast", "segment_reads")
"""Questions that no peer answers: their module has `table(rounds)`."""

ALL = (*FILES, *TABLES)
RESULTS = Path(__file__).parent / "results"


def questions(names: list[str]) -> list[Question]:
    found: list[Question] = []
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        found += module.QUESTIONS
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the engine and its peers.")
    parser.add_argument("question", nargs="*", metavar="QUESTION", help=f"of {', '.join(ALL)}; none: all")
    parser.add_argument("--size", action="append", help="bytes of input, such as 200MB; may be repeated")
    parser.add_argument("--runs", type=int, default=3, help="rounds measured; each run follows a small one")
    parser.add_argument("--peer", action="append", default=[], help="only this peer; may be repeated")
    arguments = parser.parse_args()
    if unknown := set(arguments.question) - set(ALL):
        parser.error(f"no such question: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    pin_to_two_cpus()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # ours would be compiled in each run; peers were when installed
    cache().mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now()
    text = header("python -m bench " + shlex.join(sys.argv[1:]), f"{now:%Y-%m-%d %H:%M}")
    print(text, flush=True)
    asked = arguments.question or list(ALL)
    for question in questions([name for name in asked if name in FILES]):
        for size in arguments.size or [question.size or "200MB"]:
            table = ask(question, parse_size(size), arguments.runs, frozenset(arguments.peer))
            print(table, flush=True)
            text += "\n" + table
    for name in (name for name in asked if name in TABLES):
        table = importlib.import_module(f"bench.{name}").table(arguments.runs)
        print(table, flush=True)
        text += "\n" + table
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y-%m-%d-%H%M%S}.md"
    path.write_text(text)
    print(f"kept in {path}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""What does reliability cost? The same commands with and without journal, checksums and fsync.

The ratio is the time without over ours: 0.95 says that a twentieth of the time goes into being able to lose power.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from bench.least_squares import LEAST_SQUARES
from bench.mean_by_key import MEAN_BY_KEY
from bench.question import Contestant, Question
from bench.sort import SORT
from bench.wordcount import WORDCOUNT
from bench.wordcount_columnar import WORDCOUNT_COLUMNAR

AT_MOST_LOST = 0.05


def with_and_without(question: Question) -> Question:
    """The question, put to ours and to ours without what makes it reliable."""
    ours = question.contestants[0]
    python, _, module, *arguments = ours.command
    assert (python, module) == (sys.executable, "mapreduce")
    without = Contestant(
        "without journal, checksums, fsync", (python, "-m", "bench.unreliable", *arguments), 1 - AT_MOST_LOST
    )
    return replace(
        question,
        name=f"reliability_{question.name}",
        title=f"What reliability costs: {question.title}",
        contestants=(ours, without),
        size=None,
        note="Written to a folder; ours is not to take more than a twentieth longer.",
    )


QUESTIONS = tuple(map(with_and_without, (WORDCOUNT, WORDCOUNT_COLUMNAR, MEAN_BY_KEY, SORT, LEAST_SQUARES)))

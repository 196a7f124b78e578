"""What does it cost to run on an agent's workers, over the wire, what two workers of the local engine do?

Both are commands with start-up: the cluster's begins an agent on this machine (`--hosts localhost:2`), which reads the
input by itself, as the local engine's workers do. Ours here is the cluster; it is not to take more than 10 % longer.
"""

from __future__ import annotations

from dataclasses import replace

from bench.least_squares import LEAST_SQUARES
from bench.question import Contestant, Question
from bench.wordcount import WORDCOUNT

AT_MOST_LONGER = 1.1


def on_agents(question: Question) -> Question:
    """The question, put to ours on an agent with two workers, and to ours with two workers of its own."""
    local = question.contestants[0]
    words = list(local.command)
    where = words.index("--workers")
    words[where : where + 2] = ["--hosts", "localhost:2"]
    return replace(
        question,
        name=f"cluster_{question.name}",
        title=f"On an agent: {question.title}",
        contestants=(replace(local, command=tuple(words)), Contestant("local", local.command, 1 / AT_MOST_LONGER)),
        note="Ours: `--hosts localhost:2`; local: `--workers 2`.",
    )


QUESTIONS = (on_agents(WORDCOUNT), on_agents(LEAST_SQUARES))

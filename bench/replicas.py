"""What do copies of map outputs cost, on three agents with a worker each?

Ours here makes them (`--replicas 2`); beside it the same without copies, and with two of each output. The agents are on
this machine: what is copied passes the loopback, encrypted, and takes time of the same processors as the tasks.
"""

from __future__ import annotations

from dataclasses import replace

from bench.question import Contestant, Question
from bench.sort import SORT
from bench.wordcount import WORDCOUNT

HOSTS = "localhost:1,localhost:1,localhost:1"
AT_MOST_LONGER = 1.1


def with_copies(question: Question) -> Question:
    """The question, put to agents with so many replicas."""
    local = question.contestants[0]

    def command(replicas: int) -> tuple[str, ...]:
        words = list(local.command)
        where = words.index("--workers")
        words[where : where + 2] = ["--hosts", HOSTS, "--replicas", str(replicas)]
        return tuple(words)

    return replace(
        question,
        name=f"replicas_{question.name}",
        title=f"With copies of map outputs: {question.title}",
        contestants=(
            replace(local, command=command(2)),
            Contestant("1 replica", command(1), 1 / AT_MOST_LONGER),
            Contestant("3 replicas", command(3)),
        ),
        size="200MB",
        note=f"`--hosts {HOSTS}`; ours: `--replicas 2`.",
    )


QUESTIONS = (with_copies(WORDCOUNT), with_copies(SORT))

"""One suite, every engine: each test here runs on all of them and must give what plain Python gives.

A new engine is added to `ENGINES`; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mapreduce as mr
from mapreduce.workers.process import Start
from tests.engines.lived import wait_for_workers

ENGINES: dict[str, Callable[[], mr.Engine]] = {
    "inline": lambda: mr.Engine("inline"),
    "local-1": lambda: mr.Engine(workers=1),
    "local-3": lambda: mr.Engine(workers=3),
    "local-exec": lambda: mr.Engine(workers=2, start=Start.EXEC),
    "cluster": lambda: mr.Engine("cluster", hosts="localhost:1,localhost:2"),
}


HERE = Path(__file__).parent

_made: list[mr.Engine] = []


def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """After the suite no cluster of it lives on: its agents would come and go while others look for leftovers."""
    if nextitem is None or HERE not in nextitem.path.parents:
        for engine in _made:
            engine.close()


@pytest.fixture(scope="session", params=list(ENGINES))
def shared_engine(request: pytest.FixtureRequest) -> Iterator[mr.Engine]:
    with ENGINES[request.param]() as engine:
        _made.append(engine)
        engine.run(Nothing(), engine.cache(mr.from_records([1])))  # workers and cache are there before the first test
        if request.param == "cluster":
            wait_for_workers(engine, 3)
        yield engine


class Nothing(mr.Fold):
    """A job that does nothing."""

    def map(self, block: object) -> int:
        return 0

    def reduce(self, a: int, b: int) -> int:
        return 0


@pytest.fixture
def engine(shared_engine: mr.Engine) -> mr.Engine:
    """An engine whose workers live for the whole suite, as they do in a notebook."""
    return shared_engine


LINES = [
    "the quick brown fox",
    "jumps over the lazy dog",
    "",
    "the end   of the story",
    "žluťoučký kůň the 漢字 the",
]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Two small text files, one without a newline at its end."""
    folder = tmp_path / "some books"
    folder.mkdir()
    (folder / "a.txt").write_text("\n".join(LINES) + "\n")
    (folder / "b.txt").write_text("\r\n".join(LINES * 3))
    return folder


def all_lines() -> list[str]:
    return LINES * 4

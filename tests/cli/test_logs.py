"""Do log records reach stderr once, at the level that was asked for, whatever stderr is by then?"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from mapreduce.logs import configure


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("mapreduce")
    before = (logger.level, logger.handlers[:], logger.propagate)
    yield logger
    logger.level, logger.handlers, logger.propagate = before


@pytest.mark.parametrize(
    ("verbosity", "quiet", "shown"),
    [(0, False, ["WARNING"]), (1, False, ["INFO", "WARNING"]), (2, False, ["DEBUG", "INFO", "WARNING"]), (0, True, [])],
)
def test_levels(
    verbosity: int, quiet: bool, shown: list[str], logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(verbosity, quiet=quiet)
    configure(verbosity, quiet=quiet)
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logger.getChild("engine").log(level, "hello")
    assert [line.split()[1] for line in stderr.getvalue().splitlines()] == shown

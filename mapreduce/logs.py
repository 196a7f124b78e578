"""Where do log records go? To stderr, when the command line asks; a library user configures `logging` as always."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
"""By number of -v. Quiet is a level of its own: errors alone."""


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what is stderr now: a live view replaces it while it is shown."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        """Ignored: always the present stderr."""


def configure(verbosity: int, *, quiet: bool = False) -> None:
    """Send the package's records to stderr: warnings, with 1 progress of work, with 2 everything. Twice is harmless."""
    logger = logging.getLogger("mapreduce")
    logger.setLevel(logging.ERROR if quiet else LEVELS[min(verbosity, len(LEVELS) - 1)])
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        handler = _StderrHandler()
        handler.setFormatter(
            logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
        )
        logger.addHandler(handler)
        logger.propagate = False


def tell_of(name: str) -> None:
    """Send the records of one part to stderr from progress on, whatever the level of the others."""
    part = logging.getLogger(name)
    part.setLevel(min(part.getEffectiveLevel(), logging.INFO))

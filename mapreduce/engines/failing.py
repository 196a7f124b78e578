"""What does a job that failed raise? An error whose class says who must act, with the user's own exception as cause."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mapreduce.errors import InternalError, MapReduceError

if TYPE_CHECKING:
    from mapreduce.tracker.outcome import JobOutcome

logger = logging.getLogger(__name__)


def error_of(outcome: JobOutcome) -> MapReduceError:
    """The error that a failed job raises: its class from the failure that decided, the original as its cause."""
    report = outcome.failure
    if report is None:
        return InternalError(outcome.reason)
    failure = report.failure
    lines = [outcome.reason]
    if failure.place:
        lines.append(f"at {failure.place}")
    if failure.record:
        lines.append(f"record: {failure.record}")
    error = failure.error_class("\n".join(lines))
    error.failure = failure
    if failure.pickled is not None:
        error.__cause__ = _original(failure.pickled)
    return error


def _original(pickled: bytes) -> BaseException | None:
    """The exception that the user's code raised, where it can be unpickled here as it could in the worker."""
    import pickle

    try:
        original = pickle.loads(pickled)
    except Exception as error:
        logger.debug("the original exception could not be unpickled: %s", error)
        return None
    return original if isinstance(original, BaseException) else None

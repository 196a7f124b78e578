"""Who must act when something goes wrong?

Every error that a user can see is a `MapReduceError`, and its class says whose turn it is. The class, never the text,
decides about retrying (`retryable`) and about the exit code of the command line (`exit_code`). A message names the
thing, the rule that it broke and the remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from mapreduce.dataflow.results import Failure
    from mapreduce.ids import TaskId


class MapReduceError(Exception):
    """Base of all errors raised on purpose. `retryable`: another attempt may succeed. `exit_code`: of the command."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1
    failure: Failure | None = None
    """Of a job that failed: what its last attempt told, with the user's traceback."""


class UsageError(MapReduceError):
    """The call is wrong: an unknown name, a setting that does not parse, an output that exists. The user mends it."""

    exit_code = 2


class InputError(MapReduceError, ValueError):
    """The data is wrong: missing file, ragged row, not a number. Names file, place and value; never retried."""

    exit_code = 2


class EmptyInputError(InputError):
    """A fold has no block to map and no `zero()` to finish from. Other jobs take empty input as it is."""


class ResourceError(MapReduceError):
    """The machine lacks something: space, permission, memory. Whoever owns the machine acts."""

    exit_code = 2


class WorkerMemoryError(ResourceError):
    """A task needs more memory than its worker may use. Tried again with less in hand, then the user gives more."""

    retryable = True


class JobError(MapReduceError):
    """The user's own code raised. Retried (it may be flaky); then shown with its traceback, record and place."""

    retryable = True


class LostWorkerError(MapReduceError):
    """A worker process died or fell silent. Nobody must act: the task runs again elsewhere."""

    retryable = True


class OutputLostError(MapReduceError):
    """A segment or partial is missing or fails its checksum. `tasks`, which made it, run again."""

    retryable = True
    path: str | None = None
    tasks: tuple[TaskId, ...] = ()


class WireError(MapReduceError):
    """Another host says what none of ours would say, or can't be let in: another version, another key. Whoever runs
    that host acts; the message says what there."""

    exit_code = 2


class InternalError(MapReduceError):
    """We broke one of our own promises. Please report it."""


def near(name: str, known: list[str] | tuple[str, ...]) -> str:
    """Words for an error message: the near names among `known`, else all of them."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(word) for word in close) + "?"
    return "known: " + ", ".join(known) if known else "there are none"

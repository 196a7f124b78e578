"""What does an attempt hand back? Values that cross from a worker to the tracker, and nothing but plain data."""

from __future__ import annotations

import os
import pickle
import traceback
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from mapreduce.dataclass import dataclass, field
from mapreduce.dataflow.monitor import OverMemoryError
from mapreduce.errors import (
    EmptyInputError,
    InputError,
    JobError,
    LostWorkerError,
    MapReduceError,
    OutputLostError,
    ResourceError,
    UsageError,
    WorkerMemoryError,
)

if TYPE_CHECKING:
    from mapreduce.ids import TaskId


@dataclass(frozen=True, slots=True)
class Output:
    """Where an attempt's result rests: a file (path relative to the job directory) or a small payload carried along."""

    path: str | None = None
    inline: bytes | None = None
    checksum: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class TaskStats:
    """What one attempt read, wrote and cost."""

    bytes_in: int = 0
    records_in: int = 0
    records_out: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    spills: int = 0


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """A finished attempt."""

    output: Output
    counters: dict[str, int] = field(default_factory=dict)
    stats: TaskStats = field(default_factory=TaskStats)


class FailureKind(Enum):
    """Whose turn it is after a failed attempt; decides, alone, whether another attempt makes sense."""

    USER = "user"  # the job's own code raised
    INPUT = "input"  # the data is wrong
    EMPTY = "empty"  # there is no data
    USAGE = "usage"  # the job or a setting is wrong
    RESOURCE = "resource"  # no space, no permission
    MEMORY = "memory"  # more than a worker may use, or than there is
    LOST = "lost"  # the worker died
    TIMEOUT = "timeout"  # no progress
    OUTPUT_LOST = "output lost"  # a segment or partial is missing or damaged
    INTERNAL = "internal"  # our bug

    @property
    def retryable(self) -> bool:
        return self in _RETRYABLE


_RETRYABLE = (
    FailureKind.USER,
    FailureKind.MEMORY,  # the next attempt takes less of it, or has it alone
    FailureKind.LOST,
    FailureKind.TIMEOUT,
    FailureKind.OUTPUT_LOST,
)


_ERROR_CLASSES: dict[FailureKind, type[MapReduceError]] = {
    FailureKind.USER: JobError,
    FailureKind.EMPTY: EmptyInputError,  # before INPUT, of which it is a kind
    FailureKind.INPUT: InputError,
    FailureKind.USAGE: UsageError,
    FailureKind.MEMORY: WorkerMemoryError,  # before RESOURCE, likewise
    FailureKind.RESOURCE: ResourceError,
    FailureKind.LOST: LostWorkerError,
    FailureKind.TIMEOUT: LostWorkerError,
    FailureKind.OUTPUT_LOST: OutputLostError,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, as text: the type's name, its message, the traceback, and the record with its place.

    `pickled` holds the original exception only if it survived a round trip in the worker. `lost` names the tasks of the
    stage before whose outputs could not be read. `exit_code` is how its process ended, if it did, below 0 for a signal;
    `peak_memory_bytes` what it held at most as far as was seen, `limit_bytes` what it might have; 0 is unknown.
    """

    kind: FailureKind
    type_name: str
    message: str
    traceback: str = ""
    record: str | None = None
    place: str | None = None
    pickled: bytes | None = None
    lost: tuple[TaskId, ...] = ()
    exit_code: int | None = None
    peak_memory_bytes: int = 0
    limit_bytes: int = 0

    @property
    def error_class(self) -> type[MapReduceError]:
        from mapreduce.errors import InternalError

        return _ERROR_CLASSES.get(self.kind, InternalError)


_PACKAGE = Path(__file__).resolve().parent.parent
_LIBRARY = str(Path(os.__file__).parent) + os.sep
_LOOPS = (
    *(f"reducers/{name}.py" for name in ("base", "named", "sums", "exact_sums")),
    *(f"dataflow/{name}.py" for name in ("attempt", "combine", "fold_task", "map_task", "mapped", "plain_pairs")),
    *("dataflow/reduce_task.py", "kernels/pairs.py"),
)
"""Ours, but what they call or add up is the job's: it may be written in C and have no frame of its own."""

_OURS = ("numpy", "pyarrow", "numba", "llvmlite", "xxhash", "psutil")
"""Packages that we call; a job's calls of these have a frame of the job above them."""


def kind_of(error: BaseException) -> FailureKind:
    """The kind of failure that an exception stands for: the user's, unless it is one of ours or no code of theirs
    took part."""
    for kind, error_class in _ERROR_CLASSES.items():
        if isinstance(error, error_class):
            return kind
    if isinstance(error, MapReduceError):
        return FailureKind.INTERNAL
    if isinstance(error, MemoryError | OverMemoryError):
        return FailureKind.MEMORY
    return FailureKind.INTERNAL if _is_our_bug(error) else FailureKind.USER


def _is_our_bug(error: BaseException) -> bool:
    """True if the exception came about in this package and in what it calls, and not by values of the job."""
    if not isinstance(error, Exception) or isinstance(error, OSError | RecursionError | pickle.PickleError):
        return False
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not files or files[-1] in {str(_PACKAGE / name) for name in _LOOPS}:
        return False
    return all(map(_is_our_file, files))


def _is_our_file(file: str) -> bool:
    if file.startswith((str(_PACKAGE) + os.sep, "<frozen ")):
        return True
    for packages in ("site-packages", "dist-packages"):
        _, found, path = file.partition(os.sep + packages + os.sep)
        if found:
            return path.partition(os.sep)[0] in _OURS
    return file.startswith(_LIBRARY)


def failure_from(error: BaseException, *, record: str | None = None, place: str | None = None) -> Failure:
    """Describe a caught exception. Never raises: an exception whose `str` fails is described by its type."""
    try:
        message = str(error)
    except Exception as unprintable:
        message = f"(its message could not be printed: {type(unprintable).__name__})"
    text = "".join(traceback.format_exception(error))
    lost = error.tasks if isinstance(error, OutputLostError) else ()
    return Failure(kind_of(error), type(error).__qualname__, message, text, record, place, lost=lost)

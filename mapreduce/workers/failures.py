"""How is an exception described, so that its description always reaches the user?

A pool that sends exceptions as pickles hangs when one can't be unpickled. Here text travels, always; the original comes
along only if it survived the round trip in the process that raised it.
"""

from __future__ import annotations

import contextlib
import pickle
import traceback
from types import TracebackType

from mapreduce.dataclass import replace
from mapreduce.dataflow.monitor import Monitor, OverMemoryError
from mapreduce.dataflow.results import Failure, FailureKind, failure_from

RECORD_CHARS = 1_000
MESSAGE_CHARS = 10_000
TRACEBACK_CHARS = 50_000
PICKLE_BYTES = 64_000

NO_DEBUGGER = "breakpoint() needs a terminal, which workers have none of; debug with --inline (engine='inline')"


def describe(error: BaseException, monitor: Monitor | None = None, skip_frames: int = 0) -> Failure:
    """Failure of an attempt, with the record in hand and its place. Never raises, whatever the exception does.

    `skip_frames` outermost frames are ours, and of no interest.
    """
    original = error.__traceback__
    monitor = monitor or Monitor()
    record, place = monitor.record, monitor.place
    if record is None and place is None and (isinstance(error, MemoryError) or not isinstance(error, Exception)):
        record, place = monitor.whereabouts()
    try:
        failure = failure_from(
            error.with_traceback(_inner(original, skip_frames)),
            record=None if record is None else _shown(record),
            place=place,
        )
    except Exception:  # the exception's own attributes or class raise when looked at
        text = "".join(traceback.format_tb(original))
        failure = replace(failure_from(RuntimeError("the exception cannot be shown")), traceback=text)
    if isinstance(error, OverMemoryError):
        failure = replace(failure, type_name="WorkerMemoryError")
    if failure.type_name == "BdbQuit":
        failure = replace(failure, kind=FailureKind.USAGE, message=NO_DEBUGGER)
    return replace(
        failure,
        message=_cut(failure.message, MESSAGE_CHARS),
        traceback=_cut(failure.traceback, TRACEBACK_CHARS),
        pickled=_round_trip(error),
    )


def over_memory(sentence: str, monitor: Monitor) -> Failure:
    """Failure of an attempt whose worker is ended for its memory, from another thread than the attempt's."""
    record, place = monitor.whereabouts()
    shown = None if record is None else _shown(record)
    return Failure(FailureKind.MEMORY, "WorkerMemoryError", sentence, record=shown, place=place)


def _inner(frames: TracebackType | None, skip: int) -> TracebackType | None:
    for _ in range(skip):
        if frames is not None and frames.tb_next is not None:
            frames = frames.tb_next
    return frames


def _shown(record: object) -> str:
    if isinstance(record, str):  # a task's own words for it
        return _cut(record, RECORD_CHARS)
    try:
        return _cut(repr(record), RECORD_CHARS)
    except Exception as error:
        return f"(a {type(record).__name__}, whose repr raises {type(error).__name__})"


def _cut(text: str, chars: int) -> str:
    """Both ends matter: a traceback's last line says what, its first where from."""
    if len(text) <= chars:
        return text
    return f"{text[: chars // 2]}\n... {len(text) - chars} characters left out ...\n{text[-chars // 2 :]}"


def _round_trip(error: BaseException) -> bytes | None:
    # Runs code of the exception's class, which may do anything: what fails here would fail there.
    with contextlib.suppress(BaseException):
        data = pickle.dumps(error, protocol=5)
        if len(data) <= PICKLE_BYTES and type(pickle.loads(data)) is type(error):
            return data
    return None

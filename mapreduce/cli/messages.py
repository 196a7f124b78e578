"""What does a person read when something went wrong? One message on stderr; of their own code, their own traceback."""

from __future__ import annotations

import traceback
from pathlib import Path

import click

from mapreduce.errors import InternalError, JobError, MapReduceError, WorkerMemoryError
from mapreduce.storage.job_folder import GOES_ON, LEFT_BEHIND

PACKAGE = str(Path(__file__).resolve().parent.parent)
_OWN_NAMES = frozenset(cls.__name__ for cls in (*MapReduceError.__subclasses__(), WorkerMemoryError))
"""Errors that are raised on purpose: their message says all."""

OUR_FAULT = "(this is a fault in mapreduce itself; please report it)"

_verbosity = 0


def set_verbosity(verbosity: int) -> None:
    """With 2 and more every error comes with its traceback."""
    global _verbosity
    _verbosity = verbosity


def say(text: str) -> None:
    """A line on stderr."""
    click.echo(text, err=True)


def show_error(error: BaseException | str, code: int) -> int:
    """Print an error, and what is left of the job that it ended; returns the exit code."""
    if isinstance(error, BaseException):
        _show_traceback(error)
    say(f"{click.style('error:', fg='red', bold=True)} {_text_of(error)}")
    if isinstance(error, BaseException):
        for note in _notes_on_what_is_left(error):
            say(note)
    return code


def show_stop(error: BaseException, word: str, code: int) -> int:
    """Print that the user, or the system, ended the job, and what is left of it; returns the exit code."""
    show_error(word, code)
    for note in _notes_on_what_is_left(error):
        say(note)
    return code


def _notes_on_what_is_left(error: BaseException) -> list[str]:
    return [note for note in getattr(error, "__notes__", ()) if note.startswith((LEFT_BEHIND, GOES_ON))]


def _text_of(error: BaseException | str) -> str:
    if isinstance(error, str):
        return error
    if isinstance(error, OSError):  # where nobody knew more to say: a full disk, no permission
        return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if not isinstance(error, MapReduceError):
        return f"{type(error).__name__}: {error} {OUR_FAULT}"
    failure = getattr(error, "failure", None)
    if failure is not None and error.exit_code == 2 and not isinstance(error, WorkerMemoryError):
        return str(failure.message)  # it names file, place and remedy; which task met it helps nobody
    ours = isinstance(error, InternalError) and "please report it" not in str(error)
    return f"{error} {OUR_FAULT}" if ours else str(error)


def show_usage_error(error: click.UsageError) -> int:
    """Print what is wrong with the command line, with near names and where to read on."""
    text = error.format_message()
    if isinstance(error, click.NoSuchOption):
        near_names = " or ".join(error.possibilities or ())
        text = f"no option {error.option_name}" + (f"; did you mean {near_names}?" if near_names else "")
    elif isinstance(error, click.MissingParameter) and error.param is not None:
        text = f"{error.param.make_metavar(error.ctx) if error.ctx else error.param.name} is missing"
    path = error.ctx.command_path if error.ctx is not None else "mapreduce"
    return show_error(f"{text}\ntry: {path} -h", 2)


def user_traceback(text: str) -> str:
    """A traceback without this package's frames before the first of the user's; '' if none is the user's."""
    lines = text.rstrip("\n").splitlines()
    start = next((index for index, line in enumerate(lines) if line.startswith("Traceback (")), None)
    if start is None:
        return "\n".join(lines)
    frame_starts = [index for index in range(start + 1, len(lines)) if lines[index].startswith('  File "')]
    for index in frame_starts:
        if not lines[index].startswith((f'  File "{PACKAGE}', '  File "<frozen')):
            return "\n".join([*lines[: start + 1], *lines[index:]])
    return ""


def _other_notes(error: BaseException) -> list[str]:
    return [note for note in getattr(error, "__notes__", ()) if not note.startswith((LEFT_BEHIND, GOES_ON))]


def _show_traceback(error: BaseException) -> None:
    if _verbosity >= 2 or not isinstance(error, MapReduceError | OSError):
        say("".join(traceback.format_exception(error)).rstrip("\n"))
        return
    failure = getattr(error, "failure", None)
    if isinstance(error, InternalError) and failure is not None:
        say(failure.traceback.rstrip("\n"))
    if not isinstance(error, JobError | WorkerMemoryError):
        return
    texts = [failure.traceback] if failure is not None else _other_notes(error)
    on_purpose = failure is not None and failure.type_name in _OWN_NAMES
    for text in texts:
        shown = user_traceback(text) or ("" if on_purpose else text.rstrip("\n"))
        if shown:
            say(shown)

"""How does a command read its input? As --format says, else as the job expects, else by the file's suffix.

A job may say how it is read:

    input_format     name of the format (class attribute; 'text' where it says nothing). 'csv' stands for any table:
                     a file whose suffix says tsv, jsonl, parquet or arrow is read as that
    input_options    options of that format, as a dictionary
    input_columns    which columns it needs; the others are not parsed
    dataset(paths, read)   all of it by itself; `read(path)` reads one path as the options of the command line say
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from mapreduce.cli.options import bind_options, options_of
from mapreduce.errors import UsageError, near

if TYPE_CHECKING:
    from mapreduce.dataset import Dataset
    from mapreduce.formats.base import InputFile

TABLES = ("csv", "tsv", "jsonl", "parquet", "arrow")


def open_job_input(job: Any, paths: Sequence[str], format_name: str | None, reading: Sequence[str]) -> Dataset:
    """The input of a job. Raises UsageError for unknown formats and options, InputError for what is not there."""

    def read(*some: str) -> Dataset:
        from mapreduce.readers import read as read_paths

        name = format_name or _format_for(str(getattr(job, "input_format", "text")), some)
        options = _options(name, reading)
        if format_name is None:
            options = {**(getattr(job, "input_options", None) or {}), **options}
        columns = getattr(job, "input_columns", None)
        if columns is not None and "columns" not in options and _takes(name, "columns"):
            options["columns"] = list(columns)
        return read_paths(*some, format=name, **options)

    own = getattr(job, "dataset", None)
    dataset: Dataset = own(list(paths), read) if callable(own) else read(*paths)
    return dataset


def _format_for(expected: str, paths: Sequence[str]) -> str:
    """What a job expects; where that is a table, the kind of table that the files' suffixes stand for."""
    from mapreduce.formats.inputs import STDIN
    from mapreduce.formats.registry import guess_format

    if expected != "csv" or STDIN in paths:
        return expected
    found = guess_format(_found_or_named(paths))
    return found if found in TABLES else expected


class Tables(NamedTuple):
    """More tables with columns of the same rows as the input's: a path, folder or glob each, and the column by which
    rows are the same (None: by their order)."""

    paths: tuple[str, ...] = ()
    on: str | None = None


def open_table(
    paths: Sequence[str],
    format_name: str | None,
    reading: Sequence[str],
    tables: Tables = Tables(),  # noqa: B008
    **columns: str | int | None,
) -> Dataset:
    """The input of an algorithm: of any format with columns of numbers, by suffix where none is named.

    `columns` are options of the format that the command gives by itself, as on the command line: target, features,
    weights.
    """
    from mapreduce.readers import read

    if tables.on is not None and not tables.paths:
        raise UsageError("--on names the column by which tables are joined; name the other tables with --beside")
    name = format_of(paths, format_name)
    if tables.paths:
        from mapreduce.vertical import beside

        others = [read(path, format=format_of([path])) for path in tables.paths]
        features = columns.pop("features", None)
        names = None if features is None else str(features).split(",")
        first = read(*paths, format=name, **_options(name, reading))
        return beside(first, *others, features=names, on=tables.on, **columns)  # type: ignore[arg-type]
    assignments = [f"{option}={value}" for option, value in columns.items() if value is not None]
    for option, value in columns.items():
        if value is not None and not _takes(name, option):
            raise UsageError(f"{name} files name no {option}; leave out --{option}, or choose another --format")
    return read(*paths, format=name, **_options(name, [*assignments, *reading]))


def suited(estimator: Any, dataset: Dataset) -> Dataset:
    """The dataset as an estimator, or its class, reads it: the target of a classifier may be text, and so may the
    features of one that says `takes_categories`."""
    if getattr(estimator, "kind", None) == "classifier":
        dataset = dataset.with_labels()
    return dataset.with_categories() if getattr(estimator, "takes_categories", False) else dataset


def format_of(paths: Sequence[str], format_name: str | None = None) -> str:
    """The format with columns that is named, or that the suffixes stand for. Raises UsageError where there is none."""
    from mapreduce.formats.inputs import STDIN
    from mapreduce.formats.registry import guess_format

    if format_name is not None:
        return format_name
    if STDIN in paths:
        raise UsageError("standard input has no suffix; name its format, such as --format csv")
    name = guess_format(_found_or_named(paths))
    if name == "text":
        raise UsageError(
            f"the name of {paths[0]} does not say what columns it has; name the format, such as --format csv"
        )
    return name


def _found_or_named(paths: Sequence[str]) -> list[InputFile]:
    """The files; of those on hosts of a cluster, which is not there yet, the names alone tell the format."""
    from mapreduce.formats.base import InputFile
    from mapreduce.formats.inputs import find_files, is_on_hosts

    here = [path for path in paths if not is_on_hosts(path)]
    named = [InputFile(path, 0) for path in paths if is_on_hosts(path)]
    return (find_files(here) if here or not named else []) + named


@contextmanager
def without_stdin(dataset: Dataset) -> Iterator[Dataset]:
    """The dataset with standard input copied to a file, because a task may be run again; the file goes afterwards."""
    if not dataset.reads_stdin:
        yield dataset
        return
    from mapreduce.storage.leftovers import make_temporary_folder, remove_temporary_folder

    folder = make_temporary_folder("stdin")
    try:
        yield dataset.spooled(folder)
    finally:
        remove_temporary_folder(folder)


def _options(format_name: str, reading: Sequence[str]) -> dict[str, Any]:
    if not reading:
        return {}
    return bind_options(_reader(format_name), reading, what=f"format {format_name}", flag="--read", partial=True)


def _takes(format_name: str, option: str) -> bool:
    return any(known.name == option for known in options_of(_reader(format_name)))


def _reader(format_name: str) -> Callable[..., Any]:
    """The function that reads a format: its parameters are the options, with their types."""
    from mapreduce import readers
    from mapreduce.formats.registry import FORMATS

    if format_name not in FORMATS:
        raise UsageError(f"no format {format_name!r}; {near(format_name, list(FORMATS))}")
    reader: Callable[..., Any] = getattr(readers, f"read_{'csv' if format_name == 'tsv' else format_name}")
    return reader

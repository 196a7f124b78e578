"""What have the columnar file formats, Parquet and Arrow IPC, in common? Opening, choosing columns, one schema.

A file of a dataset must have the columns of the first one: same names, same types, same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import InputError, UsageError, near
from mapreduce.formats.base import InputFile
from mapreduce.formats.inputs import is_remote, local_path, open_input
from mapreduce.formats.roles import NO_ROLES, Roles, check_target, choose_roles, default_features

if TYPE_CHECKING:
    from mapreduce.formats.remote import Place

VARIABLE_BYTES = 32
"""Taken for a string or list of which nothing else is known."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read of each row: column names in file order (None: all), what they are for, and all types."""

    names: tuple[str, ...] | None = None
    roles: Roles = NO_ROLES
    kinds: tuple[tuple[str, str], ...] = ()


EVERY_COLUMN = Columns()


def open_native(file: InputFile, *, mapped: bool = False) -> pa.NativeFile:
    """The file for Arrow's own readers; the caller closes. `mapped`: local bytes are mapped into memory, not read."""
    if is_remote(file.path):
        from mapreduce.formats.remote import connect

        place: Place = connect(file.path)
        with telling(file):
            return place.system.open_input_file(place.path)
    with open_input(file):  # for its messages: Arrow's name no remedy
        pass
    path = local_path(file)
    if path is None:
        return pa.PythonFile(open_input(file), mode="r")
    try:
        return pa.memory_map(path) if mapped else pa.OSFile(path)
    except UnicodeError:  # a name that is no UTF-8
        return pa.PythonFile(open_input(file), mode="r")


@contextmanager
def telling(file: InputFile, kind: str = "readable") -> Iterator[None]:
    """Turn Arrow's complaints about a file into InputErrors that name it."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and isinstance(error.errno, int) and not isinstance(error, pa.ArrowException):
            raise InputError(f"{file.path}: cannot be read: {error}") from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{file.path}: not {kind} data, or damaged: {reason}; write it again") from error


def common_schema(files: Sequence[InputFile], schema_of: Callable[[InputFile], pa.Schema]) -> pa.Schema | None:
    """The schema that all files have; None if every file is empty. Raises InputError that names two that differ."""
    first: pa.Schema | None = None
    first_path = ""
    for file in files:
        if file.size == 0:
            continue
        schema = schema_of(file)
        if first is None:
            first, first_path = schema, file.path
            _check_names(file, schema)
        elif not schema.equals(first):
            raise InputError(
                f"{file.path} and {first_path} have different columns: {_difference(schema, first)}; read them apart, "
                f"or write them with the same columns"
            )
    return first


def _check_names(file: InputFile, schema: pa.Schema) -> None:
    twins = [name for number, name in enumerate(schema.names) if name in schema.names[:number]]
    if twins:
        raise InputError(f"{file.path}: more than one column is named {twins[0]!r}; rename one")


def _difference(schema: pa.Schema, first: pa.Schema) -> str:
    if schema.names != first.names:
        more = [name for name in schema.names if name not in first.names]
        less = [name for name in first.names if name not in schema.names]
        parts = [f"it has {more}" if more else "", f"it lacks {less}" if less else ""]
        return " and ".join(part for part in parts if part) or f"their order is {schema.names}, not {first.names}"
    name = next(name for name in schema.names if schema.field(name) != first.field(name))
    return f"{name!r} is {_words(schema.field(name))}, not {_words(first.field(name))}"


def _words(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"


def choose_columns(schema: pa.Schema, columns: Sequence[str] | None, asked: Roles, *, only_roles: bool) -> Columns:
    """Which columns to read: those named; else, where features are named, these, target and weights (`only_roles`);
    else all."""
    for name in columns or ():
        if name not in schema.names:
            raise UsageError(f"no column {name!r}; {near(name, schema.names)}")
    if columns is not None and not columns:
        raise UsageError("columns is empty; name at least one column, or none to read all")
    kinds = [(field.name, str(field.type)) for field in schema]
    check_target(kinds, asked)
    pool = [(name, kind) for name, kind in kinds if columns is None or name in columns or name in asked.named]
    if asked.features is None and not default_features(pool, asked):
        roles = replace(asked, features=())  # a job may not ask for X; if it does, the block complains
    else:
        roles = choose_roles(pool if asked.features is None else kinds, asked)
    if columns is None and not only_roles:
        return Columns(None, roles, tuple(kinds))
    needed = {*(columns or ()), *roles.named}
    return Columns(tuple(name for name in schema.names if name in needed), roles, tuple(pool))


def selected_fields(schema: pa.Schema, columns: Columns) -> list[pa.Field]:
    return [field for field in schema if columns.names is None or field.name in columns.names]


def fixed_bytes(kind: pa.DataType) -> float | None:
    """Bytes of a value in memory; None if they vary."""
    try:
        return float(kind.bit_width) / 8
    except ValueError:
        return None


def slices(batch: pa.RecordBatch, start: int, end: int, step: int) -> Iterator[Any]:
    """Rows [start, end) in slices that end at multiples of `step`."""
    while start < end:
        stop = min(end, (start // step + 1) * step)
        yield start, batch.slice(start, stop - start)
        start = stop

"""Which types has a column of text, and what are they called? Shared by the formats that find types by looking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mapreduce.errors import UsageError, near
from mapreduce.formats.features import choose_features

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_BYTES = 256 << 10
"""How much of the first file is looked at to find types."""

ARROW_NAMES = {"int": "int64", "float": "double", "bool": "bool", "string": "string", "json": "string"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and 'int' (of 64 bits), 'float', 'bool', 'string' or 'json' (any value, as its text)."""

    name: str
    type: str


def arrow_types(columns: Sequence[Column]) -> dict[str, pa.DataType]:
    import pyarrow as pa

    return {column.name: pa.type_for_alias(ARROW_NAMES[column.type]) for column in columns}


def apply_types(columns: Sequence[Column], types: Mapping[str, str], allowed: Sequence[str]) -> tuple[Column, ...]:
    """The columns with the types that the user named. Raises UsageError for an unknown column or type."""
    names = [column.name for column in columns]
    for name, type in types.items():
        if name not in names:
            raise UsageError(f"types names {name!r}, which is no column of the input; {near(name, names)}")
        if type not in allowed:
            raise UsageError(f"types={{{name!r}: {type!r}}}: no such type; {near(type, list(allowed))}")
    return tuple(Column(column.name, types.get(column.name, column.type)) for column in columns)


def check_selection(columns: Sequence[Column], selection: Sequence[str] | None) -> None:
    """Refuse a selection that names what is not there. Raises UsageError."""
    names = [column.name for column in columns]
    for name in selection or ():
        if name not in names:
            raise UsageError(f"no column {name!r} in the input; {near(name, names)}")


def features_of(
    columns: Sequence[Column], selection: Sequence[str] | None, features: Sequence[str] | None, target: str | None
) -> tuple[str, ...]:
    """X's columns: those named, else the number columns of the selection but the target; () if there is none.

    Raises UsageError where a name is unknown, or is no number column.
    """
    asked = {*([column.name for column in columns] if selection is None else selection), *(features or ()), target}
    kinds = [(column.name, ARROW_NAMES[column.type]) for column in columns if column.name in asked]
    if features is None and all(kind == "string" or name == target for name, kind in kinds):
        if target is not None:
            choose_features(kinds, (target,), None)  # raises where the target is no number column
        return ()
    return choose_features(kinds, features, target)


def check_string_lists(**options: object) -> None:
    """Refuse a string where a list of strings belongs: 'ab' would be read as 'a' and 'b'."""
    for name, value in options.items():
        if isinstance(value, str):
            raise UsageError(f"{name} is the string {value!r}; give a list of strings: [{value!r}]")

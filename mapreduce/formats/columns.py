"""Which types has a column of text, and what are they called? Shared by the formats that find types by looking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import UsageError, near
from mapreduce.formats.roles import Roles, check_target, choose_roles, default_features

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


def kind_of(column: Column) -> str:
    """Its type in Arrow's words; 'json' for what is no text but written as one."""
    return "json" if column.type == "json" else ARROW_NAMES[column.type]


def kinds_of(columns: Sequence[Column], selection: Sequence[str] | None, asked: Roles) -> list[tuple[str, str]]:
    """Names and types of the columns that are selected (None: all), or have a role."""
    wanted = {*([column.name for column in columns] if selection is None else selection), *asked.named}
    return [(column.name, kind_of(column)) for column in columns if column.name in wanted]


def roles_of(columns: Sequence[Column], selection: Sequence[str] | None, asked: Roles) -> Roles:
    """The roles with X's columns named: those asked for, else all of the selection that can be; () if there is none.

    Raises UsageError where a name is unknown, or of a type that does not suit.
    """
    kinds = kinds_of(columns, selection, asked)
    if asked.features is None and not default_features(kinds, asked):
        check_target(kinds, asked)
        return replace(asked, features=())
    return choose_roles(kinds, asked)


def check_string_lists(**options: object) -> None:
    """Refuse a string where a list of strings belongs: 'ab' would be read as 'a' and 'b'."""
    for name, value in options.items():
        if isinstance(value, str):
            raise UsageError(f"{name} is the string {value!r}; give a list of strings: [{value!r}]")

"""What are the columns for? The features, the target, the weights of rows; and which types may be which.

X and y take numbers. Where a dataset was made `with_labels` the target names classes and may be text, where it was made
`with_categories` the features may be text too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import InputError, UsageError, near
from mapreduce.formats.base import Format

NUMERIC_TYPES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "halffloat", "float", "double"]
)  # as str(pa.DataType) words them; decimal128(p, s) and its kin count too

OTHER_DELIMITERS = (";", "\t", "|", ",")
"""What else tells columns apart: a table of one column with such a name was read with another."""

TEXT_TYPES = frozenset(["string", "large_string", "string_view"])

Kinds = Sequence[tuple[str, str]]
"""The columns of a file in their order: names, and types in Arrow's words."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of an input are for.

    features    X's columns, in this order; None: all that can be features, but the target and the weights
    target      y's column
    weights     the column with the weight of each row
    labels      whether the target names classes: then it may be text
    categories  whether the features do
    """

    features: tuple[str, ...] | None = ()
    target: str | None = None
    weights: str | None = None
    labels: bool = False
    categories: bool = False

    @property
    def named(self) -> tuple[str, ...]:
        """All columns that have a role."""
        return (*(self.features or ()), *(name for name in (self.target, self.weights) if name is not None))

    def can_be_feature(self, type_name: str) -> bool:
        return names_classes(type_name) if self.categories else is_numeric(type_name)


NO_ROLES = Roles()


@dataclass(frozen=True, slots=True)
class RoleFormat(Format):
    """A format of columns with names: which of them have which role is among its options, see `Roles`."""

    target: str | int | None = None
    features: Sequence[str | int] | None = None
    weights: str | int | None = None
    labels: bool = False
    categories: bool = False
    given: Roles | None = None  # instead of what the options say, by who reads several tables as one

    @property
    def asked(self) -> Roles:
        """The roles as the options say."""
        if self.given is not None:
            return self.given
        if self.features is not None and not len(self.features):
            raise UsageError("features is empty; name at least one column, or none to take every numeric column")
        features = None if self.features is None else tuple(map(str, self.features))
        return Roles(features, self.target_name(), self.weights_name(), self.labels, self.categories)

    def kinds(self) -> Kinds | None:
        """Names and types of the columns, of a resolved format; None where they have no names."""
        return None

    def with_labels(self) -> Self:
        return replace(self, labels=True)

    def with_categories(self) -> Self:
        return replace(self, categories=True)

    def target_name(self) -> str | None:
        return None if self.target is None else str(self.target)

    def weights_name(self) -> str | None:
        return None if self.weights is None else str(self.weights)


def is_numeric(type_name: str) -> bool:
    """Whether a column of this Arrow type, in Arrow's words, can stand in X or y."""
    return type_name in NUMERIC_TYPES or type_name.startswith("decimal")


def names_classes(type_name: str) -> bool:
    """Whether values of this Arrow type can be labels: text, numbers and truth values."""
    if type_name.startswith("dictionary<values="):
        type_name = type_name.removeprefix("dictionary<values=").split(",")[0]
    return type_name in TEXT_TYPES or is_numeric(type_name)


def choose_roles(columns: Kinds, asked: Roles) -> Roles:
    """The roles with X's columns named, given the input's columns.

    Raises UsageError when a name is unknown (with near names), of a type that does not suit, or has two roles, and
    InputError when nobody named features and the input has none besides the target.
    """
    check_target(columns, asked)
    if asked.weights is not None:
        check_numeric(columns, asked.weights, "weights")
    chosen = asked.features
    if chosen is None:
        chosen = default_features(columns, asked)
        if not chosen:
            found = ", ".join(f"{name} ({kind})" for name, kind in columns) or "none"
            besides = f" besides the target {asked.target!r}" if asked.target is not None else ""
            raise InputError(f"no numeric column{besides} to serve as a feature; columns: {found}")
    for name in chosen:
        (_check_names_classes if asked.categories else check_numeric)(columns, name, "feature")
    roles = replace(asked, features=tuple(chosen))
    _check_once(roles)
    return roles


def default_features(columns: Kinds, asked: Roles) -> tuple[str, ...]:
    """X's columns where nobody named them; () if there are none."""
    taken = (asked.target, asked.weights)
    return tuple(name for name, kind in columns if asked.can_be_feature(kind) and name not in taken)


def check_target(columns: Kinds, asked: Roles) -> None:
    """Refuse a target that is not there once, or of a type that is none of a target's."""
    if asked.target is not None:
        (_check_names_classes if asked.labels else check_numeric)(columns, asked.target, "target")


def check_numeric(columns: Kinds, name: str, role: str) -> None:
    """Refuse a column that is not there once, or not numeric; `role` is 'feature', 'target' or 'weights'."""
    kind = _kind_of(columns, name, role)
    if not is_numeric(kind):
        raise UsageError(f"{role} {name!r} is of type {kind}, not numeric; encode it as numbers or choose another")


def _check_names_classes(columns: Kinds, name: str, role: str) -> None:
    kind = _kind_of(columns, name, role)
    if not names_classes(kind):
        raise UsageError(
            f"{role} {name!r} is of type {kind}, which names no classes; write it as text or numbers, or choose another"
        )


def _kind_of(columns: Kinds, name: str, role: str) -> str:
    kinds = [kind for column, kind in columns if column == name]
    if not kinds:
        names = [column for column, _ in columns]
        apart = next((mark for mark in OTHER_DELIMITERS if len(names) == 1 and mark in names[0]), None)
        known = f"the only one is {names[0]!r}; read it with delimiter={apart!r}" if apart else near(name, names)
        raise UsageError(f"no column {name!r} to serve as {role}; {known}")
    if len(kinds) > 1:
        raise InputError(f"{len(kinds)} columns are named {name!r}; a {role} must have a name of its own")
    return kinds[0]


def _check_once(roles: Roles) -> None:
    seen: set[str] = set()
    for name in roles.features or ():
        if name in seen:
            raise UsageError(f"feature {name!r} is named twice; name it once")
        for role, other in (("target", roles.target), ("weights", roles.weights)):
            if name == other:
                raise UsageError(f"column {name!r} is both feature and {role}; leave it out of the features")
        seen.add(name)
    if roles.target is not None and roles.target == roles.weights:
        raise UsageError(f"column {roles.target!r} is both target and weights; name another one for the weights")

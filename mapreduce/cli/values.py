"""What value does a text on the command line stand for, given the type that is wanted?

int 1_000, 1e6   float 0.5   bool yes/no/true/false/on/off/1/0   str as it is   Path   Literal, Enum by name
list[int] 1,2,3   tuple[int, str] 1,a   dict[str, int] a:1,b:2   int | None 5 or none   NAME_bytes: int 64MB
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

_YES = ("yes", "true", "on", "y", "1")
_NO = ("no", "false", "off", "n", "0")
_SEQUENCES: dict[str, Any] = {
    "list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "Sequence": list, "Iterable": list,
    "Collection": list,
}  # fmt: skip


def parse_value(text: str, wanted: Any, name: str = "") -> Any:
    """The value of `text` as type `wanted`. Raises ValueError with a message that names text and type."""
    origin = get_origin(wanted) or wanted
    if origin in (Union, types.UnionType):
        return _parse_union(text, wanted, name)
    if origin is Literal:
        return _parse_choice(text, {str(choice): choice for choice in get_args(wanted)})
    if isinstance(origin, type) and issubclass(origin, Enum):
        return _parse_choice(text, {str(member.value): member for member in origin} | dict(origin.__members__))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _parse_mapping(text, wanted)
    shape = _SEQUENCES.get(getattr(origin, "__name__", ""))
    if shape is not None and origin is not str:
        return _parse_sequence(text, wanted, shape)
    return _parse_scalar(text, origin, name)


def describe_type(wanted: Any) -> str:
    """A type as a person reads it: 'int', 'list of int', 'int or none', 'one of a, b'."""
    origin, arguments = get_origin(wanted) or wanted, get_args(wanted)
    if origin in (Union, types.UnionType):
        return " or ".join("none" if part is types.NoneType else describe_type(part) for part in arguments)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if isinstance(origin, type) and issubclass(origin, Enum):
        return "one of " + ", ".join(str(member.value) for member in origin)
    name = getattr(origin, "__name__", str(origin))
    if name in _SEQUENCES and arguments:
        return f"{name.lower()} of " + " and ".join(describe_type(part) for part in arguments if part is not ...)
    return {"str": "text", "Path": "path", "PathLike": "path", "Any": "text", "object": "text"}.get(name, name)


def _parse_scalar(text: str, wanted: Any, name: str) -> Any:
    if wanted is bool:
        return _parse_bool(text)
    if wanted is int:
        return _parse_int(text, is_size=name.endswith("_bytes"))
    if wanted is float:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a number") from None
    if wanted is Path:
        return Path(text)
    if wanted is types.NoneType:
        if text.strip().lower() == "none":
            return None
        raise ValueError(f"{text!r} is not none")
    if wanted is bytes:
        return text.encode()
    if wanted in (str, Any, object) or getattr(wanted, "__name__", "") == "PathLike":
        return text
    raise ValueError(f"a {describe_type(wanted)} can't be given on the command line; run this job from Python")


def _parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise ValueError(f"{text!r} is neither yes nor no")


def _parse_int(text: str, *, is_size: bool) -> int:
    try:
        return _parse_size(text) if is_size else int(text)
    except ValueError as error:
        reason = str(error) if is_size else f"{text!r} is not a whole number"
    try:
        number = float(text)  # 1e6
    except ValueError:
        raise ValueError(reason) from None
    if not number.is_integer():
        raise ValueError(reason)
    return int(number)


def _parse_size(text: str) -> int:
    from mapreduce.errors import UsageError
    from mapreduce.settings import parse_size

    try:
        return parse_size(text)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _parse_choice(text: str, choices: Mapping[str, Any]) -> Any:
    if text in choices:
        return choices[text]
    from mapreduce.errors import near

    raise ValueError(f"{text!r} is not a choice; {near(text, list(choices))}")


def _parse_union(text: str, wanted: Any, name: str) -> Any:
    members = get_args(wanted)
    if types.NoneType in members and text.strip().lower() == "none":
        return None
    # the narrowest reading wins: text fits everything, so it comes last
    order = sorted((part for part in members if part is not types.NoneType), key=lambda part: part in (str, Any))
    reasons: list[str] = []
    for part in order:
        try:
            return parse_value(text, part, name)
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError(reasons[0] if len(reasons) == 1 else f"{text!r} is not {describe_type(wanted)}")


def _parse_sequence(text: str, wanted: Any, shape: Any) -> Any:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    inner = get_args(wanted)
    if shape is tuple and inner and inner[-1] is not ...:
        if len(parts) != len(inner):
            raise ValueError(f"{text!r} has {len(parts)} parts; {len(inner)} are wanted, separated by commas")
        return tuple(parse_value(part, kind) for part, kind in zip(parts, inner, strict=True))
    kind = inner[0] if inner else str
    return shape(parse_value(part, kind) for part in parts)


def _parse_mapping(text: str, wanted: Any) -> dict[Any, Any]:
    key_kind, value_kind = get_args(wanted) or (str, str)
    result: dict[Any, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, colon, value = part.partition(":")
        if not colon:
            raise ValueError(f"{part!r} is not NAME:VALUE")
        result[parse_value(key.strip(), key_kind)] = parse_value(value.strip(), value_kind)
    return result

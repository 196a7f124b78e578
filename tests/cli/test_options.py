"""Does NAME=VALUE become the argument that the constructor wants, and does every mistake get its own message?"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from mapreduce.cli.options import bind_options, options_of
from mapreduce.cli.show_commands import _documentation
from mapreduce.cli.values import describe_type, parse_value
from mapreduce.errors import UsageError


class Colour(Enum):
    RED = "red"
    DEEP_BLUE = "deep-blue"


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ("12", int, 12), ("1_000", int, 1000), ("1e6", int, 1_000_000), (" 5 ", int, 5), ("0.5", float, 0.5),
        ("inf", float, float("inf")), ("yes", bool, True), ("False", bool, False), ("0", bool, False),
        ("on", bool, True),
        ("a=b", str, "a=b"), ("", str, ""), ("x/y", Path, Path("x/y")), ("none", int | None, None),
        ("3", int | None, 3),
        ("b", Literal["a", "b"], "b"), ("2", Literal[1, 2], 2), ("red", Colour, Colour.RED),
        ("DEEP_BLUE", Colour, Colour.DEEP_BLUE), ("1,2, 3", list[int], [1, 2, 3]), ("", list[int], []),
        ("1,a", tuple[int, str], (1, "a")), ("1,2", tuple[float, ...], (1.0, 2.0)), ("a,b", Sequence[str], ["a", "b"]),
        ("a,a", frozenset[str], frozenset({"a"})), ("a:1,b:2", dict[str, int], {"a": 1, "b": 2}), ("5", int | str, 5),
        ("five", int | str, "five"), ("1.5", int | float, 1.5), ("1,2", list[int] | None, [1, 2]), ("a", bytes, b"a"),
    ],
)  # fmt: skip
def test_values(text: str, wanted: Any, value: Any) -> None:
    parsed = parse_value(text, wanted)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "wanted", "message"),
    [
        ("x", int, "'x' is not a whole number"), ("1.5", int, "'1.5' is not a whole number"),
        ("inf", int, "'inf' is not a whole number"), ("x", float, "'x' is not a number"),
        ("maybe", bool, "'maybe' is neither yes nor no"), ("c", Literal["a", "b"], "'c' is not a choice; known: a, b"),
        ("rde", Colour, "'rde' is not a choice; did you mean 'red'?"), ("1,x", list[int], "'x' is not a whole number"),
        ("1", tuple[int, str], "'1' has 1 parts; 2 are wanted, separated by commas"),
        ("a", dict[str, int], "'a' is not NAME:VALUE"), ("x", int | float, "'x' is not int or float"),
        ("x", int | None, "'x' is not a whole number"),
        ("x", complex, "a complex can't be given on the command line; run this job from Python"),
    ],
)  # fmt: skip
def test_values_refused(text: str, wanted: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_value(text, wanted)
    assert str(caught.value) == message


def test_a_size_is_a_number_of_bytes() -> None:
    assert parse_value("64MiB", int, "buffer_bytes") == 64 << 20
    with pytest.raises(ValueError, match="'64XB' is not a size"):
        parse_value("64XB", int, "buffer_bytes")


def test_types_read_as_words() -> None:
    assert describe_type(list[int]) == "list of int"
    assert describe_type(int | None) == "int or none"
    assert describe_type(Literal["a", "b"]) == "one of a, b"
    assert describe_type(tuple[str, ...]) == "tuple of text"


class Grep:
    """Lines that match.

    pattern: what to look for
    """

    def __init__(  # type: ignore[no-untyped-def]
        self,
        pattern: str,
        ignore_case: bool = False,
        limit: Annotated[int | None, "at most so many"] = None,
        depth=3,  # noqa: ANN001
    ) -> None: ...


class Bare:
    pass


def test_options_are_the_constructors_parameters() -> None:
    assert [option.describe() for option in options_of(Grep)] == [
        "pattern: text (required)   what to look for",
        "ignore_case: bool = False",
        "limit: int or none = None   at most so many",
        "depth: int = 3",
    ]
    assert options_of(Bare) == []


def test_bound_by_annotation() -> None:
    assert bind_options(Grep, ["pattern=a=b", "ignore-case=yes", "limit=5", "depth=1"], what="grep") == {
        "pattern": "a=b",
        "ignore_case": True,
        "limit": 5,
        "depth": 1,
    }


@pytest.mark.parametrize(
    ("target", "assignments", "message"),
    [
        (Grep, ["patern=x"], "--set patern=x: grep has no option 'patern'; did you mean 'pattern'?"),
        (Grep, ["pattern"], "--set pattern: write it as NAME=VALUE"),
        (Grep, ["pattern=x", "limit=many"], "--set limit=many: 'many' is not a whole number"),
        (Grep, ["pattern=x", "pattern=y"], "--set pattern=y: 'pattern' is set twice"),
        (Grep, [], "grep needs pattern (what to look for); add --set pattern=TEXT"),
        (Bare, ["a=1"], "--set a=1: grep has no option 'a'; grep takes no options"),
    ],
)
def test_mistakes_are_named(target: type, assignments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        bind_options(target, assignments, what="grep")
    assert str(caught.value) == message


def test_words_of_an_option_go_on_below_it() -> None:
    class Cut:
        """Cuts.

        least: the shortest piece, or none
            where any do
        most: the longest

            a formula
        """

        def __init__(self, least: int = 1, most: int = 2) -> None: ...

    assert [option.doc for option in options_of(Cut)] == ["the shortest piece, or none where any do", "the longest"]
    assert _documentation(Cut, ["least", "most"]) == "Cuts.\n\n    a formula"

"""Our dataclasses and the standard library's pass the same tests."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mapreduce import dataclass as ours

BODIES = """
from __future__ import annotations
from typing import ClassVar

@dataclass(frozen=True, slots=True)
class Empty:
    pass

@dataclass(frozen=True, slots=True)
class One:
    x: float

@dataclass(frozen=True, slots=True)
class Point:
    dimensions: ClassVar[int] = 2
    x: int
    y: int = 7

    @property
    def norm(self):
        return abs(self.x) + abs(self.y)

@dataclass(frozen=True, slots=True)
class Named(Point):
    name: str = "?"
    y: int = 8  # keeps its place

@dataclass(frozen=True, slots=True)
class Told:
    key: str
    seen: float = field(default=0.0, compare=False)
    secret: bytes = field(default=b"", repr=False)
    notes: list = field(default_factory=list)
    size: int = field(init=False)
    kind: str = field(default="told", init=False)

    def __post_init__(self):
        object.__setattr__(self, "size", len(self.key))

@dataclass(slots=True)
class Count:
    n: int = 0
    seen: dict = field(default_factory=dict)

@dataclass(slots=True, eq=False)
class Identity:
    n: int

@dataclass(frozen=True, slots=True, weakref_slot=True)
class Watched:
    n: int

@dataclass(frozen=True, slots=True)
class Own:
    text: str

    def __eq__(self, other):
        return self.text.lower() == other.text.lower()

    def __hash__(self):
        return hash(self.text.lower())

    def __repr__(self):
        return "Own()"

    def __getstate__(self):
        return ["!" + self.text]

@dataclass(frozen=True, slots=True)
class OwnEquality:
    text: str

    def __eq__(self, other):
        return True

class Base:
    __slots__ = ()

    def __init_subclass__(cls):
        cls.seen_as = cls.__name__

@dataclass(slots=True)
class WithInit(Base):
    n: int

    def __init__(self, text):
        self.n = int(text)
"""


def classes_of(library: Any) -> types.ModuleType:
    """A module of the classes above, made by one library."""
    module = types.ModuleType(f"classes_by_{library.__name__.replace('.', '_')}")
    sys.modules[module.__name__] = module
    module.__dict__.update(dataclass=library.dataclass, field=library.field)
    exec(BODIES, module.__dict__)
    return module


@pytest.fixture(params=[dataclasses, ours], ids=["standard", "ours"])
def made(request: pytest.FixtureRequest) -> Any:
    return classes_of(request.param)


@pytest.fixture(params=[dataclasses, ours], ids=["standard", "ours"])
def replace(request: pytest.FixtureRequest) -> Any:
    return request.param.replace


def test_arguments(made: Any) -> None:
    assert (made.Point(1).x, made.Point(1).y, made.Point(1, 2).y, made.Point(y=4, x=3).y) == (1, 7, 2, 4)
    assert made.Point.dimensions == made.Point(1).dimensions == 2
    named = made.Named(1, 2, "a")
    assert (named.x, named.y, named.name, made.Named(1).y, named.norm) == (1, 2, "a", 8, 3)
    assert (made.WithInit("12").n, made.WithInit.seen_as) == (12, "WithInit")


@pytest.mark.parametrize("given", [{}, {"x": 1, "z": 2}, {"y": 1}])
def test_wrong_arguments_are_refused_under_the_name_of_the_class(made: Any, given: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"^Point\.__init__\(\) "):
        made.Point(**given)
    with pytest.raises(TypeError, match=r"^Point\.__init__\(\) "):
        made.Point(1, 2, 3)


def test_what_is_said_of_fields(made: Any) -> None:
    told = made.Told("abc", 1.5, b"xy")
    assert (told.size, told.kind, told.notes) == (3, "told", [])
    assert told.notes is not made.Told("abc").notes
    assert repr(told) == "Told(key='abc', seen=1.5, notes=[], size=3, kind='told')"
    assert told == made.Told("abc", 2.5, b"xy")
    assert told != made.Told("abc", 1.5, b"z")
    with pytest.raises(TypeError):
        made.Told("abc", size=3)


def test_equality_and_hash(made: Any) -> None:
    assert made.Point(1) == made.Point(1, 7) != made.Point(1, 8)
    assert made.Point(1) != made.Named(1, 7)
    assert made.Point(1) != (1, 7)
    assert len({made.Point(1), made.Point(1), made.Point(2), made.Empty(), made.Empty()}) == 3
    assert made.Count(1) == made.Count(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(made.Count(1))
    one = made.Identity(1)
    assert one == one != made.Identity(1)
    assert len({one, made.Identity(1)}) == 2
    assert made.Own("A") == made.Own("a")
    assert hash(made.Own("A")) == hash(made.Own("a"))
    assert made.OwnEquality("a") == made.OwnEquality("b")
    assert hash(made.OwnEquality("a")) == hash(made.OwnEquality("a"))


def test_fields_that_are_the_same_object_are_equal(made: Any, request: pytest.FixtureRequest) -> None:
    """As in a tuple. The standard library compared so until Python 3.13."""
    if request.node.callspec.id == "standard" and sys.version_info >= (3, 13):
        pytest.skip("of the standard library's it was true before")
    nan, array = float("nan"), np.zeros(2)
    assert made.One(nan) == made.One(nan)
    assert made.One(array) == made.One(array)


def test_frozen_instances_refuse_changes_and_others_take_them(made: Any) -> None:
    point, count = made.Point(1), made.Count()
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    with pytest.raises((AttributeError, TypeError)):  # TypeError: a fault of 3.11
        point.other = 2
    count.n = 5
    assert count == made.Count(5)
    with pytest.raises(AttributeError):
        count.other = 2
    assert not hasattr(count, "__dict__")


def test_copies_and_pickles(made: Any) -> None:
    values = [made.Empty(), made.Point(1), made.Named(1, 2, "é"), made.Told("a", notes=[1]), made.Count(3, {"a": 1})]
    ways: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value, 5))]
    for value in values:
        for way in ways:
            again = way(value)
            assert again == value
            assert type(again) is type(value)
            assert repr(again) == repr(value)
    assert pickle.loads(pickle.dumps(made.Own("a"))).text == "!a"


def test_weak_references(made: Any) -> None:
    watched = made.Watched(1)
    assert weakref.ref(watched)() is watched
    with pytest.raises(TypeError):
        weakref.ref(made.Point(1))


def test_patterns(made: Any) -> None:
    match made.Named(1, 2, "a"):
        case made.Point(x, y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("no Point")
    assert made.Told.__match_args__ == ("key", "seen", "secret", "notes")


def test_replace(made: Any, replace: Any) -> None:
    if made.__name__ == "classes_by_dataclasses" and replace is ours.replace:
        made = classes_of(ours)  # which is what it is for
    assert replace(made.Named(1, 2, "a"), y=5) == made.Named(1, 5, "a")
    assert replace(made.Told("a"), key="abc").size == 3
    with pytest.raises(TypeError):
        replace(made.Point(1), z=1)


def test_the_standard_library_takes_them(made: Any) -> None:
    told: Any = made.Told("abc", notes=[made.Point(1)])
    assert dataclasses.is_dataclass(type(told))
    assert ours.is_dataclass_instance(told)
    assert not ours.is_dataclass_instance(made.Told)
    assert dataclasses.asdict(told)["notes"] == [{"x": 1, "y": 7}]
    found = [(each.name, each.type, each.init, each.repr, each.compare) for each in dataclasses.fields(made.Told)]
    assert found == [
        ("key", "str", True, True, True),
        ("seen", "float", True, True, False),
        ("secret", "bytes", True, False, True),
        ("notes", "list", True, True, True),
        ("size", "int", False, True, True),
        ("kind", "str", False, True, True),
    ]
    assert [(each.name, each.default) for each in dataclasses.fields(made.Named(1))][1:] == [("y", 8), ("name", "?")]


def test_a_default_that_all_would_share_is_refused(made: Any) -> None:
    with pytest.raises(ValueError, match="default_factory"):
        exec("@dataclass(slots=True)\nclass A:\n    items: list = []", made.__dict__)


def test_a_start_loads_neither_dataclasses_nor_inspect() -> None:
    code = "import sys, mapreduce.engines.runs; print(*{'dataclasses', 'inspect'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert (done.stdout, done.returncode) == ("\n", 0), done.stderr

"""Jobs of `__main__` by name: what is pickled so, and what must go by value."""

from __future__ import annotations

import pickle
import sys
import types
from typing import Any

import pytest

from mapreduce.dataflow.by_name import dumps_by_name

PRELUDE = """
from __future__ import annotations
import functools
import math
import re
from collections import Counter
import numpy as np
import mapreduce as mr

SCALE = 3
NAMES = ("a", ("b", 2.5))
WORDS = re.compile(r"\\w+")
ARRAY = np.arange(5)
NUMBERS = (number for number in range(9))
MISSING = object()
TEXT = "as a sentinel"
SEEN = []

def helper(x):
    return SCALE * math.sqrt(x)

def next_of(x):
    return next(NUMBERS)

def indirectly(x):
    return [next_of(each) for each in (x,)]

@functools.cache
def cached(x):
    return x

def wrapped(function):
    @functools.wraps(function)
    def call(*args):
        return function(*args), NUMBERS
    return call

wrapping = wrapped(helper)

def by_factory(factor):
    return lambda x: factor * x

def count():
    global SCALE
    SCALE += 1

class Reader:
    def read(self):
        return next_of(1)

class Meta(type):
    pass
"""

CARRIED = {
    "plain": "class J(mr.Job):\n    reduce = mr.Sum()\n    def map(self, line): yield line, 1",
    "with helpers": "class J(mr.Job):\n    def map(self, line): return ((helper(w), NAMES) for w in WORDS.split(line))",
    "with settings": "class J(mr.Job):\n    def __init__(self): self.options = {'a': [1, 2.5], 'b': np.arange(5)}",
    "with importable things": "class J(mr.Job):\n    def map(self, line): return Counter(line), functools.reduce",
    "with a reducer's options": "class J(mr.Job):\n    reduce = mr.TopK(3)",
    "with all kinds of methods": """
class J(mr.Job):
    @staticmethod
    def a(): return helper

    @classmethod
    def b(cls): return cls

    @property
    def c(self): return math.pi

    def d(self, x=SCALE, *, y=helper): return J
""",
    "with a base": "class A(mr.Job):\n    def map(self, line): yield helper(line), 1\nclass J(A): __slots__ = ('x',)",
}

BY_VALUE = {
    "a generator": "class J(mr.Job):\n    def map(self, line): next(NUMBERS)",
    "of a helper's helper": "class J(mr.Job):\n    def map(self, line): return indirectly(line)",
    "in a comprehension": "class J(mr.Job):\n    def map(self, line): return [[NUMBERS for _ in '1'] for _ in '2']",
    "of a base": "class A(mr.Job):\n    def map(self, line): NUMBERS\nclass J(A): pass",
    "of a property": "class J(mr.Job):\n    @property\n    def a(self): return NUMBERS",
    "of a setting's class": "class J(mr.Job):\n    def __init__(self): self.reader = Reader()",
    "as a default": "class J(mr.Job):\n    def map(self, line, numbers=NUMBERS): pass",
    "as an attribute": "class J(mr.Job):\n    numbers = NUMBERS",
    "of a function's wrapper": "class J(mr.Job):\n    def map(self, line): return wrapping(line)",
    "a cache": "class J(mr.Job):\n    def map(self, line): return cached(line)",
    "a lambda as a setting": "class J(mr.Job):\n    def __init__(self): self.key = lambda x: x",
    "a lambda as an option": "class J(mr.Job):\n    reduce = mr.TopK(3, by=lambda x: next(NUMBERS))",
    "a function of a factory": "class J(mr.Job):\n    def __init__(self): self.f = by_factory(3)",
    "a local class": "def make():\n    class J(mr.Job): pass\n    return J\nJ = make()",
    "a metaclass": "class J(mr.Job, metaclass=Meta): pass",
    "what can change": "class J(mr.Job):\n    def map(self, line): SEEN.append(line)",
    "a class's own dictionary": "class J(mr.Job):\n    cache = {}",
    "an array": "class J(mr.Job):\n    def map(self, line): yield line, ARRAY",
    "an object": "class J(mr.Job):\n    def map(self, line): return self is MISSING",
    "the same object in state and code": (
        "class J(mr.Job):\n    def __init__(self): self.text = TEXT\n    def map(self, line): return self.text is TEXT"
    ),
    "a global that is set": "class J(mr.Job):\n    def map(self, line): count()",
    "globals": "class J(mr.Job):\n    def map(self, line): return globals()['SCALE']",
    "large state": "class J(mr.Job):\n    def __init__(self): self.table = np.arange(100_000)",
}


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A `__main__` of the test's own."""
    module: Any = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    exec(PRELUDE, module.__dict__)
    return module


@pytest.mark.parametrize("source", CARRIED.values(), ids=CARRIED)
def test_what_can_be_named_is_named(main: Any, source: str) -> None:
    exec(source, main.__dict__)
    payload = dumps_by_name(main.J())
    assert payload is not None
    assert len(payload) < 1000
    assert type(pickle.loads(payload)) is main.J


@pytest.mark.parametrize("source", BY_VALUE.values(), ids=BY_VALUE)
def test_what_could_not_be_carried_or_is_large_is_not_named(main: Any, source: str) -> None:
    exec(source, main.__dict__)
    assert dumps_by_name(main.J()) is None


def test_what_is_defined_again_is_not_taken_for_what_it_was(main: Any) -> None:
    exec(CARRIED["plain"], main.__dict__)
    job = main.J()
    exec(CARRIED["plain"], main.__dict__)
    assert dumps_by_name(job) is None


def test_code_that_refers_to_itself_ends(main: Any) -> None:
    exec("def a(x): return b(x)\ndef b(x): return a(x)\nclass J(mr.Job):\n    map = a\n    other = b", main.__dict__)
    assert dumps_by_name(main.J()) is not None

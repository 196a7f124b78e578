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
import threading
import numpy as np
import mapreduce as mr

SCALE = 3
WORDS = re.compile(r"\\w+")
SMALL = np.arange(5)
LARGE = np.arange(100_000)
LOCK = threading.Lock()
LONG = "x" * 100_000

def helper(x):
    return SCALE * math.sqrt(x)

def locked(x):
    with LOCK:
        return x

def indirectly(x):
    return [locked(each) for each in (x,)]

@functools.cache
def cached(x):
    return locked(x)

def by_factory(factor):
    return lambda x: factor * x

class Reader:
    def __init__(self):
        self.seen = []

    def read(self):
        return locked(1)
"""

CARRIED = {
    "plain": "class J(mr.Job):\n    reduce = mr.Sum()\n    def map(self, line): yield line, 1",
    "with helpers": "class J(mr.Job):\n    def map(self, line): return ((helper(w), SMALL) for w in WORDS.split(line))",
    "with settings": "class J(mr.Job):\n    def __init__(self): self.options = {'a': [1, 2.5], 'b': SMALL}",
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
    "a lock": "class J(mr.Job):\n    def map(self, line): LOCK.acquire()",
    "a lock of a helper's helper": "class J(mr.Job):\n    def map(self, line): return indirectly(line)",
    "a lock in a comprehension": "class J(mr.Job):\n    def map(self, line): return [[LOCK for _ in '1'] for _ in '2']",
    "a lock of a cached function": "class J(mr.Job):\n    def map(self, line): return cached(line)",
    "a lock of a base": "class A(mr.Job):\n    def map(self, line): LOCK\nclass J(A): pass",
    "a lock of a property": "class J(mr.Job):\n    @property\n    def a(self): return LOCK",
    "a lock of a setting's class": "class J(mr.Job):\n    def __init__(self): self.reader = Reader()",
    "a lock as a default": "class J(mr.Job):\n    def map(self, line, lock=LOCK): pass",
    "a lock as an attribute": "class J(mr.Job):\n    lock = LOCK",
    "a lambda as a setting": "class J(mr.Job):\n    def __init__(self): self.key = lambda x: x",
    "a function of a factory": "class J(mr.Job):\n    def __init__(self): self.f = by_factory(3)",
    "a local class": "def make():\n    class J(mr.Job): pass\n    return J\nJ = make()",
    "a large array": "class J(mr.Job):\n    def map(self, line): yield line, LARGE",
    "a large array as a setting": "class J(mr.Job):\n    def __init__(self): self.table = LARGE",
    "a long text": "class J(mr.Job):\n    def map(self, line): yield line, LONG",
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

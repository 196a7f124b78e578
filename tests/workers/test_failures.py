"""Whose fault is an exception, and what does its description say?"""

from __future__ import annotations

import bdb
import json
from collections.abc import Callable
from typing import Any

import pytest

from mapreduce.dataflow.results import FailureKind
from mapreduce.formats.csv_cuts import __file__ as OURS
from mapreduce.reducers.exact_sums import __file__ as SUMS
from mapreduce.reducers.sums import Sum
from mapreduce.workers.failures import describe


def compiled(file: str, source: str) -> Callable[..., Any]:
    """A function `call` whose code claims to be of that file."""
    names: dict[str, Any] = {}
    exec(compile(source, file, "exec"), names)
    call: Callable[..., Any] = names["call"]
    return call


def kind_of_call(call: Callable[[], Any]) -> FailureKind:
    """As a worker sees it: its own frame, which is here, is cut off."""
    try:
        call()
    except Exception as error:
        return describe(error, skip_frames=1).kind
    raise AssertionError("nothing was raised")


CALL = "def call(f=None):\n    return f() if f else {}['a']"
CASES: dict[str, tuple[Callable[[], Any], FailureKind]] = {
    "our own code": (compiled(OURS, CALL), FailureKind.INTERNAL),
    "ours in a library": (compiled(OURS, "import json\ndef call(): json.loads('{')"), FailureKind.INTERNAL),
    "ours without memory": (compiled(OURS, "def call(): raise MemoryError"), FailureKind.MEMORY),
    "ours, of the system": (compiled(OURS, "def call(): open('/no/such')"), FailureKind.USER),
    "a job that ours calls": (lambda: compiled(OURS, CALL)(lambda: int("x")), FailureKind.USER),
    "a job's C code": (lambda: compiled(OURS, CALL)(lambda: json.loads("{")), FailureKind.USER),
    "a job": (compiled("/home/me/job.py", "def call(): {}['a']"), FailureKind.USER),
    "a job that is installed": (compiled("/x/site-packages/mine/job.py", "def call(): {}['a']"), FailureKind.USER),
    "a job at a prompt": (compiled("<stdin>", "def call(): {}['a']"), FailureKind.USER),
    "values that do not add up": (compiled(SUMS, "def call(): 1 + 'a'"), FailureKind.USER),
}


@pytest.mark.parametrize("name", CASES)
def test_whose_fault(name: str) -> None:
    call, kind = CASES[name]
    assert kind_of_call(call) is kind


def test_the_built_in_algorithms_are_user_code() -> None:
    import algorithms.grep

    assert kind_of_call(compiled(algorithms.grep.__file__, CALL)) is FailureKind.USER


def test_values_that_a_named_reducer_cannot_add() -> None:
    assert kind_of_call(lambda: Sum().add_pairs({1: 1}, [(1, "a")])) is FailureKind.USER


def test_a_debugger_in_a_worker() -> None:
    failure = describe(bdb.BdbQuit())
    assert failure.kind is FailureKind.USAGE
    assert "--inline (engine='inline')" in failure.message

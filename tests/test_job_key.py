"""Does the key of a job hold all that its map outputs depend on, and nothing that changes by itself?"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mapreduce as mr
from mapreduce.dataflow.job_reach import functions_of, reach_of
from mapreduce.dataflow.package import JobContext
from mapreduce.engines.job_key import key_of_job, looks_at_places
from mapreduce.formats.text import Text
from mapreduce.settings import Settings


class Plain(mr.Job):
    reduce = mr.Sum()

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        yield line, 1


def context_of(job: Any, **changes: Any) -> JobContext:
    context = JobContext("job-1", job, Text(), Settings(), "/root", 1, "tsv", ".tsv", True, 1000)
    return replace(context, **changes)


BASE = context_of(Plain())


@pytest.mark.parametrize(
    "other",
    [
        context_of(Plain(1)),
        context_of(Plain(), format=Text("latin-1")),
        context_of(Plain(), partitions=2),
        context_of(Plain(), input_bytes=1 << 30),
        *[
            context_of(Plain(), settings=Settings(**change))
            for change in ({"block_bytes": 5}, {"memory_bytes": 1 << 29}, {"sort": True}, {"skip_bad_records": 0.1})
        ],
    ],
)
def test_what_shapes_a_map_output(other: JobContext) -> None:
    assert key_of_job(other) != key_of_job(BASE)


@pytest.mark.parametrize(
    "other",
    [
        context_of(Plain(), root="/elsewhere", job_id="job-2", durable=False, input_bytes=2000),
        context_of(Plain(), settings=Settings(workers=3, fresh=True, chaos="7", incremental=True, max_attempts=9)),
        context_of(Plain(), output_format="jsonl"),  # of what reduce tasks write
    ],
)
def test_what_does_not(other: JobContext) -> None:
    assert key_of_job(other) == key_of_job(BASE)


def test_values_are_told_apart_but_not_by_their_order_in_memory() -> None:
    def key(value: Any) -> str:
        return key_of_job(context_of(Plain(value)))

    assert key({"a", "b", "c"}) == key({"c", "b", "a"})
    assert key({"a"}) != key({"b"})
    assert key(lambda x: x + 1) != key(lambda x: x + 2)
    assert key([1, 2]) != key([2, 1])


def test_files_that_a_setting_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "my script.sh"
    for value in (script, str(script), [str(script)], f"sh '{script}' -x", ("a", script)):
        script.write_text("one")
        before = key_of_job(context_of(Plain(value)))
        assert key_of_job(context_of(Plain(value))) == before
        script.write_text("two")
        assert key_of_job(context_of(Plain(value))) != before
    assert key_of_job(context_of(Plain("a quote ' that does not close")))


def module_of(name: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module as an import would make it."""
    path = folder / f"{name}.py"
    path.write_text(text)
    module = types.ModuleType(name)
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


TEXT = """
import functools
import mapreduce as mr
from other import helper
LIMIT = {limit}

class Uses(mr.Job):
    reduce = mr.Sum()
    def map(self, line):
        yield helper(line), LIMIT
"""


def test_modules_and_globals_that_the_job_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(helper: str, limit: int) -> str:
        module_of("other", helper, tmp_path, monkeypatch)
        module = module_of("uses", TEXT.format(limit=1), tmp_path, monkeypatch)
        module.__dict__["LIMIT"] = limit
        return key_of_job(context_of(module.Uses()))

    helper = "def helper(line):\n    return line\n"
    first = key(helper, 1)
    assert key(helper, 1) == first
    assert key(helper + "# changed\n", 1) != first
    assert key(helper, 2) != first  # though no text has changed


def test_an_installed_package_counts_as_text_if_it_holds_the_job_else_by_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    installed.mkdir()
    other = module_of("other", "__version__ = '1.2'\ndef helper(line):\n    return line\n", installed, monkeypatch)
    module = module_of("uses", TEXT.format(limit=1), installed, monkeypatch)
    reach = reach_of(module.Uses())
    assert set(reach.modules) == {"uses"}
    assert reach.packages == {"other": "1.2"}
    del other.__version__
    assert reach_of(module.Uses()).packages["other"].isdigit()
    (installed / "other-3.4.dist-info").mkdir()
    monkeypatch.syspath_prepend(installed)
    assert reach_of(module.Uses()).packages["other"] == "3.4"


def at_place(block: Any) -> Any:
    return block.place(0)


@functools.lru_cache
def cached(block: Any) -> Any:
    return at_place(block)


class ByHelper(mr.Job):
    def map_block(self, block: Any) -> Any:
        return [cached(block)], [1]


class Located(mr.Job):
    def map_block(self, block: Any) -> Any:
        return [block.where(0).file], [1]


class BySetting(Plain):
    """Whatever its value does."""

    def map_block(self, block: Any) -> Any:
        return [self.value(block)], [1]


def test_who_looks_at_places() -> None:
    assert not looks_at_places(Plain())
    assert not looks_at_places(BySetting(len))
    for job in (ByHelper(), Located(), BySetting(at_place), BySetting(functools.partial(at_place))):
        assert looks_at_places(job), job


def test_only_the_users_own_functions_are_looked_at() -> None:
    names = {function.__qualname__ for function in functions_of(ByHelper())}
    assert names == {"ByHelper.map_block", "cached", "at_place"}


def test_what_cannot_be_looked_into_is_never_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    job = Plain(nested)
    assert key_of_job(context_of(job)) != key_of_job(context_of(job))
    while nested:  # else its end is a recursion too
        nested = nested.pop()

"""Does the documentation name everything that there is, with the values that hold?"""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import algorithms
import mapreduce as mr
from mapreduce import errors
from mapreduce.cli.main import COMMANDS
from mapreduce.errors import MapReduceError, UsageError
from mapreduce.formats.registry import FORMATS, NOT_AN_OPTION
from mapreduce.reducers import named as reducers
from mapreduce.reducers.base import Reducer
from mapreduce.settings import BLOCK_BYTES, DEFAULT_MEMORY_BYTES, MAX_PARTITIONS, Settings, settings_from
from mapreduce.tracker.states import ATTEMPT_TABLE, TASK_TABLE

DOCS = Path(__file__).resolve().parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(name: str, title: str) -> str:
    """The part of a page under a heading."""
    return page(name).partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> dict[str, list[str]]:
    """Table rows by their first cell."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0].strip("`"): row[1:] for row in cells}


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_commands(command: str) -> None:
    listed = section("reference.md", "Commands")
    module, _, name = COMMANDS[command].partition(":")
    options = [flag for each in getattr(import_module(module), name).params for flag in each.opts if flag[0] == "-"]
    assert f"| `{command}" in listed
    assert [flag for flag in options if f"`{flag}" not in listed] == []


def test_settings() -> None:
    listed = rows(section("reference.md", "Settings"))
    with pytest.raises(UsageError) as told:
        settings_from({"": 0})
    known = re.findall(r"\w+", str(told.value).partition("known:")[2])
    settings = Settings()
    assert sorted(known) == sorted(name for name in listed if name not in ("setting", "---"))
    assert listed["block_size"][0] == f"{BLOCK_BYTES >> 20} MiB"
    assert listed["memory"][0] == f"{DEFAULT_MEMORY_BYTES >> 30} GiB"
    assert listed["reducers"][0].endswith(f"to {MAX_PARTITIONS}")
    assert listed["max_attempts"][0] == str(settings.max_attempts)
    assert listed["task_timeout_seconds"][0] == f"{settings.task_timeout_seconds:g}"


def test_reducers() -> None:
    listed = section("reference.md", "Reducers")
    names = [name for name, cls in vars(reducers).items() if inspect.isclass(cls) and issubclass(cls, Reducer)]
    assert [name for name in names if name[0] != "_" and name != "Reducer" and f"`{name}" not in listed] == []


def test_algorithms() -> None:
    listed = section("reference.md", "Algorithms")
    for name, where in algorithms.ESTIMATORS.items():
        module, _, cls = where.partition(":")
        options = getattr(import_module(module), cls)().get_params()
        assert f"`{name}`" in listed
        assert [option for option in options if f"`{option}`" not in listed] == [], name


def test_formats() -> None:
    text = section("reference.md", "Formats")
    listed = rows(text)
    for name, entry in FORMATS.items():
        cls = getattr(import_module(f"mapreduce.formats.{entry.module}"), entry.cls)
        options = [each.name for each in fields(cls) if each.init and each.name not in NOT_AN_OPTION]
        assert f"read_{name}" in listed[name][0]
        assert [suffix for suffix in entry.suffixes if suffix not in listed[name][2]] == [], name
        assert [option for option in options if f"`{option}`" not in text] == [], name


def test_errors_and_their_codes() -> None:
    listed = rows(section("reference.md", "Errors and exit codes"))
    classes = [cls for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, MapReduceError)]
    for cls in classes:
        if cls is not MapReduceError:
            assert listed[cls.__name__][1] == str(cls.exit_code)
            assert hasattr(mr, cls.__name__)


def test_transition_tables() -> None:
    """The tables in architecture.md are those of the tracker, row for row."""
    tables = section("architecture.md", "The tracker's tables")
    listed = [tuple(re.findall(r"[A-Z_]{4,}", line)) for line in tables.splitlines() if line.startswith("| `")]
    for table in (TASK_TABLE, ATTEMPT_TABLE):
        legal = [(before.name, cause.name, after.name) for (before, cause), after in table.items()]
        assert [row for row in legal if row not in listed] == []
    assert len(listed) == len(TASK_TABLE) + len(ATTEMPT_TABLE)


def test_links_lead_somewhere() -> None:
    root = DOCS.parent
    broken = []
    for document in [root / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if "://" not in target and not (document.parent / target.strip()).exists():
                broken.append(f"{document.name}: {target}")
    assert broken == []

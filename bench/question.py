"""What is one question, who answers it, and when do two answers agree?"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import Measurement

OURS = "mapreduce"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A tool that answers: its command, with {input} and {output} to fill in, and the ratio that we aim at."""

    name: str
    command: tuple[str, ...]
    target: float | None = None  # its time over ours, at least
    modules: tuple[str, ...] = ()  # what must be importable
    programs: tuple[str, ...] = ()  # what must be on the path
    environment: Mapping[str, str] = field(default_factory=dict)
    comparable: bool = True  # False: its answer cannot be ours, and the note says why
    note: str = ""

    def missing(self) -> str:
        """The first thing it needs that is not installed, or nothing."""
        lacking = [name for name in self.modules if importlib.util.find_spec(name) is None]
        lacking += [name for name in self.programs if shutil.which(name) is None]
        return lacking[0] if lacking else ""


def wall_seconds(_: Path, run: Measurement) -> float:
    """From the start of the command to its end."""
    return run.seconds


def megabytes(input_bytes: int) -> float:
    return input_bytes / 1e6


@dataclass(frozen=True, slots=True)
class Question:
    """One row block of the table. `answer` reads what a run left; `difference` names the first disagreement."""

    name: str
    title: str
    data: str  # a kind of data.generate
    contestants: tuple[Contestant, ...]  # ours first
    answer: Callable[[Path, Measurement], Any]
    difference: Callable[[Any, Any], str | None]
    size: str | None = None  # what is asked for when nobody says otherwise; None: 200MB
    prepare: Callable[[Path], None] | None = None  # makes what else the contestants need, beside the input
    seconds: Callable[[Path, Measurement], float] = wall_seconds
    rate: str = "MB/s"  # of what `work` says that an input of so many bytes is, per second; empty: not shown
    work: Callable[[int], float] = megabytes
    note: str = ""


def ours(*arguments: str) -> Contestant:
    """The engine as a user starts it: the command line, start-up included."""
    return Contestant(OURS, (sys.executable, "-m", "mapreduce", *arguments))


def peer(name: str, script: str, target: float | None, *modules: str, **more: Any) -> Contestant:
    """A script of bench/peers."""
    command = (sys.executable, "-m", f"bench.peers.{script}", "{input}", "{output}")
    return Contestant(name, command, target, modules, **more)

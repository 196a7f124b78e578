"""What do the tests of the algorithms share? Engines that start once, and the tools that we did not write."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import mapreduce as mr
from algorithms.kmeans import KMeansStep

WORKERS = (1, 2, 3, 7)
Engines = dict[int, mr.Engine]
Shell = Callable[..., bytes]


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """An engine for each number of workers, started and with its cache folder: later jobs leave nothing new behind."""
    made = {workers: mr.Engine(workers=workers) for workers in WORKERS}
    try:
        for engine in made.values():
            points = engine.cache(mr.from_arrays(np.ones((4, 1))))
            engine.run(KMeansStep(np.ones((1, 1))), points)
        yield made
    finally:
        for engine in made.values():
            engine.close()


@pytest.fixture
def engine(engines: Engines) -> mr.Engine:
    """Two workers."""
    return engines[2]


@pytest.fixture
def shell() -> Shell:
    """`shell('sort "$1"', path)`: what a command line of GNU tools writes, bytes in, bytes out, in order of bytes."""

    def run(command: str, *paths: Path) -> bytes:
        done = subprocess.run(
            ["sh", "-c", command, "sh", *map(str, paths)],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"},
            capture_output=True,
            check=True,
            timeout=30,
        )
        return done.stdout

    return run


def parts(folder: Path) -> bytes:
    """The output's parts, one after the other."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("part-*")))


def digest(folder: Path) -> str:
    """SHA-256 of the output's parts and their names."""
    hashed = hashlib.sha256()
    for path in sorted(folder.glob("part-*")):
        hashed.update(path.name.encode())
        hashed.update(path.read_bytes())
    return hashed.hexdigest()

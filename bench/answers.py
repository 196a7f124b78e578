"""What did a run answer, whatever the shape of its output, and do two answers agree?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.measure import Measurement

Floats = npt.NDArray[np.float64]
TOLERANCE = 1e-9  # relative, for floats: tools add in different orders


def parts(output: Path) -> list[Path]:
    """The data files of an output, in order: the file itself, or the part files of a directory."""
    if output.is_file():
        return [output]
    found = sorted(path for path in output.rglob("part-*") if path.is_file())
    return found or sorted(path for path in output.iterdir() if path.is_file() and path.name[0] not in "._")


def _lines(output: Path) -> Iterator[bytes]:
    for path in parts(output):
        with path.open("rb") as file:
            yield from file


def counts(output: Path, _: Measurement) -> dict[bytes, int]:
    """`word<TAB>count` lines as a dictionary; a word that comes twice is an error."""
    table: dict[bytes, int] = {}
    for line in _lines(output):
        word, _tab, count = line.rstrip(b"\n").rpartition(b"\t")
        if word in table:
            raise ValueError(f"{word!r} is counted twice")
        table[word] = int(count)
    return table


def line_set(output: Path, _: Measurement) -> tuple[int, int]:
    """Number of lines and the sum of their hashes: the same for the same lines in any order, in little memory."""
    from xxhash import xxh3_64_intdigest

    lines, total = 0, 0
    for line in _lines(output):
        lines += 1
        total += xxh3_64_intdigest(line)
    return lines, total


def same_counts(left: dict[bytes, int], right: dict[bytes, int]) -> str | None:
    if left == right:
        return None
    word = next(iter(sorted(word for word in left.keys() | right.keys() if left.get(word) != right.get(word))))
    return f"{word!r} is counted {left.get(word, 0)} and {right.get(word, 0)} times"


def means(output: Path, _: Measurement) -> Floats:
    """`key<TAB>mean` lines as an (n, 2) array in order of key."""
    table = np.array([line.split(b"\t") for line in _lines(output)], dtype=np.float64).reshape(-1, 2)
    return table[np.argsort(table[:, 0])]


def digest(output: Path, _: Measurement) -> str:
    """SHA-256 of the part files one after the other."""
    sha = hashlib.sha256()
    for path in parts(output):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha.update(block)
    return sha.hexdigest()


def same(left: Any, right: Any) -> str | None:
    return None if left == right else f"{left} is not {right}"


def numbers(output: Path, _: Measurement) -> Floats:
    """A JSON file of nested lists of numbers."""
    return np.asarray(json.loads(parts(output)[0].read_text()), dtype=np.float64)


def close(left: Floats, right: Floats) -> str | None:
    """Relative to the largest number of the answer."""
    if left.shape != right.shape:
        return f"shape {left.shape} is not {right.shape}"
    if left.size == 0:
        return None
    error = float(np.max(np.abs(left - right)) / max(float(np.max(np.abs(left))), 1e-300))
    return None if error <= TOLERANCE else f"largest relative difference {error:.1e}"


def close_means(left: Floats, right: Floats) -> str | None:
    """Same keys, and each mean close to the other's."""
    if left.shape != right.shape or not np.array_equal(left[:, 0], right[:, 0]):
        return f"{len(left)} keys are not the same {len(right)}"
    worst = float(np.max(np.abs(left[:, 1] - right[:, 1]) / np.maximum(np.abs(left[:, 1]), 1e-300), initial=0.0))
    return None if worst <= TOLERANCE else f"largest relative difference {worst:.1e}"

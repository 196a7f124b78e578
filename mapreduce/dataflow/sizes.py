"""About how many bytes does a Python value take? Reckoned from the value alone, never measured.

What a buffer holds decides where it spills, and where it spills must be the same in every run: the process's memory
tells something else each time. Large collections are sampled at even distances, sets (whose order differs from process
to process) are counted whole.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import Any

DEPTH = 5
"""Levels looked into: a dictionary of lists of tuples of strings, say. Deeper ones count as if they were empty."""

SAMPLE = 8

PLAIN = frozenset({int, float, bool, str, bytes, type(None)})
"""Types whose own size is all there is."""


def size_of(value: Any, depth: int = DEPTH) -> int:
    """About how many bytes a value takes with what it refers to. Shared parts count each time."""
    kind = type(value)
    size = sys.getsizeof(value)
    if kind in PLAIN or depth == 0:
        return size
    if isinstance(value, list | tuple):
        return size + _size_of_items(value, depth)
    if isinstance(value, dict):
        return size + _size_of_items(list(value), depth) + _size_of_items(list(value.values()), depth)
    if isinstance(value, set | frozenset):
        return size + sum(size_of(item, depth - 1) for item in value)
    own = getattr(value, "nbytes", None)  # arrays and columns, views of others among them
    if isinstance(own, int):
        return max(size, own)
    return size + _size_of_attributes(value, depth)


def mean_size(values: Sequence[Any], sample: int = SAMPLE) -> int:
    """About how many bytes one of the values takes, from a sample of them; 0 of none."""
    if not values:
        return 0
    picked = values[:: -(-len(values) // sample)]
    return sum(map(size_of, picked)) // len(picked)


def _size_of_items(items: Sequence[Any], depth: int) -> int:
    if not items:
        return 0
    picked = items[:: -(-len(items) // SAMPLE)]
    return sum(size_of(item, depth - 1) for item in picked) * len(items) // len(picked)


def _size_of_attributes(value: Any, depth: int) -> int:
    size = 0
    if isinstance(attributes := getattr(value, "__dict__", None), dict):
        size += size_of(attributes, depth)
    for cls in type(value).__mro__:
        slots: Collection[str] | str = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name != "__dict__" and hasattr(value, name):
                size += size_of(getattr(value, name), depth - 1)
    return size

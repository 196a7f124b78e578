"""What is carried of a module?"""

from __future__ import annotations

from mapreduce.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A module that a worker may not be able to import: its name, path and text."""

    module: str
    path: str
    text: str
    is_package: bool = False

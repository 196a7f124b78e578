"""What happens next, and what time is it then? A clock that jumps from one entry to the next."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class Timetable:
    """Things to do at given times. What is due at the same time is done in the order in which it was entered."""

    __slots__ = ("_entered", "_entries", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._entries: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._entered = 0

    @property
    def next_time(self) -> float | None:
        """When the next entry is due; None if there is none."""
        return self._entries[0][0] if self._entries else None

    def at(self, time: float, action: Callable[[Any], None], subject: Any) -> None:
        """Enter `action(subject)`; what should have happened before now happens now. Entries are never removed: an
        action looks whether it still makes sense."""
        self._entered += 1
        heappush(self._entries, (max(time, self.now), self._entered, action, subject))

    def step(self) -> None:
        """Do the next entry. Needs one."""
        self.now, _, action, subject = heappop(self._entries)
        action(subject)

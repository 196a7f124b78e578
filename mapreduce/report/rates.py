"""How fast is it going, and how long will it take? Arithmetic on times that are given; no clock of its own."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOW_SECONDS = 5.0
"""A rate is of the last five seconds: long enough that single tasks don't show, short enough that a stall does."""

LEAST_FRACTION = 0.01
"""Below this share done, an estimate of what is left says nothing."""


class Reading(NamedTuple):
    """A growing amount as it stood at a time."""

    time: float
    amount: float


class Rate:
    """Amount a second over the last `window_seconds`, from readings in the order of time."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._window_seconds = window_seconds
        self._readings: deque[Reading] = deque()

    def read(self, time: float, amount: float) -> None:
        readings = self._readings
        if readings and time <= readings[-1].time:
            time = readings.pop().time
        readings.append(Reading(time, amount))
        # the oldest one kept is at or just before the window's edge, so that the window is always spanned
        while len(readings) > 2 and readings[1].time <= time - self._window_seconds:
            readings.popleft()

    @property
    def per_second(self) -> float:
        """0 until two readings at different times are there; never negative (a lost output takes amounts back)."""
        if len(self._readings) < 2:
            return 0.0
        first, last = self._readings[0], self._readings[-1]
        return max(0.0, (last.amount - first.amount) / (last.time - first.time))


def seconds_left(fraction: float, elapsed_seconds: float) -> float | None:
    """What is left if the rest goes as what is done did; None while too little is done to tell."""
    if fraction >= 1.0:
        return 0.0
    if fraction < LEAST_FRACTION or elapsed_seconds <= 0:
        return None
    return elapsed_seconds * (1.0 - fraction) / fraction


def share(part: float, whole: float) -> float:
    """part / whole within [0, 1]; 1 where there is nothing to do."""
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 1.0

"""How far is an attempt, may it go on, and where does it stand? Between a task and its worker's watch thread.

The task writes what it has done and asks `check` at every batch; the watch thread reads, and says that it must end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")


class CancelledError(BaseException):
    """The tracker no longer wants this attempt. Not an Exception: user code must not swallow it."""


class OverMemoryError(BaseException):
    """The worker is close to the most memory that it may use: end now, or be ended. Not an Exception, likewise."""


class InHand(NamedTuple):
    """What a task is at: the record or key, and where it stands; None for what is not known."""

    record: object = None
    place: str | None = None


class Monitor:
    """Progress of one attempt. Plain attributes: a torn read costs nothing but a stale figure."""

    __slots__ = (
        "bytes_in",
        "cancelled",
        "in_hand",
        "over_memory",
        "place",
        "record",
        "records_in",
        "records_out",
        "spills",
        "steps",
        "within",
    )

    def __init__(self) -> None:
        self.bytes_in = 0
        self.records_in = 0
        self.records_out = 0
        self.spills = 0
        self.steps = 0  # whatever else shows that the work goes on: a batch merged or written
        self.within: Callable[[], int] | None = None  # steps within the batch at hand: asked, so they cost nothing
        self.cancelled = False
        self.over_memory: Callable[[], str] | None = None  # weighs once more; a sentence if it is still too much
        self.record: object = None  # the record that an exception was raised for
        self.place: str | None = None  # where it stands: file and byte offset
        self.in_hand: Callable[[], InHand] | None = None  # asked, from any thread, when the attempt must end

    def check(self) -> None:
        """Raise if the attempt must not go on: cancelled, or too large. Tasks call it at every block and batch."""
        if self.cancelled:
            raise CancelledError
        if self.over_memory is not None:
            sentence = self.over_memory()
            if sentence:
                raise OverMemoryError(sentence)
            self.over_memory = None  # a spill has made room since

    def watched(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; each is a step, before which the attempt may have to end."""
        for item in items:
            self.check()
            self.steps += 1
            yield item

    def steps_so_far(self) -> int:
        """A figure that changes as long as the work goes on. From any thread; never raises."""
        with suppress(Exception):  # a batch may end just now
            if self.within is not None:
                return self.steps + self.within()
        return self.steps

    def whereabouts(self) -> InHand:
        """What the task is at, as far as it says. Never raises."""
        with suppress(Exception):  # it may stand between two states, or its record's repr may fail
            if self.in_hand is not None:
                return self.in_hand()
        return InHand(self.record, self.place)

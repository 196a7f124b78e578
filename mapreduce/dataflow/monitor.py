"""How far is an attempt, and may it go on? Written by the task, read by the worker's reporting thread."""

from __future__ import annotations


class CancelledError(BaseException):
    """The tracker no longer wants this attempt. Not an Exception: user code must not swallow it."""


class Monitor:
    """Progress of one attempt. Plain attributes: a torn read costs nothing but a stale figure."""

    __slots__ = ("bytes_in", "cancelled", "place", "record", "records_in", "records_out", "spills")

    def __init__(self) -> None:
        self.bytes_in = 0
        self.records_in = 0
        self.records_out = 0
        self.spills = 0
        self.cancelled = False
        self.record: object = None  # the record in hand, for the report of a failure
        self.place: str | None = None  # where it stands: file and byte offset

    def check(self) -> None:
        """Raise CancelledError if the attempt was cancelled. Tasks call it at every block."""
        if self.cancelled:
            raise CancelledError

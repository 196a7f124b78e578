"""How much goes through the channels of a pool, and how long is its process at it?"""

from __future__ import annotations

import time

from mapreduce.storage.traffic import Link, Moved, Way


class Tally:
    """Of one job. A time that is `started` was read from `time.perf_counter` before the call of the system."""

    __slots__ = ("received_bytes", "receiving_seconds", "sending_seconds", "sent_bytes")

    def __init__(self) -> None:
        self.sent_bytes = self.received_bytes = 0
        self.sending_seconds = self.receiving_seconds = 0.0

    def sent(self, size: int, started: float) -> None:
        self.sent_bytes += size
        self.sending_seconds += time.perf_counter() - started

    def received(self, size: int, started: float) -> None:
        self.received_bytes += size
        self.receiving_seconds += time.perf_counter() - started

    def links(self) -> dict[Link, Moved]:
        return {
            Link("tracker", "workers", Way.MESSAGE): Moved(self.sent_bytes, self.sending_seconds),
            Link("workers", "tracker", Way.MESSAGE): Moved(self.received_bytes, self.receiving_seconds),
        }

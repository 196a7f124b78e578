"""How much memory does a worker use, and when is it too much?

Counted is anonymous memory: what the process would lose if it ended. Pages of files and shared memory are not its own.
A forked worker starts with its parent's pages on its account, though it shares them: they are its baseline.
"""

from __future__ import annotations

import os
import sys
from enum import Enum

from mapreduce.settings import MiB

END_SHARE = 0.95
"""At this share of the limit a worker is ended: later the kernel would choose whom to kill, and say nothing."""


class Verdict(Enum):
    """What to do with a worker."""

    FINE = "fine"
    OVER = "over"


def verdict(anonymous_bytes: int, limit_bytes: int) -> Verdict:
    """`limit_bytes` of 0 is no limit."""
    over = limit_bytes > 0 and anonymous_bytes >= limit_bytes * END_SHARE
    return Verdict.OVER if over else Verdict.FINE


def is_much(memory_bytes: int, limit_bytes: int) -> bool:
    """Over half of what a worker may use, or of what the machine has: so much that the kernel may have ended it."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return memory_bytes > min(limit_bytes or machine_bytes, machine_bytes) / 2


def over_limit_sentence(used_bytes: int, limit_bytes: int) -> str:
    return (
        f"it used {used_bytes / MiB:,.0f} MiB of the {limit_bytes / MiB:,.0f} MiB that a worker may use "
        f"(it is ended at {END_SHARE:.0%}); give workers more with --memory, or smaller pieces with --split-size"
    )


class MemoryGauge:
    """Reads this process's memory. Where the system doesn't tell (no /proc), it reads 0."""

    __slots__ = ("_baseline", "_page_bytes", "_statm")

    def __init__(self) -> None:
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._statm = os.open("/proc/self/statm", os.O_RDONLY) if sys.platform == "linux" else -1
        self._baseline = self._anonymous_pages()

    def _pages(self) -> list[bytes]:
        return os.pread(self._statm, 128, 0).split() if self._statm >= 0 else [b"0"] * 3

    def _anonymous_pages(self) -> int:
        pages = self._pages()
        return int(pages[1]) - int(pages[2])  # resident, less what rests in files and shared memory

    def anonymous_bytes(self) -> int:
        """Own memory, above the baseline."""
        return max(0, self._anonymous_pages() - self._baseline) * self._page_bytes

    def resident_bytes(self) -> int:
        """What `top` shows."""
        return int(self._pages()[1]) * self._page_bytes

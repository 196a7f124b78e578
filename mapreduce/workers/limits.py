"""How much memory does a worker use, and when is it too much?

Three steps, each for what the one before did not hold. Buffers are spilled when the sizes of their pairs, reckoned and
not measured, reach their share (`dataflow/combine`). At 90 % of the limit, as measured, freed memory is given back and,
if that is not enough, the task is asked to end. At 95 % the worker is ended. Either way it says what was in hand.

Counted is anonymous memory: what the process would lose if it ended. Pages of files and shared memory are not its own.
A forked worker starts with its parent's pages on its account, though it shares them: they are its baseline.
"""

from __future__ import annotations

import os
import sys
from enum import Enum

from mapreduce.settings import MiB

ASK_SHARE = 0.9
"""At this share of the limit the task is asked to end, which it does at its next batch: so its error names the record,
`teardown` runs, and nobody is killed. A twentieth is left for the time until then: 50 MB of 1 GiB, for which Python
objects need a tenth of a second and more. What grows faster is ended."""

END_SHARE = 0.95
"""At this share of the limit a worker is ended: later the kernel would choose whom to kill, and say nothing."""


class Verdict(Enum):
    """What to do with a worker."""

    FINE = "fine"
    LARGE = "large"
    OVER = "over"


def verdict(anonymous_bytes: int, limit_bytes: int) -> Verdict:
    """`limit_bytes` of 0 is no limit."""
    if not limit_bytes or anonymous_bytes < limit_bytes * ASK_SHARE:
        return Verdict.FINE
    return Verdict.OVER if anonymous_bytes >= limit_bytes * END_SHARE else Verdict.LARGE


def is_much(memory_bytes: int, limit_bytes: int) -> bool:
    """Over half of what a worker may use, or of what the machine has: so much that the kernel may have ended it."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return memory_bytes > min(limit_bytes or machine_bytes, machine_bytes) / 2


def over_limit_sentence(used_bytes: int, limit_bytes: int) -> str:
    """Says how much it was; the remedy depends on the task, and comes when all attempts have failed."""
    return f"it used {used_bytes / MiB:,.0f} MiB of the {limit_bytes / MiB:,.0f} MiB that a worker may use"


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

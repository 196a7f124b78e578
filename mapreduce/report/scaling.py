"""How much faster would more workers make it? Amdahl, Karp-Flatt, and the fraction measured from a job.

A job spends some of its time in tasks, which n workers share, and the rest in the one process that plans, dispatches,
commits and finishes. With p the share of the one-worker time that is spent in tasks:

    Amdahl (1967)      S(n) = 1 / ((1 - p) + p / n)          the same work on more workers
    Karp-Flatt (1990)  e    = (1/S - 1/n) / (1 - 1/n)        the serial fraction that a measured speed-up S betrays

p from one run is an upper bound: waiting for a slow disk or a straggler is not seen in it. Karp-Flatt's e is.
"""

from __future__ import annotations

from mapreduce.errors import UsageError

WORKERS_SHOWN = (2, 4, 8, 16, 32, 64)
"""The n for which a summary prints S(n)."""


def amdahl(p: float, n: int) -> float:
    """Speed-up of n workers over one when the fraction p of the work is parallel: S(4) = 3.0769 for p = 0.9."""
    _check(p, n)
    return 1.0 / ((1.0 - p) + p / n)


def karp_flatt(speedup: float, n: int) -> float | None:
    """The serial fraction that a speed-up measured on n workers betrays; None for n = 1, where it is undefined."""
    if n < 1:
        raise UsageError(f"{n} workers; there is at least 1")
    if speedup <= 0:
        raise UsageError(f"a speed-up of {speedup}; it must be above 0")
    if n == 1:
        return None
    return (1.0 / speedup - 1.0 / n) / (1.0 - 1.0 / n)


def measured_fraction(task_seconds: float, serial_seconds: float) -> float | None:
    """p of a job: seconds inside tasks, over all workers, against those plus the seconds in which no task ran.

    None where nothing was measured.
    """
    total = task_seconds + serial_seconds
    return min(1.0, max(0.0, task_seconds / total)) if total > 0 else None


def measured_speedup(task_seconds: float, serial_seconds: float, wall_seconds: float) -> float | None:
    """What one worker would have taken (its tasks one after the other, and the serial rest) over what it took."""
    if wall_seconds <= 0:
        return None
    return (task_seconds + serial_seconds) / wall_seconds


def _check(p: float, n: int) -> None:
    if not 0.0 <= p <= 1.0:
        raise UsageError(f"a parallel fraction of {p}; it lies between 0 and 1")
    if n < 1:
        raise UsageError(f"{n} workers; there is at least 1")

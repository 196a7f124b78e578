"""What may be set, in which unit, and what is it when nobody sets it?

Everything that shapes the answer (split size, partitions, block size) is derived from the input alone, never from the
number of workers: that is what makes the output the same bits on any machine.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mapreduce.dataclass import dataclass
from mapreduce.errors import UsageError, near

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30

BLOCK_BYTES = 1 * MiB
"""Input bytes of a block: small enough to stay in a core's cache, large enough that per-block costs vanish."""

MAX_SPLIT_BYTES = 128 * MiB
"""HDFS's block size; at 200 MB/s a task lasts under a second, so a lost one costs little."""

MIN_SPLIT_BYTES = 1 * MiB
SPLITS_AIMED_AT = 16
"""Enough tasks for the cores of one machine, on inputs up to 2 GiB. More would shuffle more: each split repeats the
keys of the others (mean by key of a million keys, 200 MB: 32 splits take 1.3 times the CPU of 16)."""

PARTITION_BYTES = 64 * MiB
"""Input bytes a partition when nobody sets --reducers."""

MAX_PARTITIONS = 256
DEFAULT_MEMORY_BYTES = 1 * GiB
MIN_MEMORY_BYTES = 128 * 10**6
"""An interpreter with numpy, pyarrow and pandas loaded holds half of this before it holds a record."""

_UNITS = {"": 1, "B": 1, "K": KiB, "KB": 10**3, "KIB": KiB, "M": MiB, "MB": 10**6, "MIB": MiB,
          "G": GiB, "GB": 10**9, "GIB": GiB, "T": 1 << 40, "TB": 10**12, "TIB": 1 << 40}  # fmt: skip


def parse_size(text: str | int) -> int:
    """Bytes from '64MB', '512 MiB', '1.5G' or a plain number. Raises UsageError."""
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    unit = _UNITS.get(match.group(2).upper()) if match else None
    if match is None or unit is None:
        raise UsageError(f"{text!r} is not a size; write a number with a unit, such as 64MB, 512MiB or 2G")
    size = int(float(match.group(1)) * unit)
    if size < 1:
        raise UsageError(f"{text!r} is not a size; it must be at least one byte")
    return size


PLACEMENTS = ("balance", "locality", "hybrid")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a job runs. None means: derived from the input or the machine (see the functions below)."""

    workers: int | None = None
    reducers: int | None = None
    split_bytes: int | None = None
    memory_bytes: int = DEFAULT_MEMORY_BYTES  # a worker's
    block_bytes: int = BLOCK_BYTES
    max_attempts: int = 4  # Hadoop's and Spark's default
    task_timeout_seconds: float = 600.0  # without progress
    output_format: str | None = None  # tsv in an output folder, Python objects without one
    sort: bool = False  # total order by key over all parts
    fresh: bool = False  # replace an output that exists
    skip_bad_records: float = 0.0  # share of the records that may be skipped because `map` fails on them
    incremental: bool = False  # reuse map outputs of earlier runs, and keep those of this one
    placement: str = "hybrid"  # of tasks on hosts that have their input: see tracker.placement
    files: tuple[str, ...] = ()  # further files that the job opens, sent along with its code
    replicas: int = 1  # on how many hosts map outputs lie; beyond 1 on a cluster alone
    chaos: str = ""  # "SEED" or "SEED:kill=0.05,...": faults to inflict on ourselves

    def __post_init__(self) -> None:
        for name in ("workers", "reducers", "split_bytes", "memory_bytes", "block_bytes", "max_attempts", "replicas"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; it must be at least 1")
        if self.memory_bytes < MIN_MEMORY_BYTES:
            raise UsageError(
                f"a worker cannot do with {self.memory_bytes / 1e6:,.6g} MB of memory; "
                f"give it at least --memory {MIN_MEMORY_BYTES // 10**6}MB"
            )
        if self.task_timeout_seconds <= 0:
            raise UsageError(f"task_timeout_seconds is {self.task_timeout_seconds}; it must be above 0")
        if self.placement not in PLACEMENTS:
            raise UsageError(f"no placement {self.placement!r}; {near(self.placement, PLACEMENTS)}")
        if not 0 <= self.skip_bad_records < 1:
            raise UsageError(
                f"skip_bad_records is {self.skip_bad_records}; it is the share of records that may be bad, "
                "such as 0.001, from 0 (none) to below 1"
            )


def settings_from(asked: dict[str, Any]) -> Settings:
    """Settings from the names that users write (`memory="512MB"`). None means not set. Raises UsageError."""
    names = {
        "workers": ("workers", int),
        "reducers": ("reducers", int),
        "split_size": ("split_bytes", parse_size),
        "memory": ("memory_bytes", parse_size),
        "block_size": ("block_bytes", parse_size),
        "max_attempts": ("max_attempts", int),
        "task_timeout_seconds": ("task_timeout_seconds", float),
        "output_format": ("output_format", str),
        "sort": ("sort", bool),
        "fresh": ("fresh", bool),
        "skip_bad_records": ("skip_bad_records", float),
        "incremental": ("incremental", bool),
        "placement": ("placement", str),
        "replicas": ("replicas", int),
        "files": ("files", lambda paths: tuple(map(str, [paths] if isinstance(paths, str) else paths))),
        "chaos": ("chaos", str),
    }
    given: dict[str, Any] = {}
    for name, value in asked.items():
        if name not in names:
            raise UsageError(f"no setting {name!r}; {near(name, list(names))}")
        if value is not None:
            field, convert = names[name]
            given[field] = convert(value)  # type: ignore[operator]
    return Settings(**given)


def default_split_bytes(input_bytes: int) -> int:
    """Split size for an input of so many bytes: at least two splits, about 16, at most 128 MiB each."""
    if input_bytes < 2 * MIN_SPLIT_BYTES:
        return max(1, math.ceil(input_bytes / 2))
    return min(MAX_SPLIT_BYTES, max(MIN_SPLIT_BYTES, math.ceil(input_bytes / SPLITS_AIMED_AT)))


def default_partitions(input_bytes: int) -> int:
    """Partitions for an input of so many bytes: one a 64 MiB, at least 1, at most 256."""
    return min(MAX_PARTITIONS, max(1, math.ceil(input_bytes / PARTITION_BYTES)))


def lasting_split_bytes(start: int) -> int:
    """Size of the split that begins at byte `start` of its file, where cuts must stay as files grow and come and go: a
    power of two between 1 and 128 MiB, a sixteenth to an eighth of what lies before it. A file of 1 GiB has 64."""
    return min(MAX_SPLIT_BYTES, max(MIN_SPLIT_BYTES, 1 << max(0, (start // 8).bit_length() - 1)))


def lasting_partitions(input_bytes: int) -> int:
    """Partitions that seldom change as the input grows: the default's number, raised to a power of four."""
    partitions = 1
    while partitions < default_partitions(input_bytes):
        partitions *= 4
    return partitions


def available_cpus() -> int:
    """CPUs that this process may use: affinity, then every cgroup quota up the path. At least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    quota = cgroup_cpu_quota(lambda path: Path(path).read_text())
    return max(1, min(cpus, math.ceil(quota))) if quota else max(1, cpus)


def cgroup_cpu_quota(read: Callable[[str], str]) -> float | None:
    """The tightest quota of our cgroup and its parents, in CPUs; None if unlimited. `read(path)` may raise OSError."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        lines = read("/proc/self/cgroup").splitlines()
    except OSError:
        return None
    limits: list[float] = []
    for line in lines:
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts), -1, -1):
            folder = "/".join(parts[:depth])
            if controllers == "":
                limits += _quota_of(read, f"/sys/fs/cgroup/{folder}/cpu.max", None)
            elif "cpu" in controllers.split(","):
                base = f"/sys/fs/cgroup/cpu/{folder}"
                limits += _quota_of(read, f"{base}/cpu.cfs_quota_us", f"{base}/cpu.cfs_period_us")
    return min(limits) if limits else None


def _quota_of(read: Callable[[str], str], quota_path: str, period_path: str | None) -> list[float]:
    try:
        words = read(quota_path).split()
        period_words = read(period_path).split() if period_path else words[1:]
    except OSError:
        return []
    if not words or not period_words or words[0] in ("max", "-1"):
        return []
    return [int(words[0]) / int(period_words[0])]

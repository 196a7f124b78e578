"""What befalls the simulated hosts? Figures only; `simulation` makes it happen."""

from __future__ import annotations

import math
import re

from mapreduce.dataclass import dataclass
from mapreduce.errors import UsageError

_NUMBER = r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
_COUNT_AT = re.compile(rf"(\d+)@{_NUMBER}")
_COUNT_AT_FOR = re.compile(rf"(\d+)@{_NUMBER}\+{_NUMBER}")


@dataclass(frozen=True, slots=True)
class Blow:
    """So many hosts, picked at random, are hit at a time (seconds since the start), for `seconds`."""

    hosts: int
    time: float
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Slow:
    """So many hosts are slower by a factor: in all that they do, or only at their disks."""

    hosts: int
    factor: float
    disk_only: bool = False


@dataclass(frozen=True, slots=True)
class Slowness:
    """The same of a cluster of any size: `amount` is a share of the hosts or their number."""

    amount: float
    factor: float
    is_share: bool
    disk_only: bool = False

    def on(self, hosts: int) -> Slow:
        count = round(self.amount * hosts) if self.is_share else int(self.amount)
        return Slow(count, self.factor, self.disk_only)


@dataclass(frozen=True, slots=True)
class Faults:
    """All that goes wrong in a run. Without figures nothing does."""

    slow: tuple[Slow, ...] = ()
    crash_rate: float = 0.0
    """Crashes of a host in an hour that it is up, on average; they come at random."""
    crashes: tuple[Blow, ...] = ()
    partitions: tuple[Blow, ...] = ()
    """The network to these hosts is cut: they go on, and nobody hears of it until it is back."""
    stops: tuple[Blow, ...] = ()
    """These hosts stand still and then go on, as a paused virtual machine does."""
    lost_outputs: float = 0.0
    """Share of the outputs between stages that cannot be read when somebody wants them."""
    repair_seconds: float = 60.0
    """From a crash to the host's return, empty; infinite: never."""
    notice_seconds: float = 10.0
    """From a crash or a cut to the tracker being told that the workers are lost: some missed heartbeats."""


def parse_crash(text: str) -> float | Blow:
    """'0.1': crashes a host and hour; '200@300': two hundred hosts after 300 seconds. Raises UsageError."""
    if match := _COUNT_AT.fullmatch(text):
        return Blow(int(match[1]), float(match[2]))
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if 0 <= rate < math.inf:
        return rate
    raise UsageError(f"{text!r} is no crash; write crashes a host and hour (0.1) or COUNT@SECONDS (200@300)")


def parse_blow(text: str) -> Blow:
    """'50@100+30': fifty hosts after 100 seconds, for 30. Raises UsageError."""
    match = _COUNT_AT_FOR.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} names no hosts and times; write COUNT@SECONDS+SECONDS, such as 50@100+30")
    return Blow(int(match[1]), float(match[2]), float(match[3]))


def parse_slow(text: str) -> Slowness:
    """'0.02:10': two hosts in a hundred are ten times slower; '5:10': five are. Raises UsageError."""
    share, _, factor = text.partition(":")
    try:
        amount, times = float(share), float(factor)
    except ValueError:
        amount, times = -1.0, 0.0
    is_share = "." in share and 0 <= amount <= 1
    if 1 <= times < math.inf and (is_share or (amount >= 0 and amount == int(amount))):
        return Slowness(amount, times, is_share=is_share)
    raise UsageError(f"{text!r} is no slowness; write SHARE:FACTOR (0.02:10) or COUNT:FACTOR (5:10), FACTOR from 1 on")


def parse_ratio(text: str) -> float:
    """'0.001': a share between 0 and 1. Raises UsageError."""
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if 0 <= ratio <= 1:
        return ratio
    raise UsageError(f"{text!r} is no share; write a number from 0 to 1, such as 0.001")

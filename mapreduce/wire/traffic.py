"""How much was moved, over which links, in which way, and how long was it waited for?

Whoever reads counts. A worker tells its host now and then, the host tells the tracker at the end of the job, and the
summary has a line of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_JOBS = 256
MOST_LINKS = 100_000
"""What a host remembers; figures beyond that are left out. 300 hosts have so many links."""

NAMED_LINKS = 3
"""The sentence names so many, the busiest first."""


class Link(NamedTuple):
    """From whose disk to whose memory: the same host where it was read in place."""

    source: str
    reader: str

    @property
    def in_place(self) -> bool:
        return self.source == self.reader


@dataclass(frozen=True, slots=True)
class Moved:
    """What went over a link, and how long readers waited for it."""

    bytes: int = 0
    seconds: float = 0.0

    def __add__(self, other: Moved) -> Moved:
        return Moved(self.bytes + other.bytes, self.seconds + other.seconds)


Links = Mapping[Link, Moved]


def add_links(*tallies: Links) -> dict[Link, Moved]:
    """The sum of tallies."""
    total: dict[Link, Moved] = {}
    for tally in tallies:
        for link, moved in tally.items():
            total[link] = total.get(link, Moved()) + moved
    return total


def encode_links(links: Links) -> bytes:
    """As JSON: [source, reader, bytes, seconds] of each."""
    return json.dumps(
        [[*link, moved.bytes, round(moved.seconds, 6)] for link, moved in links.items()], separators=(",", ":")
    ).encode()


def decode_links(data: bytes) -> dict[Link, Moved]:
    """The inverse of `encode_links`. Raises ValueError for anything else."""
    try:
        rows = json.loads(data)
        return {Link(str(a), str(b)): Moved(int(size), float(seconds)) for a, b, size, seconds in rows}
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise ValueError(f"no figures of links: {error}") from None


def moved_sentence(links: Links) -> str:
    """For the summary: what went between hosts, by link, and what was read where it lay; "" if nothing was."""
    between = {link: moved for link, moved in links.items() if not link.in_place and moved.bytes}
    in_place = sum(moved.bytes for link, moved in links.items() if link.in_place)
    words = [_between(between)] if between else []
    if in_place:
        words.append(f"{_size(in_place)} read in place")
    return "; ".join(words)


def _between(links: Links) -> str:
    busiest = sorted(links.items(), key=lambda item: (-item[1].bytes, item[0]))
    named = [f"{link.source} -> {link.reader} {_size(moved.bytes)}" for link, moved in busiest[:NAMED_LINKS]]
    if len(busiest) > NAMED_LINKS:
        named.append(f"{len(busiest) - NAMED_LINKS} more links")
    total = add_links(*({Link("", "x"): moved} for moved in links.values()))[Link("", "x")]
    return f"moved {_size(total.bytes)} between hosts in {total.seconds:.1f} s of waiting: {', '.join(named)}"


def _size(number: int) -> str:
    units: Sequence[tuple[float, str]] = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    for unit, name in units:
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} B"


class Traffic:
    """A host's figures by job, as its readers told them. One thread adds, another takes."""

    def __init__(self) -> None:
        self._jobs: dict[str, list[Links]] = {}

    def add(self, job: str, links: Links) -> None:
        tallies = self._jobs.get(job)
        if tallies is None:
            if len(self._jobs) >= MOST_JOBS:
                return
            tallies = self._jobs[job] = []
        tallies.append(links)
        if len(tallies) > 64:
            total = add_links(*tallies)
            tallies[:] = [total] if len(total) <= MOST_LINKS else []

    def take(self, job: str) -> dict[Link, Moved]:
        """All that was told of this job, which is forgotten with that."""
        return add_links(*self._jobs.pop(job, []))

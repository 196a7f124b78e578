"""How much was moved, over which links, in which way, and how long was it waited for?

Whoever reads counts. A worker's figures travel with the result of the attempt that read, as counters of a name that no
job can give; the executor takes them out again, and the summary has a line of the sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_MARK = "\0moved\0"

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


def with_moved(counters: Mapping[str, int], links: Links) -> dict[str, int]:
    """The counters of an attempt, and with them what it moved; `without_moved` is the inverse."""
    found = dict(counters)
    for link, moved in links.items():
        name = f"{_MARK}{link.source}\0{link.reader}\0"
        found[name + "bytes"] = moved.bytes
        found[name + "us"] = round(moved.seconds * 1e6)
    return found


def without_moved(counters: Mapping[str, int]) -> tuple[dict[str, int], dict[Link, Moved]]:
    """The counters that are the job's, and what was moved."""
    own: dict[str, int] = {}
    links: dict[Link, Moved] = {}
    for name, number in counters.items():
        if not name.startswith(_MARK):
            own[name] = number
            continue
        source, reader, unit = name.removeprefix(_MARK).split("\0")
        moved = Moved(bytes=number) if unit == "bytes" else Moved(seconds=number / 1e6)
        links = add_links(links, {Link(source, reader): moved})
    return own, links


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

"""How much was passed on, from whom to whom, in which way, and how long was it waited for?

Whoever reads counts. A worker's figures travel with the result of the attempt that read, as counters of a name that no
job can give; whoever takes the result in takes them out again.

Ways:

    READ      a file that lies on another host, or here (then source and reader are the same)
    MAPPED    memory that several processes of a host share: nothing was copied
    MESSAGE   what tracker and workers tell each other, with what travels in it: specs, results, small partials
    COPY      an output that another host keeps, too
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

_MARK = "\0moved\0"


class Way(Enum):
    """How something was passed on."""

    READ = "read"
    MAPPED = "mapped"
    MESSAGE = "message"
    COPY = "copy"


class Link(NamedTuple):
    """From whose disk or memory to whose memory: the same host where it was used in place. A worker that doesn't know
    the name of its host leaves both empty."""

    source: str
    reader: str
    way: Way = Way.READ

    @property
    def in_place(self) -> bool:
        return self.source == self.reader


class Moved(NamedTuple):  # loaded by every process: a dataclass takes three times as long to make
    """What went over a link, and how long readers waited for it."""

    bytes: int = 0
    seconds: float = 0.0

    def __add__(self, other: Moved) -> Moved:  # type: ignore[override]
        return Moved(self.bytes + other.bytes, self.seconds + other.seconds)


Links = Mapping[Link, Moved]


def add_links(*tallies: Links) -> dict[Link, Moved]:
    """The sum of tallies."""
    total: dict[Link, Moved] = {}
    for tally in tallies:
        for link, moved in tally.items():
            total[link] = total.get(link, Moved()) + moved
    return total


def at_host(links: Links, host: str) -> dict[Link, Moved]:
    """The same, where those of this host know its name."""
    return add_links(
        *({Link(link.source or host, link.reader or host, link.way): moved} for link, moved in links.items())
    )


def passed_since(before: Links, now: Links) -> dict[Link, Moved]:
    """What was added to a tally that only grows."""
    return {
        link: Moved(moved.bytes - old.bytes, moved.seconds - old.seconds)
        for link, moved in now.items()
        if moved != (old := before.get(link, Moved()))
    }


def rows_of(links: Links) -> list[dict[str, str | int | float]]:
    """The same as plain values, those with most bytes first; what moved nothing is left out."""
    rows: list[dict[str, str | int | float]] = [
        {
            "source": link.source,
            "reader": link.reader,
            "way": link.way.value,
            "bytes": moved.bytes,
            "seconds": round(moved.seconds, 6),
        }
        for link, moved in sorted(links.items(), key=lambda item: (-item[1].bytes, *item[0][:2], item[0].way.value))
        if moved.bytes
    ]
    return rows


def with_moved(counters: Mapping[str, int], links: Links) -> dict[str, int]:
    """The counters of an attempt, and with them what it moved; `without_moved` is the inverse."""
    found = dict(counters)
    for link, moved in links.items():
        name = f"{_MARK}{link.source}\0{link.reader}\0{link.way.value}\0"
        found[name + "bytes"] = found.get(name + "bytes", 0) + moved.bytes
        found[name + "us"] = found.get(name + "us", 0) + round(moved.seconds * 1e6)
    return found


def without_moved(counters: Mapping[str, int]) -> tuple[dict[str, int], dict[Link, Moved]]:
    """The counters that are the job's, and what was moved."""
    own: dict[str, int] = {}
    links: dict[Link, Moved] = {}
    for name, number in counters.items():
        if not name.startswith(_MARK):
            own[name] = number
            continue
        source, reader, way, unit = name.removeprefix(_MARK).split("\0")
        moved = Moved(bytes=number) if unit == "bytes" else Moved(seconds=number / 1e6)
        links = add_links(links, {Link(source, reader, Way(way)): moved})
    return own, links


class _Noted(threading.local):
    def __init__(self) -> None:
        self.links: dict[Link, Moved] = {}


_noted = _Noted()


def note_moved(links: Links) -> None:
    """Something was passed on to this thread; the attempt that it runs, or runs next, tells."""
    _noted.links = add_links(_noted.links, links)


def note_mapped(size: int, seconds: float) -> None:
    """So many bytes were mapped here, checked in so many seconds."""
    note_moved({Link("", "", Way.MAPPED): Moved(size, seconds)})


def note_read(size: int) -> None:
    """So many bytes of files that other attempts wrote on this host are read where they lie."""
    note_moved({Link("", ""): Moved(size)})


def take_noted() -> dict[Link, Moved]:
    """What was noted since the last call."""
    links = _noted.links
    if links:
        _noted.links = {}
    return links

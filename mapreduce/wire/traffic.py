"""What is said of what went between hosts, and what was used where it lay?"""

from __future__ import annotations

from collections.abc import Sequence

from mapreduce.storage.traffic import Link, Links, Moved, Way, add_links, with_moved, without_moved

__all__ = ["Link", "Links", "Moved", "Way", "add_links", "moved_sentence", "with_moved", "without_moved"]

NAMED_LINKS = 3
"""The sentence names so many, the busiest first."""


def moved_sentence(links: Links) -> str:
    """For the summary: what went between hosts, by link, and what was read where it lay; "" if nothing was."""
    read = {link: moved for link, moved in links.items() if link.way is Way.READ and moved.bytes}
    between = {link: moved for link, moved in read.items() if not link.in_place}
    in_place = sum(moved.bytes for link, moved in read.items() if link.in_place)
    words = [_between(between)] if between else []
    if in_place:
        words.append(f"{_size(in_place)} read in place")
    return "; ".join(words)


def copied_sentence(links: Links, copies: int) -> str:
    """For the summary: copies that were made on other hosts, which is apart from what tasks moved."""
    total = sum(links.values(), Moved())
    size = f"{_size(total.bytes)} in {total.seconds:.1f} s of copying"
    return f"{copies:,} {'copy' if copies == 1 else 'copies'} of map outputs, {size}: {_named(links)}"


def _between(links: Links) -> str:
    total = sum(links.values(), Moved())
    return f"moved {_size(total.bytes)} between hosts in {total.seconds:.1f} s of waiting: {_named(links)}"


def _named(links: Links) -> str:
    busiest = sorted(links.items(), key=lambda item: (-item[1].bytes, item[0][:2]))
    named = [f"{link.source} -> {link.reader} {_size(moved.bytes)}" for link, moved in busiest[:NAMED_LINKS]]
    more = len(busiest) - NAMED_LINKS
    if more > 0:
        named.append(f"{more} more {'link' if more == 1 else 'links'}")
    return ", ".join(named)


def _size(number: int) -> str:
    units: Sequence[tuple[float, str]] = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    for unit, name in units:
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} B"

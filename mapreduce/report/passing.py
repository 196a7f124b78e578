"""What was passed on between processes, over which link, in which way, and how long did that take?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mapreduce.dataclass import dataclass
from mapreduce.report.units import format_bytes
from mapreduce.storage.traffic import Link, Links, Moved, Way, add_links, rows_of

HERE = "this host"

MESSAGES_TOLD_BYTES = 1 << 20
"""Messages of less are as every job has them."""

WORDS = {
    Way.MAPPED.value: "mapped as shared memory",
    Way.READ.value: "read in place",
    Way.MESSAGE.value: "in messages",
    Way.COPY.value: "copied to other hosts",
}
BETWEEN_HOSTS = "between hosts"


@dataclass(frozen=True, slots=True)
class Passed:
    """Bytes over one link in one way, and the seconds that were waited for them: those of a message within the tracker,
    else those of the reader."""

    source: str
    reader: str
    way: str
    bytes: int
    seconds: float

    @property
    def words(self) -> str:
        """How, for people."""
        if self.way == Way.READ.value and self.source != self.reader:
            return BETWEEN_HOSTS
        return WORDS.get(self.way, self.way)


def passed_of(links: Links) -> tuple[Passed, ...]:
    """One of each link and way, those with most bytes first."""
    return passed_from_json(rows_of(links))


def passed_from_json(rows: Iterable[Mapping[str, Any]]) -> tuple[Passed, ...]:
    """From what `traffic.rows_of` made. Raises KeyError, TypeError or ValueError for anything else."""
    return tuple(
        Passed(
            source=str(row["source"]) or HERE,
            reader=str(row["reader"]) or HERE,
            way=str(row["way"]),
            bytes=int(row["bytes"]),
            seconds=float(row["seconds"]),
        )
        for row in rows
    )


def merge_passed(a: tuple[Passed, ...], b: tuple[Passed, ...]) -> tuple[Passed, ...]:
    """The sum of both."""
    return passed_of(add_links(*({Link(p.source, p.reader, Way(p.way)): Moved(p.bytes, p.seconds)} for p in (*a, *b))))


def passed_text(passed: Iterable[Passed]) -> str:
    """One line for a summary: '160 MB mapped as shared memory, 12 MB between hosts'; "" where it is not worth one."""
    total: dict[str, int] = {}
    for each in passed:
        total[each.words] = total.get(each.words, 0) + each.bytes
    notable = total.keys() - {WORDS[Way.MESSAGE.value], WORDS[Way.READ.value]}
    if not notable and total.get(WORDS[Way.MESSAGE.value], 0) < MESSAGES_TOLD_BYTES:
        return ""
    amounts = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{format_bytes(size)} {words}" for words, size in amounts)

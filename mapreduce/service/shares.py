"""How many slots does each job get, and on which hosts? Pure functions of numbers.

FIFO: the first job takes what it may use, the next what is left. Fair share: slots go one by one to the job that has
the least for its weight, the earlier job first; so no job is more than one slot away from its exact share (max-min
fairness: what a job may not use is shared among the others).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from heapq import heapify, heappop, heappush

from mapreduce.dataclass import dataclass


class Sharing(Enum):
    """How jobs share the slots."""

    FIFO = "fifo"
    FAIR = "fair"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a job may ask for: its weight in fair sharing, and the most slots that it can use (None: any number)."""

    weight: float = 1.0
    most: int | None = None


ANY = Claim()


def share_slots(slots: int, claims: Sequence[Claim], sharing: Sharing) -> list[int]:
    """Slots for each claim, in the order of the claims; together no more than there are."""
    most = [slots if claim.most is None else min(claim.most, slots) for claim in claims]
    if sharing is Sharing.FIFO:
        return list(_in_order(slots, most))
    shares = [0] * len(claims)
    # the least is whoever would have the least for its weight after the next slot
    line = [(1 / claim.weight, number) for number, claim in enumerate(claims) if most[number]]
    heapify(line)
    for _ in range(slots):
        if not line:
            break
        _, number = heappop(line)
        shares[number] += 1
        if shares[number] < most[number]:
            heappush(line, ((shares[number] + 1) / claims[number].weight, number))
    return shares


def _in_order(slots: int, most: Sequence[int]) -> Iterator[int]:
    for wanted in most:
        given = min(wanted, slots)
        slots -= given
        yield given


def choose_hosts(count: int, free: Mapping[str, int]) -> dict[str, int]:
    """Where to take `count` of the free slots from: always the host with the most of them, so that jobs spread."""
    left = {host: slots for host, slots in free.items() if slots > 0}
    taken: dict[str, int] = {}
    while count > 0 and left:
        host = min(left, key=lambda name: (-left[name], name))
        taken[host] = taken.get(host, 0) + 1
        left[host] -= 1
        if not left[host]:
            del left[host]
        count -= 1
    return taken

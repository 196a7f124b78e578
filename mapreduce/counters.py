"""How often did something happen? Named integers that add up over tasks, once a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Counters(Mapping[str, int]):
    """Named counts. `count` adds to one, `+` adds two sets; a name never counted reads as 0."""

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._counts: dict[str, int] = dict(counts or {})

    def count(self, name: str, amount: int = 1) -> None:
        self._counts[name] = self._counts.get(name, 0) + amount

    def __add__(self, other: Mapping[str, int]) -> Counters:
        total = Counters(self._counts)
        for name, amount in other.items():
            total.count(name, amount)
        return total

    def __getitem__(self, name: str) -> int:
        return self._counts.get(name, 0)

    def __contains__(self, name: object) -> bool:
        return name in self._counts

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._counts))

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return "Counters(" + ", ".join(f"{name}={self[name]}" for name in self) + ")"

"""Which sums does a model keep, so that it can be fitted again without its data? Those of each split, by its content.

    fitted again   state = sum of the states of all splits
    new files      + the states of their splits; what a split holds decides whether it is read, not the file's name
    forgotten      - the states of its splits, which leaves the state of never having seen them

Exact states make this the fit of the same rows, to the last bit. The file form is one line of JSON, then the states in
their canonical form, one after the other; no pickle.

Sources: Y. Cao and J. Yang, Towards Making Systems Forget with Machine Unlearning, 2015 (the summation form).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import mapreduce as mr
from algorithms.rows import no_rows
from algorithms.sums.numbers import digest_of
from algorithms.sums.states import State

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class KeptSplit:
    """A split's place in its file, a name for what it held, and its state; None of a split without records."""

    start: int
    end: int
    content: str
    state: State | None


@dataclass(frozen=True, slots=True)
class KeptSums:
    """The states of all splits by file. `fold` names what made them; `features`, `target` and `weights` are the columns
    that were read."""

    fold: str
    features: tuple[str, ...]
    target: str | None = None
    weights: str | None = None
    files: Mapping[str, tuple[KeptSplit, ...]] | None = None

    @property
    def contents(self) -> dict[str, State | None]:
        """States by what their splits held."""
        return {split.content: split.state for splits in self._files.values() for split in splits}

    @property
    def _files(self) -> Mapping[str, tuple[KeptSplit, ...]]:
        return self.files or {}

    def total(self) -> State:
        """The state of all rows. Raises InputError if there are none."""
        return _sum(split.state for splits in self._files.values() for split in splits)

    def sum_of(self, paths: Iterable[str]) -> State:
        """The state of the rows of these files."""
        return _sum(split.state for path in paths for split in self._files[path])

    def updated(self, found: Sequence[Any], *, only: bool = False) -> tuple[KeptSums, Changes]:
        """With these partials (of `Engine.partials`, run with `contents` as known) in the place of those of the same
        files; `only` drops all other files."""
        known = self.contents
        files: dict[str, tuple[KeptSplit, ...]] = {}
        mapped = 0
        for each in found:
            mapped += each.content not in known
            state = known.get(each.content, each.partial)
            split = KeptSplit(each.start, each.end, each.content, state)
            files[place_of(each.path)] = (*files.get(place_of(each.path), ()), split)
        before = self._files
        changes = Changes(
            added=[path for path in files if path not in before],
            changed=[path for path in files if path in before and _contents(files[path]) != _contents(before[path])],
            same=[path for path in files if path in before and _contents(files[path]) == _contents(before[path])],
            dropped=[path for path in before if path not in files] if only else [],
            splits=len(found),
            mapped=mapped,
        )
        kept = files if only else {**before, **files}
        return replace(self, files=dict(sorted(kept.items()))), changes

    def without(self, paths: Iterable[str]) -> KeptSums:
        gone = set(paths)
        return replace(self, files={path: splits for path, splits in self._files.items() if path not in gone})

    def named(self, name: str) -> list[str]:
        """The files that a person means: one, or all in a folder, also where it has moved. Raises UsageError."""
        place, tail = place_of(name), os.path.normpath(name).lstrip("./")
        rules: list[Callable[[str], bool]] = [
            lambda path: path == place,
            lambda path: path.startswith(place + os.sep),
            lambda path: path.endswith(os.sep + tail),
        ]
        for fits in rules:
            if found := [path for path in self._files if fits(path)]:
                break
        else:
            known = list(self._files)
            shown = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
            raise mr.UsageError(f"the model has learned nothing from {name}; it knows {shown}")
        if len(found) > 1 and not all(path.startswith(place + os.sep) for path in found):
            raise mr.UsageError(f"{name} may be {' or '.join(found)}; name one of them whole")
        return found

    def twins(self, paths: Iterable[str]) -> list[tuple[str, str]]:
        """Which of these files hold just what another file holds."""
        others: dict[tuple[str, ...], str] = {}
        wanted = set(paths)
        for path, splits in self._files.items():
            if path not in wanted:
                others.setdefault(_contents(splits), path)
        pairs = ((path, others.get(_contents(self._files[path]))) for path in sorted(wanted))
        return [(path, other) for path, other in pairs if other is not None]

    def lineage(self) -> dict[str, Any]:
        """What the sums are made from: a SHA-256 of what the splits held, in order of their files."""
        contents = [content for splits in self._files.values() for content in _contents(splits)]
        splits = digest_of("\n".join(contents).encode())
        return {"splits": splits, "split_count": len(contents), "files": len(self._files)}

    def to_bytes(self) -> bytes:
        """The file form."""
        bodies: list[bytes] = []
        listed: dict[str, list[list[Any]]] = {}
        for path, splits in self._files.items():
            listed[path] = []
            for split in splits:
                body = b"" if split.state is None else split.state.pack()
                bodies.append(body)
                listed[path].append([split.start, split.end, split.content, None if split.state is None else len(body)])
        header = {
            "schema": SCHEMA,
            "fold": self.fold,
            "features": list(self.features),
            "target": self.target,
            "weights": self.weights,
            "files": listed,
        }
        return json.dumps(header).encode("ascii") + b"\n" + b"".join(bodies)

    @classmethod
    def from_bytes(cls, data: bytes, unpack: Callable[[bytes], State]) -> KeptSums:
        """The inverse of `to_bytes`. Raises ValueError, KeyError, TypeError or InputError for what is none."""
        head, _, bodies = data.partition(b"\n")
        header = json.loads(head)
        if header["schema"] != SCHEMA:
            raise ValueError(f"its sums have schema {header['schema']}, this version reads {SCHEMA}")
        at = 0
        files = {}
        for path, splits in header["files"].items():
            kept = []
            for start, end, content, size in splits:
                kept.append(KeptSplit(start, end, content, None if size is None else unpack(bodies[at : at + size])))
                at += size or 0
            files[path] = tuple(kept)
        if at != len(bodies):
            raise ValueError("its sums end at another place than they should")
        return cls(header["fold"], tuple(header["features"]), header["target"], header["weights"], files)


@dataclass(frozen=True, slots=True)
class Changes:
    """What an update did: to which files, and how many of the input's splits had to be mapped."""

    added: list[str]
    changed: list[str]
    same: list[str]
    dropped: list[str]
    splits: int
    mapped: int


@dataclass(frozen=True, slots=True)
class Proof:
    """That rows were forgotten: the state without them, by subtraction and by adding all others afresh, in SHA-256."""

    files: list[str]
    rows: int
    before: str
    subtracted: str
    afresh: str

    @property
    def holds(self) -> bool:
        return self.subtracted == self.afresh


def forgotten(kept: KeptSums, paths: Sequence[str]) -> tuple[KeptSums, Proof]:
    """The sums without these files, and the proof. Raises InputError if no rows are left."""
    left = kept.without(paths)
    if not left.contents:
        raise mr.InputError("the model has learned from no other rows; nothing would be left of it: delete it instead")
    total, gone = kept.total(), kept.sum_of(paths)
    rest = left.total()
    subtracted: Any = total - gone  # type: ignore[operator]
    proof = Proof(list(paths), rows_of(gone), total.digest(), subtracted.digest(), rest.digest())
    return left, proof


def rows_of(state: State) -> int:
    return int(state.rows)  # type: ignore[attr-defined]


def fold_name(fold: mr.Fold) -> str:
    """Equal for folds that make the same states of the same rows."""
    options = {name: value for name, value in sorted(vars(fold).items()) if not name.startswith("_")}
    return f"{type(fold).__module__}:{type(fold).__qualname__} {json.dumps(options, default=repr)}"


def place_of(path: str) -> str:
    """What a file is called in the sums: by its whole path, so that it is the same from any folder."""
    return path if "://" in path or path.startswith("<") else os.path.abspath(path)


def name_of_bytes(data: bytes) -> str:
    """A short name for the content of a file."""
    return digest_of(data)[:16]


def _contents(splits: Sequence[KeptSplit]) -> tuple[str, ...]:
    return tuple(split.content for split in splits)


def _sum(states: Iterable[State | None]) -> State:
    present = [state for state in states if state is not None]
    if not present:
        raise no_rows()
    total: State = reduce(add, present)
    return total

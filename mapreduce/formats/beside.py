"""How are tables read whose columns are the same rows' (vertical data)? Row n of one goes with row n of the others.

```text
 a.csv     |----split 0----|----split 1----|--split 2--|     cut as a.csv alone would be; their rows are counted
 b.parquet |..|..|..|..|..|..|..|..|..|..|..|..|..|..|..|    cut finer; a split reads those pieces that its rows are in
```

Files may be of any formats whose columns have names, and have rows of any length: where a row stands in each file is
known by counting, which reads the file (Parquet knows by itself). A split carries which pieces it needs of each file,
so a task reads its own rows, and a little before them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Any, ClassVar, Self, cast

from mapreduce.dataclass import dataclass, field, replace
from mapreduce.errors import InputError, InternalError, UsageError, near
from mapreduce.formats.base import Extent, Format, InputFile, Piece, Split
from mapreduce.formats.beside_block import BesideBlock, Rows, Whole
from mapreduce.formats.roles import NO_ROLES, Kinds, RoleFormat, Roles, choose_roles, default_features, is_numeric
from mapreduce.formats.union import Member, MemberFile, Union
from mapreduce.settings import default_split_bytes

FINER = 16
"""Pieces of another table to a split of the first: so at most 2/16 of what a task reads are rows of other tasks."""

MIN_PIECE_BYTES = 1 << 16

Counts = Sequence[Sequence[int]]
"""Rows of each piece, a sequence a table."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a split reads of one table: these pieces, without the first `skip` rows."""

    pieces: tuple[Piece, ...]
    skip: int = 0


@dataclass(frozen=True, slots=True)
class BesideFile(InputFile):
    """Stands for the files of all tables. It has the name of none: who hashes files must not take one for all."""

    shares: tuple[Share, ...] = ()

    def behind(self) -> tuple[InputFile, ...]:
        return tuple(dict.fromkeys(piece.file for share in self.shares for piece in share.pieces))


@dataclass(frozen=True, slots=True)
class Beside(Format):
    """Tables beside each other. `asked`: roles of columns of any of them, instead of those that the tables' own options
    name. Extents count rows. `on`: a column of all tables by which an engine brings rows together that are the same."""

    members: tuple[Member, ...]
    asked: Roles = field(default_factory=lambda: Roles(None))
    on: str | None = None
    tables: tuple[RoleFormat, ...] = ()  # what `resolve` found: the members' formats, each with its part of
    roles: Roles = NO_ROLES  # the roles

    name: ClassVar[str] = "beside"

    def resolve(self, files: Sequence[InputFile]) -> Self:
        """Reads what the tables' formats read. Raises UsageError and InputError for columns that are not there, or in
        two tables."""
        groups = self._by_member(files)
        tables = [
            _table_format(member.format.resolve(own), own) for member, own in zip(self.members, groups, strict=True)
        ]
        kinds = _kinds_of(tables, groups, self.on)
        every = list(dict.fromkeys(kind for own in kinds for kind in own))
        asked = self._asked(tables, kinds)
        named = asked.features is not None
        if not named:  # nobody means the key to be one
            features = default_features([kind for kind in every if kind[0] != self.on], asked)
            asked = replace(asked, features=features)  # a job may not ask for X; if it does, the block complains
        roles = choose_roles(every, asked)
        given = _with_roles(tables, kinds, roles, self.on, named=named)
        resolved = tuple(table.resolve(own) for table, own in zip(given, groups, strict=True))
        return replace(self, tables=resolved, roles=roles)

    def _asked(self, tables: Sequence[RoleFormat], kinds: Sequence[Kinds]) -> Roles:
        """The roles that are named, here or by a table."""
        asked = replace(self.asked, target=self.target_name(), weights=self.weights_name())
        if asked.features is not None or all(table.asked.features is None for table in tables):
            return asked
        features: list[str] = []
        for table, own in zip(tables, kinds, strict=True):
            features += default_features(own, asked) if table.asked.features is None else table.asked.features
        return replace(asked, features=tuple(features))

    def feature_names(self) -> tuple[str, ...] | None:
        return self.roles.features

    def target_name(self) -> str | None:
        return self.asked.target or _the_one([member.format.target_name() for member in self.members], "targets")

    def weights_name(self) -> str | None:
        return self.asked.weights or _the_one([member.format.weights_name() for member in self.members], "weights")

    def apart(self) -> Union:
        """The tables one after the other."""
        return Union(tuple(map(Member, self.tables)))

    def tables_of(self, files: Sequence[InputFile]) -> tuple[tuple[InputFile, ...], ...]:
        """The files of each table."""
        return tuple(map(tuple, self._by_member(files)))

    def with_labels(self) -> Self:
        members = tuple(replace(member, format=member.format.with_labels()) for member in self.members)
        return replace(self, asked=replace(self.asked, labels=True), members=members)

    def with_categories(self) -> Self:
        members = tuple(replace(member, format=member.format.with_categories()) for member in self.members)
        return replace(self, asked=replace(self.asked, categories=True), members=members)

    def _by_member(self, files: Sequence[InputFile]) -> list[list[InputFile]]:
        groups: list[list[InputFile]] = [[] for _ in self.members]
        for file in files:
            if not isinstance(file, MemberFile):
                raise InternalError(f"{file.path}: a file of tables beside each other must be a MemberFile")
            groups[file.member].append(file)
        return groups

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        raise InternalError(f"{file.path} is not cut alone, but with the tables beside it")

    def plan_pieces(self, files: Sequence[InputFile], split_bytes: int | None, *, lasting: bool) -> list[Piece]:
        """Counts the rows of all tables first. Raises InputError where one has more than another."""
        if self.on is not None:
            raise UsageError(
                f"tables that are joined by {self.on!r} are brought together by a job that an engine runs ahead of "
                f"yours; here they can't be: join them by the order of their rows"
            )
        tables = self.cut(files, split_bytes)
        counts = [
            [table.count_rows(Split(0, *piece)) for piece in pieces]
            for table, pieces in zip(self.tables, tables, strict=True)
        ]
        return self.join(files, tables, counts)

    def cut(self, files: Sequence[InputFile], split_bytes: int | None) -> list[list[Piece]]:
        """The pieces of each table: of the first as large as its part of a split, of the others finer."""
        total = sum(file.size for file in files)
        even_bytes = split_bytes or default_split_bytes(total)
        tables = []
        for number, (table, own) in enumerate(zip(self.tables, self._by_member(files), strict=True)):
            part = max(1, even_bytes * sum(file.size for file in own) // max(1, total))
            size = part if number == 0 else max(MIN_PIECE_BYTES, part // FINER)
            tables.append([Piece(file, extent) for file in own for extent in table.plan_extents(file, size)])
        return tables

    def join(self, files: Sequence[InputFile], tables: Sequence[Sequence[Piece]], counts: Counts) -> list[Piece]:
        """The splits: a piece of the first table each, with the same rows of the others."""
        groups = self._by_member(files)
        ends = [list(accumulate(own, initial=0)) for own in counts]
        _check_rows(groups, [each[-1] for each in ends])
        row_bytes = sum(file.size for file in files) / max(1, ends[0][-1])
        stands_for = " beside ".join(dict.fromkeys(_name_of(own) for own in groups))
        facts = repr([(file.path, file.size, file.mtime_ns) for file in files]).encode("utf-8", "surrogateescape")
        mtime = int.from_bytes(blake2b(facts, digest_size=7).digest(), "little")  # changes with any of them
        joined = []
        for number, piece in enumerate(tables[0]):
            start, end = ends[0][number], ends[0][number + 1]
            if start == end:
                continue
            others = [_share_of(own, each, start, end) for own, each in zip(tables[1:], ends[1:], strict=True)]
            shares = (Share((piece,)), *others)
            size = int(row_bytes * (end - start))
            file = BesideFile(stands_for, size, mtime, piece.file.hosts, shares)
            joined.append(Piece(file, Extent(start, end, size)))
        return joined

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[BesideBlock]:
        """One block of each table is in memory at a time, and as many come out as of one file with all columns."""
        file, extent = split.file, split.extent
        if not isinstance(file, BesideFile):
            raise InternalError(f"{file.path}: a split of tables beside each other must have a BesideFile")
        readers = [_RowReader(table, share, block_bytes) for table, share in zip(self.tables, file.shares, strict=True)]
        left = extent.end - extent.start
        while left:
            rows = min(left, *(reader.ready() for reader in readers))
            yield BesideBlock(tuple(reader.take(rows) for reader in readers), self.roles)
            left -= rows
        for reader in readers:
            reader.close()


def _table_format(format: Format, files: Sequence[InputFile]) -> RoleFormat:
    if not isinstance(format, RoleFormat) or format.kinds() is None:
        raise UsageError(
            f"{_name_of(files)}: {format.name} has no columns with names; tables beside each other are csv, tsv, "
            f"jsonl, parquet or arrow"
        )
    return format


def _kinds_of(tables: Sequence[RoleFormat], groups: Sequence[Sequence[InputFile]], on: str | None) -> list[Kinds]:
    """Names and types of each table's columns. Raises InputError for a name in two of them, but for the key, which must
    be in all."""
    kinds: list[Kinds] = []
    seen: dict[str, str] = {}
    for table, files in zip(tables, groups, strict=True):
        own = dict(table.kinds() or ())
        for name in own:
            if name in seen and name != on:
                raise InputError(
                    f"column {name!r} is in {seen[name]} and in {_name_of(files)}; rename it in one, or leave it out: "
                    f"columns=[...]"
                )
        if on is not None and on not in own:
            raise UsageError(f"{_name_of(files)}: no column {on!r} to join by; {near(on, list(own))}")
        seen.update(dict.fromkeys(own, _name_of(files)))
        kinds.append(tuple(own.items()))
    if on is not None and len({is_numeric(dict(own)[on]) for own in kinds}) > 1:
        found = ", ".join(f"{_name_of(files)} ({dict(own)[on]})" for own, files in zip(kinds, groups, strict=True))
        raise UsageError(
            f"column {on!r} holds numbers in one table and text in another: {found}; read it alike: "
            f"types={{{on!r}: 'string'}}"
        )
    return kinds


def _with_roles(
    tables: Sequence[RoleFormat], kinds: Sequence[Kinds], roles: Roles, on: str | None, *, named: bool
) -> list[RoleFormat]:
    """Each table with its part of the roles; where features were named it reads nothing else that costs."""
    left = dict.fromkeys(roles.named)  # the key may have a role in the first table that has it
    given = []
    for table, own in zip(tables, kinds, strict=True):
        mine = {name for name, _ in own if name in left}
        left = dict.fromkeys(name for name in left if name not in mine)
        part = replace(
            roles,
            features=tuple(name for name in roles.features or () if name in mine),
            target=roles.target if roles.target in mine else None,
            weights=roles.weights if roles.weights in mine else None,
        )
        columns = getattr(table, "columns", None)
        if named and columns is None:
            needed = (*part.named, *(() if on is None or on in part.named else (on,)))
            columns = needed or tuple(name for name, _ in own[:1])  # at least one, to have rows at all
        given.append(replace(cast(Any, table), given=part, features=None, columns=columns))
    return given


def _the_one(names: Sequence[str | None], what: str) -> str | None:
    found = [name for name in names if name is not None]
    if len(found) > 1:
        raise UsageError(f"two {what} are named, {found[0]!r} and {found[1]!r}, each by a table; name one")
    return found[0] if found else None


def _name_of(files: Sequence[InputFile]) -> str:
    if not files:
        return "no file"
    return files[0].path + (f" and {len(files) - 1} more" if len(files) > 1 else "")


def _check_rows(groups: Sequence[Sequence[InputFile]], totals: Sequence[int]) -> None:
    for files, rows in zip(groups, totals, strict=True):
        if rows != totals[0]:
            raise InputError(
                f"{_name_of(groups[0])} has {totals[0]:,} rows, {_name_of(files)} has {rows:,}; tables beside each "
                f"other have the same rows in the same order: mend one, or join them by a column that both have "
                f"(on='id', --on id)"
            )


def _share_of(pieces: Sequence[Piece], ends: Sequence[int], start: int, end: int) -> Share:
    """The pieces in which the rows [start, end) lie; `ends` are the rows before each piece, and all."""
    first = bisect_right(ends, start) - 1
    last = bisect_right(ends, end - 1)
    return Share(tuple(pieces[first:last]), start - ends[first])


class _RowReader:
    """The rows of one table's share, as they are asked for."""

    def __init__(self, format: Format, share: Share, block_bytes: int) -> None:
        self._share = share
        self._blocks = (block for piece in share.pieces for block in format.read_blocks(Split(0, *piece), block_bytes))
        self._whole: Whole | None = None
        self._at = 0  # of the block's rows, those taken
        self._skip = share.skip

    def ready(self) -> int:
        """How many rows can be taken at once; reads a block where none are left."""
        while self._whole is None or self._at >= len(self._whole.block):
            block = next(self._blocks, None)
            if block is None:
                path = self._share.pieces[-1].file.path
                raise InputError(f"{path}: has fewer rows than when they were counted; leave it alone while a job runs")
            self._whole = Whole(block)
            self._at = min(self._skip, len(block))
            self._skip -= self._at
        return len(self._whole.block) - self._at

    def take(self, rows: int) -> Rows:
        if self._whole is None:
            raise InternalError("rows are taken before they are read")
        self._at += rows
        return Rows(self._whole, self._at - rows, self._at)

    def close(self) -> None:
        self._blocks.close()

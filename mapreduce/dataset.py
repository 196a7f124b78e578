"""What does a job read? A `Dataset`: paths and how to read them, looked at only when a job is planned. Made by the
functions of readers.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mapreduce.dataclass import dataclass, field, replace
from mapreduce.errors import UsageError
from mapreduce.formats.base import Format, InputFile, Split
from mapreduce.formats.inputs import STDIN, find_files, spool_stdin
from mapreduce.formats.registry import format_by_name, guess_format
from mapreduce.formats.union import Member, MemberFile, Union

if TYPE_CHECKING:
    from mapreduce.vertical import Joined


@dataclass(frozen=True, slots=True)
class PlannedInput:
    """A dataset as a job reads it: its resolved format, its files, its splits (numbered from 0), its size in bytes."""

    format: Format
    files: tuple[InputFile, ...]
    splits: tuple[Split, ...]
    bytes: int
    owner: object = field(default=None, compare=False, repr=False)

    def as_dataset(self, format: Format) -> Dataset:
        """The same splits, read by another format (one that wraps `self.format`, say)."""
        planned = replace(self, format=format)
        paths = tuple(file.path for file in self.files)
        return Dataset(paths, format, found=self.files, planned=planned, owner=self.owner)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Files and how to read them. Made by the `read_` functions; immutable; opens nothing until a job is planned.

    `format` is a name, a Format, or None: by suffix. `found` are the files where they are known already, `members`
    the datasets of a union, or, if it is `joined`, of tables beside each other; `planned` the splits of a cached
    dataset. `labels`, `categories`: see `with_labels` and `with_categories`. `owner` is kept alive as long as the
    dataset: it may hold the files. `is_resolved`: `format` knows the headers and types of `found` already.
    """

    paths: tuple[str, ...] = ()
    format: str | Format | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    tag: str | None = None
    members: tuple[Dataset, ...] = ()
    found: tuple[InputFile, ...] | None = None
    planned: PlannedInput | None = field(default=None, repr=False)
    labels: bool = False
    categories: bool = False
    joined: Joined | None = None
    owner: object = field(default=None, compare=False, repr=False)
    is_resolved: bool = field(default=False, compare=False, repr=False)

    def files(self) -> list[InputFile]:
        """The files, in reading order. Raises InputError for what is missing or unreadable."""
        if self.members:
            return [file for member in self.members for file in member.files()]
        return list(self.found) if self.found is not None else find_files(self.paths)

    def bytes_at_hand(self) -> int:
        """About how large the input is, as far as a glance tells: of the paths that are files. Raises nothing."""
        size = sum(member.bytes_at_hand() for member in self.members)
        for path in self.paths:
            with suppress(OSError, ValueError):
                size += os.stat(path).st_size
        return size

    def plan(self, split_bytes: int | None = None, *, lasting: bool = False) -> PlannedInput:
        """Resolve the format and cut the files; reads headers at most (the whole of what must be looked at: see the
        formats). Splits depend on the input and `split_bytes` alone; None takes a size that suits the input. With
        `lasting` a file is cut as if it were the only one, and where it was cut before it grew. A dataset that is
        cached was planned before, and stays as it is."""
        if self.planned is not None:
            return self.planned
        format, files = self._resolved()
        size = sum(file.size for file in files)
        pieces = format.plan_pieces(files, split_bytes, lasting=lasting)
        splits = tuple(Split(number, *piece) for number, piece in enumerate(pieces))
        return PlannedInput(format, tuple(files), splits, size, owner=self)

    def splits(self, split_bytes: int | None = None) -> list[Split]:
        """The splits of `plan`."""
        return list(self.plan(split_bytes).splits)

    def feature_names(self) -> tuple[str, ...] | None:
        """Names of X's columns, in order; None where the format has none. Raises UsageError for columns that are not
        there."""
        if self.planned is not None:
            return self.planned.format.feature_names()
        return self._resolved()[0].feature_names()

    def resolved(self) -> Dataset:
        """The same records, with the files found and their headers, types and number of features looked up already."""
        if self.is_resolved:
            return self
        format, files = self._resolved()
        return Dataset(
            self.paths,
            format,
            found=tuple(files),
            labels=self.labels,
            categories=self.categories,
            owner=self.owner or self,
            is_resolved=True,
        )

    def target_name(self) -> str | None:
        """The name of y's column; None where there are no names, or nobody named one."""
        return self._format_read().target_name()

    def weights_name(self) -> str | None:
        """The name of the column of weights; None where nobody named one."""
        return self._format_read().weights_name()

    def with_labels(self) -> Dataset:
        """The same rows with a target that names classes: it may be text, and `block.labels` gives it as it is."""
        return self._asking(labels=True)

    def with_categories(self) -> Dataset:
        """The same rows with features that name classes: they may be text, and `block.categories()` gives them as they
        are. Where nobody named features, all columns of text, numbers and truth values are, but target and weights."""
        return self._asking(categories=True)

    def _asking(self, **asked: Any) -> Dataset:
        if all(getattr(self, name) == value for name, value in asked.items()):
            return self
        members = tuple(member._asking(**asked) for member in self.members)
        changed = replace(self, members=members, is_resolved=False, **asked)
        if self.planned is None:
            return changed
        format = changed._as_asked(self.planned.format).resolve(self.planned.files)
        return replace(changed, planned=replace(self.planned, format=format))

    def _as_asked(self, format: Format) -> Format:
        format = format.with_labels() if self.labels else format
        return format.with_categories() if self.categories else format

    def _format_read(self) -> Format:
        return self.planned.format if self.planned is not None else self._unresolved()[0]

    def tagged(self, tag: str) -> Dataset:
        """The same records, each as `Tagged(tag, record)`, so that a job that reads a union knows whose it is."""
        if self.members:
            raise UsageError("a union cannot be tagged; tag its members")
        return replace(self, tag=tag)

    @property
    def is_vertical(self) -> bool:
        """Whether it is tables beside each other, which an engine may have to make ready by jobs ahead of the first."""
        return self.planned is None and (self.joined is not None or getattr(self.format, "name", "") == "beside")

    @property
    def reads_stdin(self) -> bool:
        """Whether standard input is among the paths; then `spooled` must come before `files` and `plan`."""
        return STDIN in self.paths or any(member.reads_stdin for member in self.members)

    def spooled(self, directory: str | Path, stream: BinaryIO | None = None) -> Dataset:
        """The same dataset with standard input copied to a new file in `directory`, which the caller removes."""
        if not self.reads_stdin:
            return self
        return self._with_stdin(spool_stdin(directory, stream or sys.stdin.buffer).path)

    def _with_stdin(self, path: str) -> Dataset:
        paths = tuple(path if each == STDIN else each for each in self.paths)
        return replace(self, paths=paths, members=tuple(member._with_stdin(path) for member in self.members))

    def _resolved(self) -> tuple[Format, list[InputFile]]:
        format, files = self._unresolved()
        return (format if self.is_resolved else format.resolve(files)), files

    def _unresolved(self) -> tuple[Format, list[InputFile]]:
        leaves = self.members or (self,)
        read = [leaf._own_format() for leaf in leaves]
        if not self.members and self.tag is None:
            return read[0]
        members = tuple(Member(format, leaf.tag) for leaf, (format, _) in zip(leaves, read, strict=True))
        numbered: list[InputFile] = [
            MemberFile(file.path, file.size, file.mtime_ns, file.hosts, number)
            for number, (_, files) in enumerate(read)
            for file in files
        ]
        if self.joined is not None:
            return self._as_asked(self.joined.format_of(members)), numbered
        return Union(members), numbered

    def _own_format(self) -> tuple[Format, list[InputFile]]:
        files = self.files()
        if isinstance(self.format, Format):
            return self._as_asked(self.format), files
        return self._as_asked(format_by_name(self.format or guess_format(files), self.options)), files

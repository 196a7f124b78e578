"""What does a job read? A `Dataset`: paths and how to read them, looked at only when a job is planned.

    mr.read_text("books/*.txt")                        lines
    mr.read_csv("houses/", target="price")             rows; block.X and block.y for folds
    mr.read("points.parquet", "more/*.parquet")        format by suffix
    mr.from_records([3, 1, 2])                         Python objects
    mr.union(left=orders, right=customers)             two datasets in one job, for joins

A path is a file, a folder (all files below it), a glob (`**` for any depth), '-' for standard input, or a URI such as
s3://bucket/folder. Compressed files (.gz .bz2 .xz .zst) are read as what their inner suffix says.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mapreduce.errors import UsageError
from mapreduce.formats.base import Format, InputFile, Split
from mapreduce.formats.inputs import STDIN, find_files, spool_stdin
from mapreduce.formats.memory import hold_in_memory
from mapreduce.formats.registry import format_by_name, guess_format
from mapreduce.formats.union import Member, MemberFile, Union

if TYPE_CHECKING:
    from mapreduce.vertical import Joined

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


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


def read(*paths: Paths, format: str | None = None, **options: Any) -> Dataset:
    """Files of any format: the one named, else the one that the suffix suggests, else text lines.
    Formats: text csv tsv jsonl libsvm parquet npy arrow fixed whole. Options: see the format's own function.
    An unknown format or option, and files of several formats without a name, raise UsageError when the job is planned.
    """
    return _reading(format, paths, options)


def read_text(*paths: Paths, encoding: str = "utf-8") -> Dataset:
    """Lines of text: a record is a str without its newline.

    `encoding` is any in which a newline byte is always a newline. Bytes that are not of it raise InputError with file
    and offset while the job runs.
    """
    return _reading("text", paths, {"encoding": encoding})


def read_csv(
    *paths: Paths,
    target: str | None = None,
    features: Sequence[str] | None = None,
    weights: str | None = None,
    columns: Sequence[str] | None = None,
    delimiter: str | None = None,
    header: bool | Sequence[str] = True,
    types: Mapping[str, str] | None = None,
    quote: str = '"',
    encoding: str = "utf-8",
    null_values: Sequence[str] | None = None,
) -> Dataset:
    """Rows of CSV: a record is a dict by column name; quoted newlines and doubled quotes are understood.

    target, features  y's column and X's columns (default: every number column but target and weights)
    weights           the column with the weight of each row: block.weights
    columns           which columns records and `arrow` hold (default: all)
    delimiter         default: a tab for .tsv and .tab, else a comma
    header            True: the first row names the columns; False: f0, f1, ...; or the names themselves
    types             {"zip": "string"}: 'int', 'float' or 'string' instead of what the first rows suggest

    Ragged rows and cells that are no numbers raise InputError with file, line and value.

        houses = mr.read_csv("houses/*.csv", target="price", features=["rooms", "area"])
    """
    options = {
        "target": target,
        "features": features,
        "weights": weights,
        "columns": columns,
        "delimiter": delimiter,
        "header": header,
        "types": types,
        "quote": quote,
        "encoding": encoding,
        "null_values": null_values,
    }
    return _reading("csv", paths, options)


def read_tsv(*paths: Paths, **options: Any) -> Dataset:
    """Rows of tab-separated values: `read_csv` with delimiter '\\t', and its options."""
    return replace(read_csv(*paths, **options), format="tsv")


def read_jsonl(
    *paths: Paths,
    target: str | None = None,
    features: Sequence[str] | None = None,
    weights: str | None = None,
    columns: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> Dataset:
    """A JSON value a line: a record is what it parses to. Keys of objects are the columns of `arrow`, X and y.

    Lines that do not parse raise InputError with file, line and column.
    """
    roles = {"target": target, "features": features, "weights": weights}
    return _reading("jsonl", paths, {**roles, "columns": columns, "types": types, "encoding": encoding})


def read_libsvm(*paths: Paths, features: int | None = None, zero_based: bool = False) -> Dataset:
    """Sparse rows 'label index:value ...': block.X is a SciPy CSR matrix (rows, features), block.y the labels.

    features    columns of X; default: the greatest index of the input, for which it is scanned once
    zero_based  whether indices count from 0, not 1
    """
    return _reading("libsvm", paths, {"features": features, "zero_based": zero_based})


def read_parquet(
    *paths: Paths,
    target: str | None = None,
    features: Sequence[str] | None = None,
    weights: str | None = None,
    columns: Sequence[str] | None = None,
) -> Dataset:
    """Rows of Parquet: a record is a dict by column name. Only the columns needed are read.

    target, features  y's column and X's columns (default: every numeric column but target and weights)
    weights           the column with the weight of each row: block.weights
    columns           which columns to read (default: all; those with a role where features are named)

    All files must have the same columns and types. A null in X or y raises InputError with file, row and column.
    """
    return _reading("parquet", paths, {"target": target, "features": features, "weights": weights, "columns": columns})


def read_npy(
    *paths: Paths,
    target: str | int | None = None,
    features: Sequence[str | int] | None = None,
    weights: str | int | None = None,
    x: str = "X",
    y: str | None = None,
) -> Dataset:
    """NumPy arrays: .npy, a record is arr[i] (a Python number where arr has one dimension); memory-mapped, not copied.

    target, features  columns of a 2-D array, by number (X: default every column but target and weights), or fields by
                      name
    weights           likewise, the weight of each row; of .npz: the name of an array
    x, y              of .npz: the names of the arrays for X and for y (default: 'y' if there is one); a record is
                      Example(x, y) where there is a y, else x

    Arrays of Python objects raise InputError: reading them could run any code.
    """
    roles = {"target": target, "features": features, "weights": weights}
    return _reading("npy", paths, {**roles, "x": x, "y": y})


def read_arrow(
    *paths: Paths,
    target: str | None = None,
    features: Sequence[str] | None = None,
    weights: str | None = None,
    columns: Sequence[str] | None = None,
) -> Dataset:
    """Rows of Arrow IPC files (.arrow, .feather) and streams (.arrows; one split): as `read_parquet`."""
    return _reading("arrow", paths, {"target": target, "features": features, "weights": weights, "columns": columns})


def read_fixed(*paths: Paths, width: int) -> Dataset:
    """Binary records of `width` bytes each: a record is bytes. A file that is no multiple of it raises InputError."""
    return _reading("fixed", paths, {"width": width})


def read_whole(*paths: Paths) -> Dataset:
    """Files as a whole: a record is (path, contents), one a file."""
    return _reading("whole", paths, {})


def from_records(records: Iterable[Any]) -> Dataset:
    """Python objects in memory, as a dataset: they travel to the workers with the job. Meant for small inputs.

    Two records or more make at least two splits, many about 16, so that a list of few, costly records runs in parallel.

        mr.run(Primes(), mr.from_records(range(100)))
    """
    format, file = hold_in_memory(records)
    return Dataset((file.path,), format, found=(file,))


def from_arrays(X: Any, y: Any = None, *, weights: Any = None) -> Dataset:
    """Arrays in memory: X (rows, features; NumPy or SciPy sparse), y and weights (rows,). They travel to the workers
    with each job; for large arrays and many jobs, `np.save` and `read_npy` or `engine.cache` are cheaper. y may be text
    that names classes: `block.labels`.

    A record is Example(x, y) where there is a y, else a row of X. Raises InputError for shapes that do not fit.
    """
    from mapreduce.formats.arrays import hold_arrays

    format, file = hold_arrays(X, y, weights)
    return Dataset((file.path,), format, found=(file,))


def union(*datasets: Dataset, **tagged: Dataset) -> Dataset:
    """Several datasets, of whatever formats, as the input of one job: for joins, and for files of different formats.

    Records of a dataset given by keyword (or `tagged`) arrive as `Tagged(tag, record)`, others as they are.

        mr.union(left=mr.read_csv("orders.csv"), right=mr.read_parquet("people/"))
    """
    given = [*datasets, *(dataset.tagged(tag) for tag, dataset in tagged.items())]
    members = tuple(member for dataset in given for member in dataset.members or (dataset,))
    if any(dataset.joined is not None for dataset in given):
        raise UsageError("tables beside each other are no members of a union; run a job on them alone")
    if not members:
        raise UsageError("a union of nothing; name the datasets: union(left=..., right=...)")
    return Dataset(tuple(path for member in members for path in member.paths), members=members, owner=given)


def _reading(format: str | None, paths: Iterable[Paths], options: Mapping[str, Any]) -> Dataset:
    given = {name: _frozen(value) for name, value in options.items() if value is not None}
    return Dataset(tuple(_flat(paths)), format, given)


def _flat(paths: Iterable[Paths]) -> list[str]:
    flat: list[str] = []
    for path in paths:
        if isinstance(path, str | bytes | os.PathLike):
            flat.append(os.fsdecode(path))
        elif isinstance(path, Iterable):
            flat.extend(_flat(path))
        else:
            raise UsageError(f"{path!r} is not a path; give strings, pathlib paths or lists of them")
    return flat


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

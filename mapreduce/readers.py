"""How is a dataset named? By the function for its format, and paths.

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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mapreduce.dataclass import replace
from mapreduce.dataset import Dataset
from mapreduce.errors import UsageError
from mapreduce.formats.memory import hold_in_memory

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


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

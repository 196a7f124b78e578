"""How do tables become one dataset whose columns are the same rows' (vertical data)?

mr.beside(mr.read_csv("sizes.csv"), mr.read_parquet("prices.parquet"), target="price")     row n goes with row n
mr.beside(mr.read_csv("sizes.csv"), mr.read_csv("prices.csv"), on="id", target="price")    rows of equal id
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mapreduce.dataclass import dataclass
from mapreduce.dataset import Dataset
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from mapreduce.formats.beside import Beside
    from mapreduce.formats.union import Member


@dataclass(frozen=True, slots=True)
class Joined:
    """How the members of a dataset stand beside each other: the roles of columns that were named for all of them, and
    the column by which their rows are the same (None: by their order)."""

    target: str | None = None
    features: tuple[str, ...] | None = None
    weights: str | None = None
    on: str | None = None

    def format_of(self, members: tuple[Member, ...]) -> Beside:
        from mapreduce.formats.beside import Beside
        from mapreduce.formats.roles import Roles

        return Beside(members, Roles(self.features, self.target, self.weights), self.on)


def apart(dataset: Dataset) -> Dataset:
    """The tables that stand beside each other in a dataset, one after the other."""
    from mapreduce.formats.beside import Beside

    resolved = dataset.resolved()
    if not isinstance(resolved.format, Beside):
        return dataset
    return Dataset(resolved.paths, resolved.format.apart(), found=resolved.found, owner=resolved.owner)


def beside(
    *datasets: Dataset,
    target: str | None = None,
    features: Sequence[str] | None = None,
    weights: str | None = None,
    on: str | None = None,
) -> Dataset:
    """Tables that hold columns of the same rows, as one dataset with all columns.

    target, features, weights   columns of any of the tables; default: what the tables' own options say
    on                          a column of all tables, with each value once in each: rows of equal values go together,
                                in whatever order they come. Default: the first row goes with the first, and so on

    The tables may be of different formats: csv, tsv, jsonl, parquet and arrow, whose columns have names. When a job is
    planned, InputError tells of a column that two tables have, and of a table that has more rows than another.

        houses = mr.beside(mr.read_csv("sizes.csv"), mr.read_parquet("prices/"), target="price")
    """
    if len(datasets) < 2:
        raise UsageError("beside takes two datasets or more; one alone can be read as it is")
    for dataset in datasets:
        if dataset.members or dataset.tag is not None or dataset.planned is not None:
            raise UsageError("beside takes datasets as read_csv and its like make them; no union, tagged or cached one")
    if isinstance(features, str):
        raise UsageError(f"features is the string {features!r}; give a list of strings: [{features!r}]")
    joined = Joined(target, None if features is None else tuple(features), weights, on)
    paths = tuple(path for dataset in datasets for path in dataset.paths)
    return Dataset(paths, members=datasets, joined=joined, owner=datasets)

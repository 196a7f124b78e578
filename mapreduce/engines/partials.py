"""What is the partial of each split of a fold's input? For those who keep partials: mapped is only what they lack.

```text
split --bytes--> content: known?  yes: nothing is read further
                                  no:  map its blocks, reduce them in the fixed tree, and stop there
```
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from mapreduce.dataclass import dataclass, replace
from mapreduce.engines.split_contents import Content, contents_of
from mapreduce.errors import UsageError
from mapreduce.job import Fold
from mapreduce.storage.kept_outputs import kept_folder
from mapreduce.storage.split_hashes import SplitHashes

if TYPE_CHECKING:
    from mapreduce.dataset import Dataset, PlannedInput
    from mapreduce.formats.base import Split
    from mapreduce.result import Result


@dataclass(frozen=True, slots=True)
class SplitPartial:
    """A split's file and place in it, in the format's own units, what it holds, and its partial: None where that was
    known already, or the split has no records."""

    path: str
    start: int
    end: int
    content: str
    partial: Any


class BySplit(Fold):
    """A fold whose value is a list of (number of split, partial of split)."""

    def __init__(self, fold: Fold) -> None:
        self.fold = fold

    def map(self, block: Any) -> Any:
        return self.fold.map(block)

    def reduce(self, a: Any, b: Any) -> Any:
        return Closed(a.splits + b.splits) if isinstance(a, Closed) else self.fold.reduce(a, b)

    def close_split(self, partial: Any, number: int) -> Closed:
        """Of a split there is nothing to come."""
        return Closed([(number, partial)])

    def zero(self) -> Closed:
        return Closed([])

    def finish(self, partial: Closed) -> list[tuple[int, Any]]:
        return partial.splits


@dataclass(frozen=True, slots=True)
class Closed:
    """Partials of whole splits."""

    splits: list[tuple[int, Any]]


def partials_of(
    fold: Fold,
    dataset: Dataset,
    known: Collection[str],
    split_bytes: int | None,
    run: Callable[[Fold, Dataset], Result],
) -> list[SplitPartial]:
    """The splits in input order. Those whose content is among `known` are not read. Raises UsageError for a union."""
    if dataset.is_vertical:
        raise UsageError(
            "sums of tables beside each other (--beside) are not kept: a change of one table would touch all; leave "
            "out --keep-sums, or write the columns into one file"
        )
    if dataset.members:
        raise UsageError("partials of a union can't be told apart; take its members one by one")
    planned = dataset.plan(split_bytes, lasting=True)
    contents = names_of_contents(planned)
    new = [split for split, content in zip(planned.splits, contents, strict=True) if content not in known]
    made: dict[int, Any] = {}
    if new:
        numbered = tuple(replace(split, number=number) for number, split in enumerate(new))
        some = replace(planned, splits=numbered, bytes=sum(split.extent.bytes for split in new))
        value = run(BySplit(fold), some.as_dataset(planned.format)).value
        made = {new[number].number: partial for number, partial in value}
    return [
        SplitPartial(split.file.path, split.extent.start, split.extent.end, content, made.get(split.number))
        for split, content in zip(planned.splits, contents, strict=True)
    ]


def names_of_contents(planned: PlannedInput) -> list[str]:
    """A short name for what each split holds: equal for equal contents, whatever the file is called."""
    hashes = SplitHashes(kept_folder() / "files")
    found = contents_of(planned.format, planned.splits, hashes, placed=False)
    return [_name(content, split) for content, split in zip(found, planned.splits, strict=True)]


def _name(content: Content | None, split: Split) -> str:
    """Where the content can't be known before it is read, the file's times must do."""
    import xxhash

    file = split.file
    facts = f"{file.path}\0{file.size}\0{file.mtime_ns}\0{split.extent}" if content is None else content.hash
    return str(xxhash.xxh3_128_hexdigest(facts.encode("utf-8", "surrogateescape")))

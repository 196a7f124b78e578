"""How does one job read files of several formats, and know which dataset a record came from?

    orders.csv     --Csv-->     Tagged("left", row)  \\
                                                      >-- one job
    people.parquet --Parquet--> Tagged("right", row) /

A file carries the number of its member, so the same file may stand in two members (a self-join).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar

from mapreduce.dataclass import dataclass, replace
from mapreduce.errors import InternalError
from mapreduce.formats.base import Block, Extent, Format, InputFile, Split, Where

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from mapreduce.kernels.slices import Slices


class Tagged(NamedTuple):
    """A record of a tagged dataset: whose it is, and what it is."""

    tag: str
    record: Any


@dataclass(frozen=True, slots=True)
class MemberFile(InputFile):
    """A file of one member of a union."""

    member: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """A dataset of a union. Without a tag its records stay as they are."""

    format: Format
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Union(Format):
    """Each file is split and read by the format of its member."""

    members: tuple[Member, ...]

    name: ClassVar[str] = "union"

    def resolve(self, files: Sequence[InputFile]) -> Self:
        resolved = []
        for number, member in enumerate(self.members):
            own = [file for file in files if _member_number(file) == number]
            resolved.append(replace(member, format=member.format.resolve(own)))
        return replace(self, members=tuple(resolved))

    def feature_names(self) -> tuple[str, ...] | None:
        """Those of the members, where all have the same."""
        return _common([member.format.feature_names() for member in self.members])

    def target_name(self) -> str | None:
        return _common([member.format.target_name() for member in self.members])

    def weights_name(self) -> str | None:
        return _common([member.format.weights_name() for member in self.members])

    def with_labels(self) -> Self:
        return replace(self, members=tuple(replace(each, format=each.format.with_labels()) for each in self.members))

    def with_categories(self) -> Self:
        return replace(
            self, members=tuple(replace(each, format=each.format.with_categories()) for each in self.members)
        )

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        return self.members[_member_number(file)].format.plan_extents(file, split_bytes)

    def plan_lasting_extents(self, file: InputFile, split_bytes: int | None) -> list[Extent]:
        return self.members[_member_number(file)].format.plan_lasting_extents(file, split_bytes)

    def bytes_of(self, split: Split) -> range | None:
        return self.members[_member_number(split.file)].format.bytes_of(split)

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[Block]:
        member = self.members[_member_number(split.file)]
        blocks = member.format.read_blocks(split, block_bytes)
        tag = member.tag
        return blocks if tag is None else (TaggedBlock(block, tag) for block in blocks)


class TaggedBlock(Block):
    """A block of a tagged dataset: records come as `Tagged`; the other forms are the block's own, beside `tag`."""

    def __init__(self, block: Block, tag: str) -> None:
        self.block = block
        self.tag = tag
        self.bytes = block.bytes

    def __len__(self) -> int:
        return len(self.block)

    def records(self) -> Iterator[Tagged]:
        tag = self.tag
        return (Tagged(tag, record) for record in self.block.records())

    def place(self, index: int) -> str:
        return self.block.place(index)

    def select(self, rows: Sequence[int]) -> TaggedBlock:
        return TaggedBlock(self.block.select(rows), self.tag)

    def raw(self, index: int) -> bytes | None:
        return self.block.raw(index)

    def where(self, index: int) -> Where:
        return self.block.where(index)

    @property
    def arrow(self) -> pa.RecordBatch:
        return self.block.arrow

    @property
    def X(self) -> np.ndarray[Any, Any]:
        return self.block.X

    @property
    def y(self) -> np.ndarray[Any, Any]:
        return self.block.y

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        return self.block.labels

    def categories(self, names: Sequence[str] | None = None) -> list[np.ndarray[Any, Any]]:
        return self.block.categories(names)

    @property
    def weights(self) -> np.ndarray[Any, Any] | None:
        return self.block.weights

    def exact_weights(self) -> Slices | None:
        return self.block.exact_weights()

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        return self.block.feature_names

    def exact(self, *, target: bool = True) -> Slices:
        return self.block.exact(target=target)


T = TypeVar("T")


def _common(names: Sequence[T | None]) -> T | None:
    return names[0] if all(name == names[0] for name in names) else None


def _member_number(file: InputFile) -> int:
    if not isinstance(file, MemberFile):
        raise InternalError(f"{file.path}: a file of a union must be a MemberFile")
    return file.member

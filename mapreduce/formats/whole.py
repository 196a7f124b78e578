"""How are files read that make sense only as a whole? A record is (path, contents): one a file, an empty one too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from mapreduce.dataclass import dataclass
from mapreduce.formats.base import Block, Extent, Format, InputFile, Split
from mapreduce.formats.bytes_io import ByteReader

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 1 << 26


class WholeFile(NamedTuple):
    """A file as a record: its path or URI as given, and its contents, decompressed."""

    path: str
    contents: bytes


class WholeBlock(Block):
    """One file."""

    def __init__(self, file: InputFile, contents: bytes) -> None:
        self.bytes = file.size
        self._file = file
        self._contents = contents

    def __len__(self) -> int:
        return 1

    def records(self) -> Iterator[WholeFile]:
        return iter([WholeFile(self._file.path, self._contents)])

    def place(self, index: int) -> str:
        return self._file.path

    @property
    def arrow(self) -> pa.RecordBatch:
        """Columns `path` and `contents` (large_binary: a file may be longer than 2 GiB)."""
        import pyarrow as pa

        columns = [pa.array([self._file.path]), pa.array([self._contents], pa.large_binary())]
        return pa.RecordBatch.from_arrays(columns, names=["path", "contents"])


@dataclass(frozen=True, slots=True)
class Whole(Format):
    """Whole files, each a split of its own."""

    name: ClassVar[str] = "whole"
    tells_path: ClassVar[bool] = True

    def plan_extents(self, file: InputFile, split_bytes: int) -> list[Extent]:
        return [Extent(0, file.size, file.size)]

    def read_blocks(self, split: Split, block_bytes: int) -> Iterator[WholeBlock]:
        with ByteReader(split.file) as reader:
            parts = []
            while part := reader.read(CHUNK_BYTES):
                parts.append(part)
        yield WholeBlock(split.file, b"".join(parts))

"""What do the splits of an input hold, as far as what is mapped from them depends on it? Hashes of it.

The name of the file and where the split stands in it do not count, unless records or the job's code tell of them: so a
file may be renamed, moved, or have something appended to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mapreduce.dataclass import dataclass
from mapreduce.formats.base import Format, InputFile, Split
from mapreduce.formats.compression import compression_of
from mapreduce.formats.union import MemberFile
from mapreduce.storage.split_hashes import FileHashes, SplitHashes, Stamp


@dataclass(frozen=True, slots=True)
class Content:
    """What a split holds: a hash; and how to see that it still does."""

    hash: str
    piece: range
    file: FileHashes


def contents_of(format: Format, splits: Sequence[Split], hashes: SplitHashes, *, placed: bool) -> list[Content | None]:
    """The content of each split; None where it cannot be known before it is read: of URIs and of objects in memory.
    `placed`: whether the job asks where records stand."""
    contents: list[Content | None] = []
    start = 0
    while start < len(splits):
        file = splits[start].file
        end = next((n for n in range(start, len(splits)) if splits[n].file is not file), len(splits))
        contents += _contents_of_file(format, file, splits[start:end], hashes, placed=placed)
        start = end
    return contents


def _contents_of_file(
    format: Format, file: InputFile, splits: Sequence[Split], hashes: SplitHashes, *, placed: bool
) -> list[Content | None]:
    if Stamp.of(file.path) is None:
        return [None] * len(splits)
    ranges = [format.bytes_of(split) for split in splits]
    pieces = [range(file.size) if piece is None else piece for piece in ranges]
    hashed = hashes.hash_pieces(file.path, pieces)
    if hashed is None or (hashed.stamp.size, hashed.stamp.mtime_ns) != (file.size, file.mtime_ns):
        return [None] * len(splits)
    contents: list[Content | None] = []
    for split, piece, digest, own in zip(splits, pieces, hashed.hashes, ranges, strict=True):
        extent = split.extent
        facts = [digest, str(extent.start == 0), _compression(file), str(_member(file))]
        if own is None:  # the whole file was hashed: which piece of it, and of which kind it is
            facts += [f"{extent.start}-{extent.end}", Path(file.path).suffix.lower()]
        if placed or format.tells_path:
            facts += [file.path, str(extent.start)]
        contents.append(Content("\0".join(facts), piece, hashed))
    return contents


def _compression(file: InputFile) -> str:
    compression = compression_of(file.path)
    return "" if compression is None else compression.name


def _member(file: InputFile) -> int:
    return file.member if isinstance(file, MemberFile) else 0

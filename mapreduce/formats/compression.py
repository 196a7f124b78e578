"""Is a file compressed, and how is it read then? Told by its suffix; gzip, bzip2, xz and zstd.

A compressed stream can only be read from its start, so such a file is one split. Damage is an InputError that names
the file: a cut-off download must not pass for a short file.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import BinaryIO, cast

from mapreduce.dataclass import dataclass
from mapreduce.formats.base import Extent, InputFile

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compression:
    """A way of compressing: its name for people, its suffix, and how a compressed stream is opened."""

    name: str
    suffix: str
    open: Callable[[BinaryIO], BinaryIO]


def _open_gzip(raw: BinaryIO) -> BinaryIO:
    import gzip

    return cast(BinaryIO, gzip.GzipFile(fileobj=raw, mode="rb"))


def _open_bzip2(raw: BinaryIO) -> BinaryIO:
    import bz2

    return cast(BinaryIO, bz2.BZ2File(raw))


def _open_xz(raw: BinaryIO) -> BinaryIO:
    import lzma

    return cast(BinaryIO, lzma.LZMAFile(raw))


def _open_zstd(raw: BinaryIO) -> BinaryIO:
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    return io.BufferedReader(stream, 1 << 20)


COMPRESSIONS = (
    Compression("gzip", ".gz", _open_gzip),
    Compression("bzip2", ".bz2", _open_bzip2),
    Compression("xz", ".xz", _open_xz),
    Compression("zstd", ".zst", _open_zstd),
    Compression("zstd", ".zstd", _open_zstd),
)


def compression_of(path: str) -> Compression | None:
    """How a file of this name is compressed; None if it is not."""
    lower = path.lower()
    return next((each for each in COMPRESSIONS if lower.endswith(each.suffix)), None)


def uncompressed_name(path: str) -> str:
    """The name without the suffix of its compression: 'a.csv.gz' is a CSV file."""
    compression = compression_of(path)
    return path[: -len(compression.suffix)] if compression else path


def is_damage(error: BaseException) -> bool:
    """Does this error of a decompressor mean bad bytes (and not a bad disk, which has an errno)?"""
    import zlib

    if isinstance(error, OSError):
        return error.errno is None
    if isinstance(error, EOFError | zlib.error):
        return True
    return type(error).__name__ == "LZMAError"


def plan_compressed(file: InputFile) -> list[Extent]:
    """One extent for the whole file, said aloud; none for a file of no bytes."""
    compression = compression_of(file.path)
    assert compression is not None
    if file.size == 0:
        return []
    log.info("%s: %s cannot be split, so the file is one split of %d bytes", file.path, compression.name, file.size)
    return [Extent(0, file.size, file.size)]

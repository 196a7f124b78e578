"""How does a value with large arrays rest in a file, so that its readers copy nothing?

Its pickle, and apart from it the memory of its arrays as it is (PEP 574):

    head      magic 8 | bytes of the pickle 8 | number of buffers 8 | bytes of each buffer, 8 each
    pickle
    buffers   each at a multiple of 64 bytes, for the processor's vector instructions

A reader maps the file; its arrays lie on the mapped memory. Numbers are little-endian.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

from mapreduce.dataclass import dataclass

LARGE_BYTES = 64 << 10
"""A smaller buffer stays in the pickle: a copy of it costs less than a place of its own."""

ALIGNMENT = 64
MAGIC = b"mrvalue1"
_HEAD = struct.Struct("<8sQQ")


class Buffers:
    """Takes the large buffers of what is pickled: give it as `buffer_callback`."""

    def __init__(self) -> None:
        self.views: list[memoryview] = []

    def __call__(self, buffer: pickle.PickleBuffer) -> bool:
        """Whether the buffer stays in the pickle."""
        try:
            view = buffer.raw()
        except BufferError:  # its bytes do not lie side by side
            return True
        if view.nbytes < LARGE_BYTES:
            return True
        self.views.append(view)
        return False


@dataclass(frozen=True, slots=True)
class Apart:
    """A pickle and its large buffers, which nobody has copied: they hold the memory that they were made from."""

    pickle: bytes
    buffers: tuple[memoryview, ...] = ()

    def pieces(self) -> list[bytes | memoryview]:
        """The bytes of the file, piece by piece."""
        return [piece for piece in self._pieces() if piece]

    def _pieces(self) -> Iterator[bytes | memoryview]:
        sizes = [view.nbytes for view in self.buffers]
        head = _HEAD.pack(MAGIC, len(self.pickle), len(sizes)) + struct.pack(f"<{len(sizes)}Q", *sizes)
        yield head
        yield self.pickle
        end = len(head) + len(self.pickle)
        for view in self.buffers:
            yield bytes(_gap(end))
            yield view
            end += _gap(end) + view.nbytes


def checksum_of(pieces: Iterable[bytes | memoryview]) -> int:
    """The CRC-32 of the pieces, one after the other."""
    checksum = 0
    for piece in pieces:
        checksum = crc32(piece, checksum)
    return checksum


def split_file(data: memoryview) -> tuple[memoryview, Sequence[memoryview]]:
    """The pickle and the buffers of such a file. Raises DamagedError for another."""
    magic, size, count = _HEAD.unpack_from(data) if len(data) >= _HEAD.size else (b"", 0, 0)
    if magic != MAGIC or len(data) < _HEAD.size + 8 * count:
        raise _not_ours()
    sizes = struct.unpack_from(f"<{count}Q", data, _HEAD.size)
    start = _HEAD.size + 8 * count
    end = start + size
    buffers = []
    for each in sizes:
        begin = end + _gap(end)
        end = begin + each
        buffers.append(data[begin:end])
    if end != len(data):
        raise _not_ours()
    return data[start : start + size], buffers


def _not_ours() -> Exception:
    from mapreduce.storage.mapping import DamagedError

    return DamagedError("it is no value of ours, or one of another version")


def _gap(end: int) -> int:
    return -end % ALIGNMENT


def load_apart(data: memoryview) -> Any:
    """The value of a file of these bytes. Its arrays lie on them, and can be written if these can."""
    stream, buffers = split_file(data)
    return pickle.loads(stream, buffers=buffers)

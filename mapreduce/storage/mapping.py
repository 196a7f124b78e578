"""How is a file read without copying it? It is mapped: all processes of a host share its pages.

What is mapped here is private: who writes into it has the pages that he wrote for himself, and the file stays as it is.
So an array on mapped memory is as good as one of its own, and costs memory only where it is changed.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from zlib import crc32

from mapreduce.storage.traffic import note_mapped

CHUNK_BYTES = 1 << 20


class DamagedError(Exception):
    """A file is not what was written."""


def map_file(path: str, size: int, checksum: int) -> memoryview:
    """A whole file, which has so many bytes with this CRC-32. Raises OSError, and DamagedError.

    It is read once to be checked, by a buffer that stays in the processor's cache: a disk that fails is an error then,
    and not the end of the process, as it would be behind a mapping. What is mapped holds a file descriptor."""
    started = time.perf_counter()
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        there = os.fstat(handle).st_size
        if there != size:
            raise DamagedError(f"it has {there:,} bytes, where {size:,} were written")
        found, buffer = 0, bytearray(min(CHUNK_BYTES, size))
        view = memoryview(buffer)
        while count := os.readv(handle, [buffer]):
            found = crc32(view[:count], found)
        if found != checksum:
            raise DamagedError("its checksum is another one")
        if not size:
            return memoryview(bytearray())
        mapped = memoryview(mmap.mmap(handle, size, access=mmap.ACCESS_COPY))
        note_mapped(size, time.perf_counter() - started)
        return mapped
    except (ValueError, OverflowError) as error:  # it was cut off just now
        raise OSError(errno.EIO, str(error), path) from error
    finally:
        os.close(handle)


def read_file(path: str, size: int, checksum: int) -> memoryview:
    """The same file in memory of our own, for a value that is kept for long. Raises OSError, and DamagedError."""
    data = new_memory(size)
    with open(path, "rb", buffering=0) as file:
        end = 0
        while end < size and (count := file.readinto(data[end:])):
            end += count
    return check(data[:end], size, checksum)


def check(data: memoryview, size: int, checksum: int) -> memoryview:
    """The data, if it has so many bytes with this CRC-32. Raises DamagedError."""
    if len(data) != size:
        raise DamagedError(f"it has {len(data):,} bytes, where {size:,} were written")
    if crc32(data) != checksum:
        raise DamagedError("its checksum is another one")
    return data


def new_memory(size: int) -> memoryview:
    """Room for so many bytes that nobody has touched: what is received goes there at once."""
    if not size:
        return memoryview(bytearray())
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

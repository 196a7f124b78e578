"""What does each split of a file hold? Hashes of its bytes, remembered for large files as long as these don't change.

As git's index does it: a file whose device, inode, size and times are those of last time holds what it held, so it is
not read again. A file that was changed just before it was hashed may be changed once more within the same tick of the
file system's clock: of such a one nothing is remembered.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from mapreduce.dataclass import dataclass, field

REMEMBERED_FROM_BYTES = 1 << 20
"""Reading a smaller file is as quick as reading what is remembered of it."""

RACY_NS = 2 * 10**9
"""The coarsest clock of a file system in use (FAT) ticks every two seconds."""

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells, without reading it, that a file has not changed."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: str) -> Stamp | None:
        """None where there is no such local file."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_racy(self, now_ns: int) -> bool:
        """Whether the file changed so lately that it may change again without being seen to."""
        return max(self.mtime_ns, self.ctime_ns) > now_ns - RACY_NS


@dataclass(frozen=True, slots=True)
class FileHashes:
    """Hashes of pieces of a file, in the order asked for, and the file's stamp while it was read. `is_racy`: to be sure
    that a piece is still the same, it must be hashed again."""

    stamp: Stamp
    hashes: tuple[str, ...]
    is_racy: bool


@dataclass(frozen=True, slots=True)
class SplitHashes:
    """Hashes pieces of files; remembers them in `folder`."""

    folder: Path
    now_ns: Callable[[], int] = field(default=time.time_ns)

    def hash_pieces(self, path: str, pieces: Sequence[range]) -> FileHashes | None:
        """None for what is no local file, or changes while it is read."""
        stamp = Stamp.of(path)
        if stamp is None:
            return None
        started = self.now_ns()
        remembered = self._recall(path, stamp) if stamp.size >= REMEMBERED_FROM_BYTES else {}
        names = [f"{piece.start}-{piece.stop}" for piece in pieces]
        known = dict(remembered)
        try:
            with open(path, "rb", buffering=0) as file:
                for name, piece in zip(names, pieces, strict=True):
                    if name not in known:
                        known[name] = hash_range(file.fileno(), piece)
        except OSError:
            return None
        if Stamp.of(path) != stamp:
            return None
        is_racy = stamp.is_racy(started)
        if stamp.size >= REMEMBERED_FROM_BYTES and not is_racy and known != remembered:
            with suppress(OSError):  # then it is read again next time
                self._remember(path, stamp, known)
        return FileHashes(stamp, tuple(known[name] for name in names), is_racy)

    def _place(self, path: str) -> Path:
        import xxhash

        return Path(self.folder, xxhash.xxh3_128_hexdigest(os.fsencode(os.path.abspath(path))))

    def _recall(self, path: str, stamp: Stamp) -> dict[str, str]:
        place = self._place(path)
        try:
            page = json.loads(place.read_bytes())
            os.utime(place)
        except (OSError, ValueError):
            return {}
        values = [stamp.device, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns]
        if not isinstance(page, dict) or page.get("stamp") != values:
            return {}
        return {str(name): str(digest) for name, digest in page.get("hashes", {}).items()}

    def _remember(self, path: str, stamp: Stamp, hashes: dict[str, str]) -> None:
        values = [stamp.device, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns]
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, new = tempfile.mkstemp(dir=self.folder, prefix=".new-")
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump({"stamp": values, "hashes": hashes}, file)
        os.replace(new, self._place(path))


def hash_range(descriptor: int, piece: range) -> str:
    """XXH3-128 of some bytes of an open file, in hex."""
    import xxhash

    digest = xxhash.xxh3_128()
    view = memoryview(_buffer())
    at = piece.start
    while at < piece.stop:
        size = os.preadv(descriptor, [view[: piece.stop - at]], at)
        if not size:
            raise OSError("the file has become shorter")
        digest.update(view[:size])
        at += size
    return str(digest.hexdigest())


@cache
def _buffer() -> bytearray:
    """The same one again: memory that is touched for the first time takes longer than reading into it."""
    return bytearray(CHUNK_BYTES)

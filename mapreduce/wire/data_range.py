"""What of a file is asked for, what has come, and what was read already?"""

from __future__ import annotations

import errno
from zlib import crc32

from mapreduce.dataclass import dataclass, field
from mapreduce.wire.data_messages import Answer, Tell

LEAST_WINDOW = 64 << 10
MOST_WINDOW = 8 << 20
"""Asked ahead of a range: at least a frame of a segment, at most what fills a link of 10 Gbit/s for 6 ms."""

RETRIES = 3
"""How often a piece with a wrong checksum is asked for again."""


def choose_window(ahead_bytes: int, ranges: int) -> int:
    """How much to ask ahead of each of so many ranges that are read at the same time."""
    return max(LEAST_WINDOW, min(MOST_WINDOW, ahead_bytes // max(1, ranges)))


@dataclass(slots=True)
class Wanted:
    """A piece to ask for."""

    offset: int
    size: int
    tries: int = 0


@dataclass(slots=True)
class Held:
    """Bytes that are asked for or here, of all ranges of a reader."""

    bytes: int = 0


@dataclass(slots=True)
class Range:
    """Bytes `start` to `end` of a file on a host, read once from front to back; a read may begin again where the one
    before began. With `tail`, the last `end - start` bytes of it, whose place the first answer tells.

    `held_bytes` are those asked for or here; they are part of `total`."""

    host: str
    path: str
    start: int
    end: int
    total: Held
    checked: bool = False
    tail: bool = False
    window: int = LEAST_WINDOW
    next: int = -1  # the first byte that was not asked for
    pieces: dict[int, memoryview] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)  # of pieces asked for or here, ascending by offset
    file_bytes: int = -1
    version: int = -1
    error: OSError | None = None
    held_bytes: int = 0

    def __post_init__(self) -> None:
        self.next = self.start

    @property
    def located(self) -> bool:
        """Whether its offsets are those of the file."""
        return not self.tail or self.file_bytes >= 0

    def covers(self, offset: int, size: int) -> bool:
        return self.located and self.start <= offset and offset + size <= self.end

    def choose_piece(self, piece_bytes: int) -> Wanted | None:
        """The next piece to ask for, or None if all of it is asked for."""
        left = self.end - self.next
        if left <= 0 or self.error is not None:
            return None
        half = max(LEAST_WINDOW // 2, self.window // 2)  # one is read while the other is on its way
        return Wanted(self.next, min(left, piece_bytes, half))

    def asked(self, piece: Wanted) -> None:
        self._hold(piece.offset, piece.size)
        self.next = max(self.next, piece.offset + piece.size)

    def take(self, piece: Wanted, answer: Answer, data: memoryview) -> bool:
        """File an answer. False if the piece came damaged and has to be asked for again."""
        if piece.offset not in self.sizes or self.error is not None:
            return True  # dropped meanwhile
        if answer.kind is not Tell.PIECE:
            self.error = OSError(answer.errno or errno.EIO, bytes(data).decode(errors="replace"), self.where)
            return True
        if answer.checked and crc32(data) != answer.checksum:
            piece.tries += 1
            if piece.tries > RETRIES:
                self.error = OSError(errno.EIO, "comes damaged again and again", self.where)
            return self.error is not None
        if self.version not in (-1, answer.version):
            self.error = OSError(errno.ESTALE, "was written anew while it was read", self.where)
            return True
        self.version, self.file_bytes = answer.version, answer.file_bytes
        if self.tail:
            self._let_go(piece.offset)
            self.start, self.end = answer.offset, answer.file_bytes
            piece = Wanted(self.start, self.end - self.start)
            self.next = self.end
        self.end = min(self.end, answer.file_bytes)
        if len(data) != max(0, min(piece.size, answer.file_bytes - piece.offset)):
            self.error = OSError(errno.EIO, f"byte {piece.offset}: a piece of {len(data)} bytes", self.where)
            return True
        self._hold(piece.offset, len(data))
        self.pieces[piece.offset] = data
        return True

    def has(self, offset: int, size: int) -> bool:
        """Whether these bytes, or those up to the end of the file, are here. Raises the OSError that hinders it."""
        if self.error is not None:
            raise self.error
        end = min(offset + size, self.end)
        if not self.located or self.next < end:
            return False
        for at, length in self.sizes.items():
            if at >= end:
                break
            if at + length > offset and at not in self.pieces:
                return False
        return True

    def read(self, offset: int, size: int) -> bytes:
        """Bytes that are here. Pieces before them are dropped; with the last byte of the range, all are."""
        end = min(offset + size, self.end)
        found: list[memoryview] = []
        for at, length in list(self.sizes.items()):
            if at >= end:
                break
            if at + length <= offset:
                self._let_go(at)
            else:
                found.append(self.pieces[at][max(0, offset - at) : end - at])
        self.start = max(self.start, min(offset, self.end))
        data = bytes(found[0]) if len(found) == 1 else b"".join(found)
        if end >= self.end:
            self.drop()
        return data

    def drop(self) -> None:
        """It is not read any more; what still comes is nobody's."""
        for at in list(self.sizes):
            self._let_go(at)

    def _hold(self, at: int, size: int) -> None:
        change = size - self.sizes.get(at, 0)
        self.sizes[at] = size
        self.held_bytes += change
        self.total.bytes += change

    def _let_go(self, at: int) -> None:
        size = self.sizes.pop(at)
        self.pieces.pop(at, None)
        self.held_bytes -= size
        self.total.bytes -= size

    @property
    def where(self) -> str:
        return f"{self.host}:{self.path}"

"""Which record was an attempt at when its process died? It notes that as it goes, where its death does not reach.

The note is two numbers in a small file that is mapped into memory: writing costs a store, and what was written is the
kernel's, whatever becomes of the process. Who ends in order removes its note, by finishing, failing or being cancelled;
so a note that stays, and whose lock nobody holds, is that of a process that died.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path

from mapreduce.dataflow.skipping import Death
from mapreduce.ids import AttemptId
from mapreduce.storage.paths import JobPaths
from mapreduce.storage.store import explained, open_store

NOTE = struct.Struct("=qq")
NOTHING = -1


class DeathNote:
    """What the attempt has in hand. Set `count` first: the note counts from the moment in which `first` is set."""

    def __init__(self, root: str, attempt: AttemptId) -> None:
        import fcntl

        store, path = open_store(root), JobPaths(root).note(attempt)
        self._path = Path(store.locate(path))
        with explained(store, path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._file, NOTE.pack(NOTHING, 0), 0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._memory = mmap(self._file, NOTE.size)
        self.numbers = memoryview(self._memory).cast("q")  # [first, count]

    def enter(self, first: int, count: int) -> None:
        self.numbers[1] = count
        self.numbers[0] = first

    def leave(self) -> None:
        self.numbers[0] = NOTHING

    def close(self) -> None:
        """The attempt ends in order."""
        self.numbers.release()
        self._memory.close()
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def read_deaths(root: str, attempt: AttemptId) -> Iterator[Death]:
    """What other attempts of the same task had in hand when they died."""
    own = Path(open_store(root).locate(JobPaths(root).note(attempt)))
    stage, index, _ = own.name.split("-", 2)
    for path in sorted(own.parent.glob(f"{stage}-{index}-*{own.suffix}")):
        with contextlib.suppress(FileNotFoundError):  # its attempt ended in order just now
            death = _read(path) if path != own else None
            if death is not None:
                yield death


def _read(path: Path) -> Death | None:
    import fcntl

    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return None  # it lives
        data = file.read(NOTE.size)
    if len(data) < NOTE.size:
        return None
    first, count = NOTE.unpack(data)
    return None if first == NOTHING else Death(first, count)

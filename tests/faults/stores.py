"""What could happen to a disk? Stores that are full from the n-th operation on, or that know what a power cut leaves.

```python
with FullDisk(full_at=17).inserted():
    mr.run(job, data, output=folder, engine="inline")
```

A disk counts the operations of all its stores, whichever folder they are for. It works on real files, so readers that
know of no store see the same.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from mapreduce.storage import store
from mapreduce.storage.store import LocalStore, Store

NEEDS_SPACE = ("append", "create", "folder", "write")


class Disk:
    """Counts, and does nothing else. `log` names every operation."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def store(self, root: str, early: bool = False) -> Store:
        return _DiskStore(self, root)

    @contextmanager
    def inserted(self) -> Iterator[None]:
        """Everything that jobs of this process write meanwhile goes to this disk."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "make_store", self.store)
            yield

    def before(self, operation: str, path: str) -> None:
        """Called before each operation; may raise, then it doesn't happen."""
        self.log.append(f"{operation} {path}")

    def after(self, operation: str, path: str, old: str = "") -> None:
        """Called after each; `old` is what a file was named before it was renamed to `path`."""


class FullDisk(Disk):
    """No space is left from the n-th operation on (the first is 0), for whatever needs any."""

    def __init__(self, full_at: int, number: int = errno.ENOSPC) -> None:
        super().__init__()
        self.full_at = full_at
        self.number = number
        self.refused = False

    def before(self, operation: str, path: str) -> None:
        super().before(operation, path)
        if len(self.log) > self.full_at and (operation in NEEDS_SPACE or self.number != errno.ENOSPC):
            self.refused = True
            raise OSError(self.number, os.strerror(self.number), path)


class Loss(Enum):
    """What a file system may leave after a loss of power. What was synced is always there."""

    EVERYTHING = "everything"  # neither names nor bytes that were not synced
    BYTES = "bytes"  # names, new and gone, as they were; files as long as what was synced of them
    TAIL = "tail"  # names and lengths, but only half of the bytes not synced; zeros for the others


@dataclass(slots=True)
class _File:
    synced: bytes = b""


@dataclass(slots=True)
class _Folder:
    names: dict[str, _File | _Folder] = field(default_factory=dict)
    on_disk: dict[str, _File | _Folder] = field(default_factory=dict)


@dataclass(slots=True)
class _Renamed:
    """A file has one name: where one folder of a rename reaches the disk, so does the other, as in all file systems
    that keep a journal."""

    source: _Folder
    old: str
    target: _Folder
    new: str
    file: _File | _Folder
    is_done: bool = False

    def reach_disk_with(self, folder: _Folder) -> None:
        if folder is not self.source and folder is not self.target:
            return
        if self.source.on_disk.get(self.old) is self.file:
            del self.source.on_disk[self.old]
        if self.target.names.get(self.new) is self.file:
            self.target.on_disk[self.new] = self.file
        self.is_done = True


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left if the power goes before `operation`: the bytes of files, None of folders, by relative path."""

    operation: str
    files: dict[str, bytes | None]

    def restore(self, top: Path) -> None:
        """Make the files what they are after the machine has started again."""
        for path, data in self.files.items():
            if data is None:
                Path(top, path).mkdir()
            else:
                Path(top, path).write_bytes(data)


class LossyDisk(Disk):
    """Below `top` only what was synced survives: bytes and names apart. `remains` tells, for each moment at which the
    power could go, what would be left; moments with the same remains are told once."""

    def __init__(self, top: Path) -> None:
        super().__init__()
        self.top = top
        self.tree = _Folder()
        self.remains: dict[Loss, list[Remains]] = {loss: [] for loss in Loss}
        self._renamed: list[_Renamed] = []  # neither folder has been synced since

    def adopt(self) -> None:
        """Take what lies below `top` now for what is on the disk."""
        for path in sorted(self.top.rglob("*")):
            folder = self._folder(str(path))
            node = _Folder() if path.is_dir() else _File(path.read_bytes())
            folder.names[path.name] = folder.on_disk[path.name] = node

    def before(self, operation: str, path: str) -> None:
        super().before(operation, path)
        self.note(self.log[-1])

    def note(self, operation: str) -> None:
        """Note what would be left now."""
        for loss, remains in self.remains.items():
            files: dict[str, bytes | None] = {}
            self._survivors(self.tree, "", loss, files)
            if not remains or remains[-1].files != files:
                remains.append(Remains(operation, files))

    def after(self, operation: str, path: str, old: str = "") -> None:
        if operation == "sync":
            node = self._node(path)
            if isinstance(node, _File):
                node.synced = Path(path).read_bytes()
            else:
                node.on_disk = dict(node.names)
                for renamed in self._renamed:
                    renamed.reach_disk_with(node)
                self._renamed = [renamed for renamed in self._renamed if not renamed.is_done]
        elif operation == "rename":
            source, target = self._folder(old), self._folder(path)
            file = source.names.pop(Path(old).name)
            target.names[Path(path).name] = file
            self._renamed.append(_Renamed(source, Path(old).name, target, Path(path).name, file))
        elif operation == "remove":
            self._folder(path).names.pop(Path(path).name, None)
        elif operation == "folder":
            self._node(path)
        elif operation in ("create", "append"):
            names = self._folder(path).names
            if operation == "create":
                names[Path(path).name] = _File()  # emptied; the old bytes are as good as gone
            names.setdefault(Path(path).name, _File())

    def _survivors(self, folder: _Folder, prefix: str, loss: Loss, left: dict[str, bytes | None]) -> None:
        for name, node in (folder.on_disk if loss is Loss.EVERYTHING else folder.names).items():
            path = f"{prefix}{name}"
            if isinstance(node, _Folder):
                left[path] = None
                self._survivors(node, f"{path}/", loss, left)
            else:
                left[path] = self._torn(node, path) if loss is Loss.TAIL else node.synced

    def _torn(self, node: _File, path: str) -> bytes:
        real = Path(self.top, path).read_bytes()
        kept = (len(node.synced) + len(real)) // 2
        return real[:kept] + bytes(len(real) - kept)

    def _folder(self, path: str) -> _Folder:
        parent = self._node(str(Path(path).parent))
        assert isinstance(parent, _Folder)
        return parent

    def _node(self, path: str) -> _File | _Folder:
        """The node of a real path; folders that were made outside are taken in."""
        node: _File | _Folder = self.tree
        for name in Path(path).relative_to(self.top).parts:
            assert isinstance(node, _Folder)
            node = node.names.setdefault(name, _Folder())
        return node


class _DiskStore(LocalStore):
    """A local store whose operations a disk hears of."""

    def __init__(self, disk: Disk, root: str) -> None:
        LocalStore.__init__(self, root)
        object.__setattr__(self, "disk", disk)

    disk: Disk

    def create(self, path: str) -> BinaryIO:
        with self._told("create", path):
            file = LocalStore.create(self, path)
        return cast(BinaryIO, _DiskFile(self.disk, self.locate(path), file))

    def append(self, path: str) -> BinaryIO:
        with self._told("append", path):
            file = LocalStore.append(self, path)
        return cast(BinaryIO, _DiskFile(self.disk, self.locate(path), file))

    def make_folder(self, path: str) -> None:
        with self._told("folder", path):
            LocalStore.make_folder(self, path)

    def rename(self, old: str, new: str) -> None:
        with self._told("rename", new, self.locate(old)):
            LocalStore.rename(self, old, new)

    def remove(self, path: str) -> None:
        with self._told("remove", path):
            LocalStore.remove(self, path)

    def sync(self, path: str) -> None:
        with self._told("sync", path):
            os.stat(self.locate(path))  # there must be something; a real disk need not be waited for

    @contextmanager
    def _told(self, operation: str, path: str, old: str = "") -> Iterator[None]:
        self.disk.before(operation, self.locate(path))
        yield
        self.disk.after(operation, self.locate(path), old)


class _DiskFile(RawIOBase):
    """Each write is an operation, and is done at once."""

    def __init__(self, disk: Disk, path: str, file: BinaryIO) -> None:
        self.disk = disk
        self.path = path
        self.file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.disk.before("write", self.path)
        written = self.file.write(data)
        self.file.flush()
        self.disk.after("write", self.path)
        return written

    def close(self) -> None:
        self.file.close()
        super().close()

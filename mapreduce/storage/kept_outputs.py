"""Where do map outputs rest between runs, for `--incremental`, and what keeps them from filling the disk?

```text
$MAPREDUCE_CACHE/kept/             or $XDG_CACHE_HOME/mapreduce/kept, else ~/.cache/mapreduce/kept
  outputs/3f/3f09...c1/            an entry, named by its key: job, settings and the content of a split
    entry                          what was counted, and which files there are; with a checksum
    0, 1, ...                      the files of the output
  files/77ab...01                  hashes of the splits of a large input file, with the file's times
  .new-PID-...                     an entry that is being written; it appears by rename, whole or not at all
```

Files are hard links where the file system allows it, else copies: so an entry costs no time to take, may be removed
while a job uses it, and its bytes may change only if somebody writes into a file in place. Then a checksum tells.
Whoever finds damage, or no entry, maps the split again; nothing depends on what lies here.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

from mapreduce.dataclass import dataclass
from mapreduce.errors import UsageError
from mapreduce.settings import GiB, parse_size
from mapreduce.storage.content_hash import hash_file

MOST_BYTES = 10 * GiB
"""What all entries may take when nobody says otherwise, and at most a tenth of the disk."""

DISK_SHARE = 10
STALE_SECONDS = 86_400
"""After a day what is being written is a remainder, whoever has the number of its process by now."""

ENTRY, NEW, OLD = "entry", ".new-", ".old-"


def kept_folder() -> Path:
    """Where kept outputs lie: below $MAPREDUCE_CACHE, else with the other things that can be made again."""
    own = os.environ.get("MAPREDUCE_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own or base / "mapreduce", "kept")


def most_kept_bytes(folder: Path) -> int:
    """The bound on all entries: $MAPREDUCE_KEPT_SIZE, else MOST_BYTES or a tenth of the disk. Raises UsageError."""
    asked = os.environ.get("MAPREDUCE_KEPT_SIZE")
    if asked:
        try:
            return parse_size(asked)
        except UsageError as error:
            raise UsageError(f"MAPREDUCE_KEPT_SIZE: {error}") from None
    there = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path("/"))
    return min(MOST_BYTES, shutil.disk_usage(there).total // DISK_SHARE)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of an entry: its name in the output ("" where the output is one file), size, and hash if it has one."""

    name: str
    bytes: int
    xxh3_128: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry: what its maker wrote of it, and its files."""

    key: str
    facts: str
    files: tuple[KeptFile, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """What an entry takes, and when it was made or used last."""

    path: Path
    bytes: int
    used: float


def encode_entry(facts: str, files: Sequence[KeptFile]) -> bytes:
    """One line, with a checksum in front."""
    page = json.dumps({"facts": facts, "files": [[file.name, file.bytes, file.xxh3_128] for file in files]})
    body = page.encode("ascii")
    return b"%08x %b\n" % (crc32(body), body)


def decode_entry(key: str, data: bytes) -> Kept | None:
    """The inverse of `encode_entry`; None where the data is not whole."""
    body = data[9:-1]
    if data[:9] != b"%08x " % crc32(body) or data[-1:] != b"\n":
        return None
    page: Any = json.loads(body)
    return Kept(key, page["facts"], tuple(KeptFile(*file) for file in page["files"]))


def choose_evicted(uses: Sequence[Use], most_bytes: int) -> list[Use]:
    """Which entries must go so that the others take at most so many bytes: those that were used longest ago."""
    kept = sum(use.bytes for use in uses)
    evicted = []
    for use in sorted(uses, key=lambda use: (use.used, use.path)):
        if kept <= most_bytes:
            break
        evicted.append(use)
        kept -= use.bytes
    return evicted


class KeptOutputs:
    """The store. Any number of runs may use it at the same time. Methods raise OSError as the system gives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> Kept | None:
        """The entry of a key, if there is one that is whole; from now on it counts as used."""
        path = self._path(key)
        try:
            kept = decode_entry(key, (path / ENTRY).read_bytes())
            sizes = [(path / str(number)).stat().st_size for number in range(len(kept.files) if kept else 0)]
            os.utime(path / ENTRY)
        except FileNotFoundError:
            self.drop(key)  # where a part of it is gone
            return None
        if kept is None or sizes != [file.bytes for file in kept.files]:
            self.drop(key)
            return None
        return kept

    def take(self, kept: Kept, target: Path, *, copied: bool) -> bool:
        """Put an entry's files where the output shall lie. False, and the entry is dropped, if they are damaged.

        `copied`: the files will be the user's, who may write into them; and nobody checks them later, so it is done
        here. Else they are linked, and whoever reads them checks them.
        """
        for number, file in enumerate(kept.files):
            source = self._path(kept.key) / str(number)
            place = target / file.name if file.name else target
            try:
                put(source, place, copied=copied)
            except FileNotFoundError:  # evicted meanwhile
                return False
            if copied and hash_file(str(place)) != file.xxh3_128:
                self.drop(kept.key)
                return False
        return True

    def keep(self, key: str, facts: str, files: Mapping[str, Path], *, hashed: bool) -> int:
        """Keep files, by their names in the output; their number of bytes. Harmless if the key has an entry already."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = Path(tempfile.mkdtemp(prefix=f"{NEW}{os.getpid()}-", dir=self.folder))
        try:
            kept = []
            for number, (name, source) in enumerate(files.items()):
                place = new / str(number)
                put(source, place, copied=False)
                digest = (hash_file(str(place)) or "") if hashed else ""
                kept.append(KeptFile(name, place.stat().st_size, digest))
            (new / ENTRY).write_bytes(encode_entry(facts, kept))
            final = self._path(key)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.rename(new, final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return 0  # another run was first
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return sum(file.bytes for file in kept)

    def drop(self, key: str) -> None:
        """Remove an entry. Harmless if there is none."""
        self._remove(self._path(key))

    def uses(self) -> Iterator[Use]:
        """All entries and hashes of files."""
        for path in self.folder.glob("outputs/*/*"):
            try:
                with os.scandir(path) as files:
                    size = sum(file.stat().st_size for file in files)
                yield Use(path, size, (path / ENTRY).stat().st_mtime)
            except FileNotFoundError:  # removed meanwhile
                continue
        for path in self.folder.glob("files/*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            yield Use(path, status.st_size, status.st_mtime)

    def shrink(self, most_bytes: int, now: float) -> int:
        """Remove remainders, and what was used longest ago, until the rest is within the bound; the bytes removed."""
        for path in [*self.folder.glob(f"{NEW}*"), *self.folder.glob(f"{OLD}*")]:
            if not is_being_written(path, now):
                shutil.rmtree(path, ignore_errors=True)
        evicted = choose_evicted(list(self.uses()), most_bytes)
        for use in evicted:
            self._remove(use.path)
        return sum(use.bytes for use in evicted)

    def _path(self, key: str) -> Path:
        return Path(self.folder, "outputs", key[:2], key)

    def _remove(self, path: Path) -> None:
        """In one step for whoever looks: an entry is there whole or not at all."""
        if not path.exists():
            return
        old = Path(tempfile.mkdtemp(prefix=f"{OLD}{os.getpid()}-", dir=self.folder))
        with suppress(FileNotFoundError):  # somebody else was first
            os.rename(path, old / ENTRY)
        shutil.rmtree(old, ignore_errors=True)


def put(source: Path, target: Path, *, copied: bool) -> None:
    """Link a file, or copy it where it cannot be linked or must not be. Replaces `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if not copied:
        try:
            os.link(source, target)
            return
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without links
            pass
    shutil.copyfile(source, target)


def is_being_written(path: Path, now: float) -> bool:
    """Whether the process that is named in a remainder's name may still be at it."""
    pid = path.name.split("-")[1]
    try:
        recent = now - path.stat().st_mtime < STALE_SECONDS
    except FileNotFoundError:
        return False
    return recent and pid.isdigit() and Path("/proc", pid).exists()

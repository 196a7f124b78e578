"""Which further files does a job open, and where does it find them? Those of `--files`, under $MAPREDUCE_FILES.

A file keeps its own name; of a folder all files go along, below the folder's name. On the machine where the job is
begun the names are links to the files. To another host a file is sent once, whichever jobs need it: it is kept there by
the hash of its content.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mapreduce.dataclass import dataclass
from mapreduce.dataflow.package import FILES_VARIABLE, use_folder
from mapreduce.errors import ResourceError, UsageError
from mapreduce.formats.inputs import find_files


@dataclass(frozen=True, slots=True)
class JobFile:
    """`name` is how the job knows it, `path` where it lies with whoever began the job."""

    name: str
    path: str
    bytes: int
    digest: str  # SHA-256
    executable: bool = False

    @property
    def offered_as(self) -> str:
        """The name under which other hosts read it."""
        return f"file-{self.digest}"


def find_job_files(paths: Sequence[str]) -> tuple[JobFile, ...]:
    """The files that were named. Raises UsageError for names that stand for two files, and for what can't be read."""
    found: dict[str, JobFile] = {}
    for given in paths:
        top = os.path.abspath(given)
        for path in _files_below(top, given):
            name = os.path.relpath(path, os.path.dirname(top))
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            made = JobFile(name, path, os.path.getsize(path), digest, os.access(path, os.X_OK))
            other = found.setdefault(name, made)
            if other.digest != digest:
                raise UsageError(f"--files: {other.path} and {path} would both be called {name}; rename one of them")
    return tuple(found[name] for name in sorted(found))


def _files_below(top: str, given: str) -> list[str]:
    if os.path.isfile(top):
        return [top]
    if os.path.isdir(top):
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names)
    try:
        return [os.path.abspath(file.path) for file in find_files([given])]
    except Exception as error:
        raise UsageError(f"--files: {error}") from error


def lay_out(files: Sequence[JobFile], folder: Path, place_of: Callable[[JobFile], str]) -> None:
    """Make the names in a folder, as links; what an earlier run made there is replaced."""
    for file in files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        link = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(place_of(file))
        link.replace(path)


@contextmanager
def in_folder(folder: str) -> Iterator[None]:
    """The same for a job that runs in the caller's own process."""
    before = os.environ.get(FILES_VARIABLE, "")
    use_folder(folder)
    try:
        yield
    finally:
        use_folder(before)


def keep_here(files: Sequence[JobFile], kept: Path, read: Callable[[JobFile, int, int], bytes]) -> None:
    """Fetch what this host does not have yet; of several workers one fetches, the others wait for it. Raises
    ResourceError."""
    kept.mkdir(parents=True, exist_ok=True)
    with open(kept / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for file in files:
            if not (kept / file.digest).exists():
                _fetch(file, kept, read)


PIECE_BYTES = 1 << 20


def _fetch(file: JobFile, kept: Path, read: Callable[[JobFile, int, int], bytes]) -> None:
    digest = hashlib.sha256()
    copy = tempfile.NamedTemporaryFile(dir=kept, delete=False)
    try:
        with copy:
            for offset in range(0, file.bytes, PIECE_BYTES):
                data = read(file, offset, min(PIECE_BYTES, file.bytes - offset))
                digest.update(data)
                copy.write(data)
        if digest.hexdigest() != file.digest:
            raise ResourceError(f"{file.path} has changed since the job began; run the job again")
        if file.executable:
            os.chmod(copy.name, 0o700)
        os.replace(copy.name, kept / file.digest)
    except OSError as error:
        raise ResourceError(f"--files: {file.name} can't be brought to this host: {error.strerror or error}") from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(copy.name)

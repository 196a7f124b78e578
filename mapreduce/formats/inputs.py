"""Which files does the user mean, and how is one opened?

A path names a file, a folder (all files below it), a glob (`**` for any depth) or a URI that pyarrow's file systems
know. Only URIs import pyarrow. With `data:` before it, a path, folder or glob is one below the folders that hosts of a
cluster offer (`mapreduce agent --data`): the engine registers who finds and opens those. Files come in the order of
the paths, and by name within a folder or glob, so that the same input is the same list on every machine.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from mapreduce.errors import InputError, ResourceError, UsageError
from mapreduce.formats.base import InputFile
from mapreduce.formats.names import HIDDEN, near_names

STDIN = "-"
HOSTS = "data:"
"""What a path begins with that names files on the hosts of a cluster."""

COPY_BYTES = 1 << 20


def find_files(paths: Sequence[str]) -> list[InputFile]:
    """The files that `paths` name, in order; see the module's docstring.

    A path that exists is taken literally, whatever brackets or stars are in its name. Below a folder, at any depth,
    and where a wildcard stands, names starting with '.' or '_' are skipped, and so are sockets and pipes. A file that
    is reached twice, say by overlapping globs, is read once, at its first place. Raises InputError for what is
    missing, unreadable or matches nothing, with near names and the remedy.
    """
    if not paths:
        raise UsageError("no input is named; name files, folders or globs, or '-' for standard input")
    found: dict[str, InputFile] = {}
    for path in paths:
        for file in _find(path):
            is_elsewhere = is_remote(file.path) or is_on_hosts(file.path)
            found.setdefault(file.path if is_elsewhere else os.path.abspath(file.path), file)
    return list(found.values())


class HostFiles(Protocol):
    """Finds and opens what lies on the hosts of a cluster."""

    def knows(self, file: InputFile) -> bool:
        """Whether a file that has a path of the file system is to be opened here, too."""
        ...

    def find(self, path: str) -> list[InputFile]: ...

    def open(self, file: InputFile) -> BinaryIO: ...

    def local_path(self, file: InputFile) -> str | None: ...


_host_files: list[HostFiles] = []


def use_host_files(files: HostFiles) -> None:
    """From now on, who finds and opens `data:` paths in this process. Once more is harmless."""
    forget_host_files(files)
    _host_files.append(files)


def forget_host_files(files: HostFiles) -> None:
    """Those used before, if there are any, are used again. Harmless for those that are not used."""
    if files in _host_files:
        _host_files.remove(files)


def is_on_hosts(path: str) -> bool:
    """Whether a path names files on the hosts of a cluster."""
    return path.startswith(HOSTS)


def local_path(file: InputFile) -> str | None:
    """Where this process finds the file in a file system; None where it can only be read through `open_input`."""
    if is_on_hosts(file.path) or _is_tracked(file):
        return _hosts_of(file.path).local_path(file)
    return None if is_remote(file.path) else file.path


def _is_tracked(file: InputFile) -> bool:
    """Whether it lies with the tracker of the cluster that this process works for, and perhaps not here."""
    return bool(_host_files) and _host_files[-1].knows(file)


def _hosts_of(path: str) -> HostFiles:
    if not _host_files:
        raise UsageError(
            f"{path} lies on hosts of a cluster; name these with --hosts or --tracker, or write ./{path} for a file of "
            f"this name that lies here"
        )
    return _host_files[-1]


def is_remote(path: str) -> bool:
    """Whether a path is a URI of something other than a local file."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path) is not None and not path.lower().startswith("file://")


def open_input(file: InputFile) -> BinaryIO:
    """The file's bytes from the start, seekable; the caller closes. Raises InputError where it cannot be opened."""
    if is_remote(file.path):
        from mapreduce.formats.remote import open_remote

        return open_remote(file.path)
    if is_on_hosts(file.path) or _is_tracked(file):
        return _hosts_of(file.path).open(file)
    try:
        return open(file.path, "rb")
    except OSError as error:
        raise _unreadable(file.path, error) from error


def spool_stdin(directory: str | PurePath, stream: BinaryIO) -> InputFile:
    """Copy a stream that can be read only once into a new file of `directory`, which the caller removes.

    Raises ResourceError when there is no room; then nothing is left behind.
    """
    import tempfile

    descriptor, path = tempfile.mkstemp(prefix="stdin-", dir=str(directory))
    try:
        with open(descriptor, "wb") as copy:
            while piece := stream.read(COPY_BYTES):
                copy.write(piece)
        status = os.stat(path)
    except OSError as error:
        os.unlink(path)
        raise ResourceError(
            f"standard input cannot be copied to {directory}: {error.strerror}; free some space or set TMPDIR"
        ) from error
    except BaseException:
        os.unlink(path)
        raise
    return InputFile(path, status.st_size, status.st_mtime_ns)


def _find(path: str) -> list[InputFile]:
    if path == STDIN:
        raise UsageError("standard input ('-') must be spooled to a file before it can be split")
    if not path or "\0" in path:
        raise InputError(f"{path!r} is not a path; name a file, a folder or a glob")
    if is_remote(path):
        from mapreduce.formats.remote import find_remote

        return find_remote(path)
    if is_on_hosts(path):
        return _hosts_of(path).find(path)
    if path.lower().startswith("file://"):
        path = _path_of_uri(path)
    if not os.path.lexists(path) and path.startswith("~"):
        path = os.path.expanduser(path)
    if not os.path.lexists(path) and glob.has_magic(path):
        return _find_glob(path)
    return _find_one(path)


def _path_of_uri(uri: str) -> str:
    parts = urlsplit(uri.replace("?", "%3F").replace("#", "%23"))  # both may stand in a glob or a file name
    if parts.netloc not in ("", "localhost"):
        raise InputError(f"{uri}: a file:// URI names no host, yet here it is {parts.netloc!r}; write file:///path")
    return unquote(parts.path, errors="surrogateescape")


def _find_one(path: str) -> list[InputFile]:
    """The file, or all files below the folder."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        files = list(_walk(path, frozenset([(status.st_dev, status.st_ino)])))
        if not files:
            raise InputError(f"{path}: the folder holds no files (names starting with '.' or '_' are skipped)")
        return sorted(files, key=lambda file: file.path)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is a pipe or device, which cannot be split; name it '-' and feed it: ... - < {path}")
    _check_readable(path)
    return [InputFile(path, status.st_size, status.st_mtime_ns)]


def _walk(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[InputFile]:
    """Regular files below a folder. `above` holds the folders that we are in: a link back to one ends there."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise _unreadable(folder, error) from error
    for entry in entries:
        if entry.name.startswith(HIDDEN):
            continue
        path = os.path.join(folder, entry.name)
        try:
            status = entry.stat()
        except OSError as error:
            raise _unreadable(path, error) from error
        identity = (status.st_dev, status.st_ino)
        if stat.S_ISDIR(status.st_mode):
            if identity not in above:
                yield from _walk(path, above | {identity})
        elif stat.S_ISREG(status.st_mode):
            _check_readable(path)
            yield InputFile(path, status.st_size, status.st_mtime_ns)


def _find_glob(pattern: str) -> list[InputFile]:
    matches = [path for path in glob.iglob(pattern, recursive=True) if not _is_hidden(path, pattern)]
    files: dict[str, InputFile] = {}
    for path in matches:
        if "**" in pattern and os.path.isdir(path):
            continue  # what is below it matches too
        for file in _find_one(path):
            files.setdefault(file.path, file)
    if not files:
        raise InputError(f"no file matches {pattern!r}; {_neighbours(_fixed_part(pattern), pattern)}")
    return sorted(files.values(), key=lambda file: file.path)


def _is_hidden(path: str, pattern: str) -> bool:
    """A name starting with '_' (glob itself sees to '.') is hidden unless the pattern asks for it."""
    asked = [part for part in pattern.split(os.sep) if part.startswith(HIDDEN)]
    below = os.path.relpath(path, _fixed_part(pattern) or os.curdir).split(os.sep)
    return any(part.startswith("_") and not any(fnmatchcase(part, each) for each in asked) for part in below)


def _fixed_part(pattern: str) -> str:
    """The folder that a pattern starts from: its leading parts without wildcards."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _check_readable(path: str) -> None:
    if not os.access(path, os.R_OK):
        raise _unreadable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _unreadable(path: str, error: OSError) -> InputError | ResourceError:
    """The error to raise for a path that the system refuses: whose turn it is, and what to do."""
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        return ResourceError(f"{path}: {error.strerror}; raise the limit (ulimit -n) or lower the number of workers")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if os.path.islink(path):
            return InputError(f"{path}: is a link to {os.readlink(path)!r}, which does not exist; mend the link")
        return InputError(f"{path}: no such file; {_neighbours(os.path.dirname(path), path)}")
    if isinstance(error, PermissionError):
        return InputError(f"{path}: permission denied; allow reading it: chmod +r, and +x on its folders")
    return InputError(f"{path}: cannot be read: {error.strerror or error}")


def _neighbours(folder: str, path: str) -> str:
    """What stands in the folder in which a path was not found."""
    shown = folder or os.curdir
    try:
        names = sorted(name for name in os.listdir(shown) if not name.startswith(HIDDEN))
    except FileNotFoundError:
        parent = os.path.dirname(folder.rstrip(os.sep))
        return f"there is no folder {folder!r}: {_neighbours(parent, folder.rstrip(os.sep))}"
    except OSError as error:
        return f"folder {shown!r} cannot be listed: {error.strerror}"
    return f"folder {shown!r} " + near_names(os.path.basename(path), names)

"""How are files found and opened that are not local? Through pyarrow's file systems: S3, GCS, HDFS, ABFS.

Imported only when an input is a URI. A file's URI is the whole of what a worker needs to open it: options such as
`?region=eu-west-1` stay in it.
"""

from __future__ import annotations

import io
from fnmatch import fnmatchcase
from typing import Any, BinaryIO, NamedTuple, NoReturn, cast
from urllib.parse import quote, unquote

import pyarrow as pa
from pyarrow import fs

from mapreduce.errors import InputError, near
from mapreduce.formats.base import InputFile
from mapreduce.formats.names import HIDDEN, near_names

SCHEMES = ["s3", "gs", "hdfs", "viewfs", "abfs", "abfss", "file"]
BUFFER_BYTES = 1 << 20
"""A request to an object store costs tens of milliseconds: ask for no less than this."""


class Place(NamedTuple):
    """A file system and a path in it."""

    system: Any
    path: str


def connect(uri: str) -> Place:
    """The file system of a URI and the path in it. Raises InputError with the reason."""
    scheme = uri.split("://", 1)[0]
    try:
        return Place(*fs.FileSystem.from_uri(uri))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if scheme not in SCHEMES:
            raise InputError(f"{uri}: no file system is known as {scheme!r}; {near(scheme, SCHEMES)}") from error
        raise InputError(f"{uri}: is not a URI that can be read: {error}") from error
    except (OSError, pa.ArrowException) as error:
        _refuse(uri, error)


def open_remote(uri: str) -> BinaryIO:
    """The file's bytes, seekable and buffered; the caller closes."""
    place = connect(uri)
    try:
        return cast(BinaryIO, io.BufferedReader(place.system.open_input_file(place.path), BUFFER_BYTES))
    except (OSError, pa.ArrowException) as error:
        _refuse(uri, error)


def find_remote(uri: str) -> list[InputFile]:
    """The file, the files below the folder, or those that the glob in the URI's last part matches ('*' and '[...]')."""
    main, mark, options = uri.partition("?")
    main = main if main.endswith("://") else main.rstrip("/")
    base, _, last = main.rpartition("/")
    is_glob = ("*" in last or "[" in last) and not base.endswith((":", "/"))
    folder = base if is_glob else main
    place = connect(folder + mark + options)
    try:
        infos = _matching(place, unquote(last)) if is_glob else _below(place, uri)
    except (OSError, pa.ArrowException) as error:
        _refuse(uri, error)
    if not infos:
        raise InputError(f"{uri}: no file there (names starting with '.' or '_' are skipped); check bucket and prefix")
    below = len(place.path.rstrip("/"))
    files = [
        InputFile(folder + quote(info.path[below:]) + mark + options, info.size, int(info.mtime_ns or 0))
        for info in infos
    ]
    return sorted(files, key=lambda file: file.path)


def _below(place: Place, uri: str) -> list[Any]:
    """The file itself, or all files below the folder."""
    info = place.system.get_file_info(place.path)
    if info.type == fs.FileType.NotFound:
        _refuse_missing(uri, place)
    if info.type == fs.FileType.File:
        return [info]
    return [each for each in _list(place, recursive=True) if not _is_hidden(place, each, "")]


def _matching(place: Place, pattern: str) -> list[Any]:
    return [
        info
        for info in _list(place, recursive="**" in pattern)
        if fnmatchcase(info.base_name, pattern.replace("**", "*")) and not _is_hidden(place, info, pattern)
    ]


def _list(place: Place, *, recursive: bool) -> list[Any]:
    selector = fs.FileSelector(place.path, recursive=recursive)
    return [info for info in place.system.get_file_info(selector) if info.type == fs.FileType.File]


def _is_hidden(place: Place, info: Any, pattern: str) -> bool:
    parts = info.path[len(place.path) :].strip("/").split("/")
    if pattern.startswith(HIDDEN):
        parts = parts[:-1]
    return any(part.startswith(HIDDEN) for part in parts)


def _refuse_missing(uri: str, place: Place) -> NoReturn:
    parent, _, name = place.path.rstrip("/").rpartition("/")
    infos = place.system.get_file_info(fs.FileSelector(parent, allow_not_found=True)) if parent else []
    raise InputError(f"{uri}: no such file; folder {parent!r} " + near_names(name, sorted(i.base_name for i in infos)))


def _refuse(uri: str, error: Exception) -> NoReturn:
    reason = str(error).split(". Detail:")[0]
    raise InputError(f"{uri}: cannot be read: {reason}; check the name, the network and the credentials") from error

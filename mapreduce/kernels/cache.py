"""Where does object code rest between runs, and how do we know that it is ours and whole?

$XDG_CACHE_HOME/mapreduce/kernels/<key>/<group>.objects; the key names sources, versions and CPU, so that a home
directory shared by unlike machines works. Files appear by rename: processes that compile at once do no harm. A file
with a bad checksum counts as absent.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from functools import cache

from mapreduce.dataclass import dataclass
from mapreduce.kernels.catalogue import GROUPS

_MAGIC = b"MRKERN01"
_SHARED_SOURCES = ("intrinsics.py", "catalogue.py", "compile.py", "source_strings.py")


class CannotCompile(Exception):
    """numba is here but refuses: another version than those we know. Nobody must act."""


@dataclass(frozen=True, slots=True)
class Object:
    """A compiled kernel: its name, its symbol in the object file, and that file."""

    name: str
    symbol: str
    code: bytes


def cache_directory() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "mapreduce", "kernels")


def cache_path(group: str) -> str:
    """The file for a group's objects on this machine. Raises ImportError without llvmlite."""
    return os.path.join(cache_directory(), _cache_key(), f"{group}.objects")


@cache
def _cache_key() -> str:
    import hashlib

    digest = hashlib.blake2b(digest_size=12)
    here = os.path.dirname(__file__)
    for name in (*_SHARED_SOURCES, *(f"source_{group}.py" for group in GROUPS)):  # sources import each other
        with open(os.path.join(here, name), "rb") as file:
            digest.update(file.read())
    digest.update(f"{_compiler_versions()} {sys.version} {sys.platform} {processor()}".encode())
    return digest.hexdigest()


def _compiler_versions() -> list[str]:
    """From the names of metadata directories: importlib.metadata takes 10 ms, llvmlite 30, numba 400."""
    from importlib.util import find_spec

    spec = find_spec("llvmlite")
    if spec is None or spec.origin is None:
        raise ImportError("llvmlite is not installed")
    site = os.path.dirname(os.path.dirname(spec.origin))
    return sorted(name for name in os.listdir(site) if name.startswith(("numba-", "llvmlite-")))


def processor() -> str:
    """Model and instruction sets of this CPU: code for another one may not run here."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            first = file.read(8192).split("\n\n", 1)[0]  # all are alike; reading all takes long on large machines
    except OSError:  # not Linux
        import llvmlite.binding as llvm

        return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    keep = ("model name", "flags", "cpu family", "model", "stepping", "Features", "CPU")
    return "\n".join(line for line in first.splitlines() if line.startswith(keep))


def encode_objects(objects: list[Object]) -> bytes:
    index = json.dumps([[o.name, o.symbol, len(o.code)] for o in objects]).encode()
    body = len(index).to_bytes(8, "little") + index + b"".join(o.code for o in objects)
    return _MAGIC + zlib.crc32(body).to_bytes(8, "little") + body


def decode_objects(data: bytes) -> list[Object] | None:
    """The inverse of encode_objects; None where the data is not whole."""
    body = data[16:]
    if len(data) < 24 or data[:8] != _MAGIC or int.from_bytes(data[8:16], "little") != zlib.crc32(body):
        return None
    at = 8 + int.from_bytes(body[:8], "little")
    objects = []
    for name, symbol, size in json.loads(body[8:at]):
        objects.append(Object(name, symbol, body[at : at + size]))
        at += size
    return objects


def read_objects(path: str) -> list[Object] | None:
    """What a file holds; None where it is absent, unreadable or damaged."""
    try:
        with open(path, "rb") as file:
            return decode_objects(file.read())
    except OSError:
        return None


def write_objects(path: str, objects: list[Object]) -> bool:
    """Store objects at once or not at all. False where the cache cannot be written: the caller goes on without."""
    from tempfile import mkstemp  # 4 ms, for who only reads

    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        handle, temporary = mkstemp(dir=os.path.dirname(path), prefix=".new-")
    except OSError:
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(encode_objects(objects))
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        return False
    return True
